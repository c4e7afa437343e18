//! `tasktag watch` says of each mistake in its file the line, the key, the value and what is allowed, and never a
//! password.

#![cfg(all(feature = "cli", unix))]

#[path = "command/run.rs"]
mod run;
mod support;

use run::{Ended, run, tasktag};
use std::fs;
use support::TempDir;

const SECRET: &str = "s3cr3t";
const OBAN: &str = "[[queue]]\nsystem = \"oban\"\nqueue = \"mail\"\nurl = \"postgres://shop@db/shop\"\n";

/// What the command says of a file.
#[track_caller]
fn check(text: impl AsRef<[u8]>) -> Ended {
    let folder = TempDir::new();
    fs::write(folder.join("watch.toml"), text).unwrap();
    let mut command = tasktag(&["watch", "--check", "watch.toml"]);
    let ended = Ended::of(command.current_dir(folder.path()).env("SHOP_URL", "nonsense").output().unwrap());
    assert!(!ended.err.contains(SECRET) && !ended.out.contains(SECRET), "{ended:#?}");
    ended
}

/// The only mistake that the command sees in a file.
#[track_caller]
fn mistake(text: impl AsRef<[u8]>) -> String {
    let ended = check(text);
    assert_eq!((ended.status, ended.out.as_str()), (Some(2), ""), "{ended:#?}");
    let [line] = ended.err.lines().collect::<Vec<_>>()[..] else { panic!("{ended:#?}") };
    line.strip_prefix("error: ").unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn the_example_is_read_and_all_its_defaults_are_the_defaults() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/watch.toml");
    let ended = run(&["watch", "--check", file], &[]);
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
    assert_eq!(
        ended.out,
        "reported to udp://127.0.0.1:8125\n\
         reported by the holder of the lease in redis://cache:6379, key shop:watch\n\
         pgbouncer orders: postgres://pooler:6432/pgbouncer, every 10s\n\
         postgres orders: postgres://db:5432/orders, every 30s\n\
         queue within_5_minutes: redis://cache:6379/1, every 250ms, promise 5m\n\
         queue mail: rediss://cache.example.com:6380, every 250ms, promise 1m\n\
         queue exports: unix:///run/redis/redis.sock, every 250ms\n\
         queue orders: redis://cache, every 250ms\n\
         queue default: postgres://db:5432/orders, every 30s\n"
    );
    // Without what it says to be the default, all is the same.
    let text = fs::read_to_string(file).unwrap();
    let defaults = ["address", "flush_interval", "every = \"10s\"", "lease_time"];
    let is_default = |line: &&str| defaults.iter().any(|default| line.starts_with(default));
    assert_eq!(text.lines().filter(is_default).count(), defaults.len());
    let shorter: Vec<_> = text.lines().filter(|line| !is_default(line)).collect();
    assert_eq!(check(shorter.join("\n")).out, ended.out);
}

#[test]
fn every_system_is_known() {
    let named = [
        "apalis-redis",
        "arq",
        "bullmq",
        "celery",
        "dramatiq",
        "rq",
        "sidekiq",
        "redis-list",
        "apalis-postgres",
        "good_job",
        "oban",
        "pg-boss",
        "procrastinate",
        "que",
        "river",
        "solid_queue",
        "delayed_job",
    ];
    for system in named {
        let is_in_redis = named.iter().take(8).any(|other| *other == system);
        let url = if is_in_redis { "redis://cache" } else { "postgres://shop@db/shop" };
        let ended = check(format!("[[queue]]\nsystem = \"{system}\"\nqueue = \"mail\"\nurl = \"{url}\"\n"));
        assert_eq!(ended.status, Some(0), "{system}: {ended:#?}");
        assert!(ended.out.contains("queue mail: "), "{system}: {}", ended.out);
    }
    for system in ["delayed_job", "graphile-worker"] {
        let ended = check(format!("[[queue]]\nsystem = \"{system}\"\nurl = \"postgres://shop@db/shop\"\n"));
        assert!(ended.out.contains(&format!("queue {system}: ")), "{ended:#?}");
    }
}

#[test]
fn a_queue_s_promise_is_said_or_is_that_of_its_own_name_or_of_the_one_it_is_reported_by() {
    for (queue, lines, said) in [
        ("within_5_minutes", "", "within_5_minutes: redis://cache, every 250ms, promise 5m"),
        ("within_5_minutes", "name = \"mail\"", "mail: redis://cache, every 250ms, promise 5m"),
        ("mail", "name = \"within_5_minutes\"", "within_5_minutes: redis://cache, every 250ms, promise 5m"),
        ("within_5_minutes", "name = \"mail\"\npromise = 60", "mail: redis://cache, every 250ms, promise 1m"),
        ("mail", "", "mail: redis://cache, every 250ms"),
    ] {
        let text =
            format!("[[queue]]\nsystem = \"rq\"\nqueue = \"{queue}\"\nurl = \"redis://cache\"\n{lines}\n");
        assert!(check(&text).out.ends_with(&format!("queue {said}\n")), "{text}");
    }
}

/// A queue with these lines.
fn queue(lines: &str) -> String {
    format!("[[queue]]\n{lines}")
}

/// What is said of a time that is out of its range.
fn time(key: &str, value: &str, range: &str) -> String {
    format!(
        "{key} = {value}: it must be a time {range}: a number of seconds, or a text such as \"500ms\", \"10s\", \
         \"5m\", \"1h\" or \"1d\""
    )
}

/// Texts, the line of the mistake in each, and what is said of it.
#[track_caller]
fn assert_mistakes(cases: &[(String, u32, String)]) {
    for (text, line, said) in cases {
        assert_eq!(mistake(text), format!("watch.toml:{line}: {said}"), "{text}");
    }
}

#[test]
fn a_wrong_value_is_shown_with_its_line_its_key_and_what_is_allowed() {
    assert_mistakes(&[
        (String::new(), 1, "nothing is watched: write [[pgbouncer]], [[postgres]] or [[queue]]".to_owned()),
        ("\n[queue]\n".to_owned(), 2, "queue: it must be a list of tables: write [[queue]]".to_owned()),
        ("queue = 1\n".to_owned(), 1, "queue: it must be a list of tables: write [[queue]]".to_owned()),
        (format!("{OBAN}[[lease]]\n"), 5, "lease: it must be a table: write [lease]".to_owned()),
        (format!("prefix = 7\n{OBAN}"), 1, "prefix = 7: it must be a quoted string".to_owned()),
        (
            format!("address = 7\nprefix = \"shop\"\ntags = [\"env:prod\"]\nevery = \"10s\"\n{OBAN}"),
            1,
            "address = 7: it must be a quoted string".to_owned(),
        ),
        (format!("prefix = \"\"\n{OBAN}"), 1, "prefix = \"\": it is empty".to_owned()),
        (
            format!("\ntags = [\"env:prod\", \"eu\"]\n{OBAN}"),
            2,
            "tags = […]: it must be a list of texts: [\"key:value\", \"key:value\"]".to_owned(),
        ),
        (
            format!("flush_interval = \"1ms\"\n{OBAN}"),
            1,
            time("flush_interval", "\"1ms\"", "from 100ms to 1h"),
        ),
        (format!("every = 0.5\n{OBAN}"), 1, time("every", "0.5", "from 1s to 1h")),
        (format!("every = true\n{OBAN}"), 1, time("every", "true", "from 1s to 1h")),
    ]);
}

#[test]
fn a_queue_s_keys_are_those_of_its_system() {
    assert_mistakes(&[
        (format!("{OBAN}promise = \"soon\"\n"), 5, time("promise", "\"soon\"", "from 1ms to 365d")),
        (format!("{OBAN}scans = \"yes\"\n"), 5, "scans = \"yes\": it must be true or false".to_owned()),
        (
            format!("{OBAN}key_prefix = \"shop:\"\n"),
            5,
            "key_prefix = \"shop:\": it is for queues in Redis, and this one is in PostgreSQL".to_owned(),
        ),
        (
            queue("system = \"rq\"\nqueue = \"mail\"\nurl = \"redis://cache\"\nevery = 5\n"),
            5,
            "every = 5: a queue in Redis is asked four times a second: leave it out".to_owned(),
        ),
        (
            queue("system = \"rq\"\nqueue = \"mail\"\nurl = \"redis://cache\"\nscans = true\n"),
            5,
            "scans = true: it is for queues in PostgreSQL, and this one is in Redis".to_owned(),
        ),
        (
            queue("system = \"rq\"\nurl = \"redis://cache\"\n"),
            1,
            "[[queue]]: `queue` is missing: the name of the queue, as rq has it; only graphile-worker takes none, and \
             delayed_job may"
                .to_owned(),
        ),
        (
            queue("system = \"graphile-worker\"\nqueue = \"mail\"\nurl = \"postgres://db/shop\"\n"),
            3,
            "queue = \"mail\": the jobs of graphile-worker are asked for together: leave it out"
                .to_owned(),
        ),
        (
            queue("system = \"rq\"\nqueue = \"mail\"\nurl = \"redis://cache\"\ngroup = \"billing\"\n"),
            5,
            "group = \"billing\": it is for redis-stream alone, and this one is rq".to_owned(),
        ),
        (
            format!("{OBAN}taken_from_left = true\n"),
            5,
            "taken_from_left = true: it is for redis-list alone, and this one is oban".to_owned(),
        ),
        (
            queue(
                "system = \"redis-stream\"\nqueue = \"orders\"\ngroup = \"billing\"\nurl = \"redis://cache\"\n\
                 time_in_hash = { prefix = \"a:\", field = \"at\" }\n",
            ),
            6,
            "time_in_hash = {…}: it is for redis-list alone, and this one is redis-stream".to_owned(),
        ),
        (
            queue("system = \"redis-stream\"\nqueue = \"orders\"\nurl = \"redis://cache\"\n"),
            1,
            "[[queue]]: `group` is missing: the group that reads the stream".to_owned(),
        ),
        (
            queue(
                "system = \"redis-list\"\nqueue = \"a\"\nurl = \"redis://cache\"\ntime_in_json = \"at\"\n\
                 time_in_hash = { prefix = \"a:\", field = \"at\" }\n",
            ),
            5,
            "time_in_json = \"at\": there is `time_in_hash` too: leave one of them out".to_owned(),
        ),
    ]);
}

#[test]
fn a_lease_s_keys_are_those_of_its_place() {
    assert_mistakes(&[
        (
            format!("{OBAN}[lease]\ndirectory = \"/run/shop\"\nlease_time = 10\n"),
            7,
            "lease_time = 10: it is for a lease in Redis, and this one is in a directory".to_owned(),
        ),
        (
            format!("{OBAN}[lease]\nurl = \"redis://cache\"\n"),
            5,
            "[lease]: `key` is missing: the key of the lease in Redis, which nothing else uses".to_owned(),
        ),
        (
            format!("{OBAN}[lease]\nurl = \"redis://cache\"\nkey = \"a\"\nlease_time = \"2h\"\n"),
            8,
            time("lease_time", "\"2h\"", "from 1s to 1h"),
        ),
    ]);
}

#[test]
fn two_tables_have_two_names() {
    let taken = "[[queue]]: another table has its name and its tags: set `name`, or another tag";
    assert_mistakes(&[
        (format!("{OBAN}{OBAN}"), 5, taken.to_owned()),
        // The tag is that of all metrics, so the metrics of both tables would be the same.
        (format!("tags = [\"env:prod\"]\n{OBAN}{OBAN}tags = [\"env:prod\"]\n"), 6, taken.to_owned()),
    ]);
    // So would they be with a tag that the environment has.
    let folder = TempDir::new();
    let file = folder.join("watch.toml");
    fs::write(&file, format!("{OBAN}{OBAN}tags = [\"team:shop\"]\n")).unwrap();
    let arguments = ["watch", "--check", file.to_str().unwrap()];
    assert_eq!(run(&arguments, &[]).status, Some(0));
    let ended = run(&arguments, &[("DD_TAGS", "team:shop")]);
    assert!(ended.status == Some(2) && ended.err.ends_with(&format!(":5: {taken}\n")), "{ended:#?}");
    let told_apart = check(format!("tags = [\"env:prod\"]\n{OBAN}{OBAN}tags = [\"env:test\"]\n"));
    assert_eq!(told_apart.status, Some(0), "{told_apart:#?}");
}

#[test]
fn what_the_library_refuses_is_a_mistake_of_its_line() {
    let long = |length| format!("prefix = \"{}\"", "a".repeat(length));
    let [task_id, all, most, beyond] = ["tags = [\"task_id:1\"]".to_owned(), long(100), long(49), long(50)];
    for (before, after, line) in [
        ("address = \"ftp://agent\"", "", 1),
        (task_id.as_str(), "", 1),
        (&long(151), "", 1),
        ("", &task_id, 6),
        ("", &long(151), 6),
        // With the dot between them that is one byte too many.
        (&all, &beyond, 6),
    ] {
        let said = mistake(format!("{before}\n{OBAN}{after}\n"));
        let key = if line == 1 { before } else { after }.split(' ').next().unwrap();
        let start = format!("watch.toml:{line}: {key} = ");
        assert!(said.starts_with(&start) && said.contains(" can't be "), "{said}");
    }
    for (before, after) in [(all.as_str(), most.as_str()), ("", &long(150)), (&long(150), "")] {
        let ended = check(format!("{before}\n{OBAN}{after}\n"));
        assert_eq!(ended.status, Some(0), "{ended:#?}");
    }
}

#[test]
fn an_unknown_name_is_told_with_the_one_that_is_nearest() {
    let said = mistake(format!("{OBAN}promises = \"{SECRET}\"\n"));
    let start =
        "watch.toml:5: promises: there is no such key in [[queue]], did you mean `promise`? There are: ";
    assert!(said.starts_with(start), "{said}");
    let said = mistake(format!("adress = \"{SECRET}\"\n{OBAN}"));
    let start =
        "watch.toml:1: adress: there is no such key outside of tables, did you mean `address`? There are: ";
    assert!(said.starts_with(start), "{said}");
    let said = mistake(format!("{OBAN}[[queues]]\n"));
    assert!(said.starts_with("watch.toml:5: queues: there is no such key outside of tables"), "{said}");
    // Rather than that the key which was meant is missing.
    for (lines, line, key, meant) in [
        ("[[queue]]\nqueue = \"mail\"\nsytem = \"oban\"\n", 3, "sytem", "system"),
        ("[[queue]]\nsystem = \"rq\"\nqueu = \"mail\"\n", 3, "queu", "queue"),
        (
            "[[queue]]\nsystem = \"rq\"\nqueue = \"mail\"\nurl_varable = \"A\"\n",
            4,
            "url_varable",
            "url_variable",
        ),
        ("[[postgres]]\nnmae = \"shop\"\n", 2, "nmae", "name"),
        ("[[pgbouncer]]\nname = \"shop\"\nurls = \"A\"\n", 3, "urls", "url"),
    ] {
        let said = mistake(lines);
        let start = format!("watch.toml:{line}: {key}: there is no such key in [[");
        assert!(said.starts_with(&start) && said.contains(&format!(", did you mean `{meant}`? ")), "{said}");
    }
    // A known key is not taken for one that is missing, and nothing is meant by what has nothing in common.
    let said = mistake("[[queue]]\nsystem = \"rq\"\nzzz = 1\nqueue = \"mail\"\n");
    assert!(said.starts_with("watch.toml:1: [[queue]]: `url` is missing"), "{said}");
    let said = mistake(format!("{OBAN}zzz = 1\n"));
    assert!(
        said.starts_with("watch.toml:5: zzz: there is no such key in [[queue]]. There are: every, "),
        "{said}"
    );
    let said = mistake("[[queue]]\nsystem = \"zzz\"\ngroup = \"a\"\n");
    assert!(
        said.starts_with("watch.toml:2: system = \"zzz\": there is no such system. There are: "),
        "{said}"
    );
    let said = mistake("[[queue]]\nsystem = \"sidekik\"\n");
    let start =
        "watch.toml:2: system = \"sidekik\": there is no such system, did you mean `sidekiq`? There are: ";
    assert!(said.starts_with(start), "{said}");
    assert!(said.contains(" apalis-postgres, apalis-redis, arq, "), "{said}");
}

#[test]
fn a_url_is_wrong_without_its_password() {
    let queue = |system: &str, url: &str| {
        mistake(format!("[[queue]]\nsystem = \"{system}\"\nqueue = \"mail\"\nurl = \"{url}\"\n"))
    };
    let redis = "not a valid Redis URL: redis://";
    let postgres = "not a valid PostgreSQL URL, and no other SQL database is asked: ";
    for (system, url, shown, said) in [
        ("rq", "http://shop:s3cr3t@cache", "http://cache", redis),
        ("rq", "shop:s3cr3t@cache", "…", redis),
        ("rq", "redis:s3cr3t", "…", redis),
        ("rq", "redis://:s3cr3t%40h:6379", "redis://…", redis),
        ("oban", "mysql://shop:s3cr3t@db/shop", "mysql://db/shop", postgres),
        ("oban", "postgres://shop:s3cr3t@db:port", "postgres://…", postgres),
        ("oban", "postgres://shop:s3cr3t-db/shop", "postgres://…", postgres),
        ("oban", "postgres://shop:s3c@r3t@db/shop", "postgres://db/shop", postgres),
        ("oban", "postgres://db/shop?password=s3c@r3t", "postgres://…", postgres),
        ("oban", "postgres://shop@/shop?host=s3c%40r3t", "postgres://…", postgres),
        ("oban", "host=db password=s3cr3t", "…", postgres),
        ("oban", "sqlite://jobs.db", "sqlite://jobs.db", postgres),
        ("oban", "postgres:///shop", "postgres:///shop", postgres),
        (
            "oban",
            "postgres://shop:s3cr3t@db/shop?sslmode=require",
            "postgres://db/shop",
            "PostgreSQL is asked without TLS: sslmode must be prefer or disable",
        ),
        (
            "oban",
            "postgres://shop:s3cr3t@db/shop?sslmode=verify-full",
            "postgres://db/shop",
            "PostgreSQL is asked without TLS: sslmode must be prefer or disable",
        ),
        (
            "oban",
            "postgres://shop:s3cr3t@db/shop?sslmode=verify-ca&sslrootcert=/ca.pem",
            "postgres://db/shop",
            "PostgreSQL is asked without TLS: sslmode must be prefer or disable",
        ),
        (
            "oban",
            "postgres://shop:s3cr3t@db/shop?sslrootcert=/ca.pem",
            "postgres://db/shop",
            "PostgreSQL is asked without TLS: leave sslrootcert out",
        ),
        (
            "oban",
            "postgres://shop:s3cr3t@db/shop?connect_timeout=5&channel_binding=require",
            "postgres://db/shop",
            "PostgreSQL is asked without TLS: channel_binding must be prefer or disable",
        ),
    ] {
        let start = format!("watch.toml:4: url = \"{shown}\": {said}");
        let found = queue(system, url);
        assert!(found.starts_with(&start), "{start} in {found}");
        assert!(!found.contains("s3c") && !found.contains("r3t"), "{found}");
    }
    let pooler = mistake("[[pgbouncer]]\nname = \"a\"\nurl = \"postgres://stats:s3cr3t@pooler/shop\"\n");
    assert_eq!(
        pooler,
        "watch.toml:3: url = \"postgres://pooler/shop\": the database must be pgbouncer, the console"
    );
    let nowhere = mistake("[[postgres]]\nname = \"a\"\n");
    assert!(
        nowhere.starts_with("watch.toml:1: [[postgres]]: `url` is missing, or `url_variable`"),
        "{nowhere}"
    );
}

#[test]
fn a_url_may_be_in_a_variable() {
    let queue = |lines: &str| format!("[[queue]]\nsystem = \"rq\"\nqueue = \"mail\"\n{lines}");
    let folder = TempDir::new();
    fs::write(folder.join("watch.toml"), queue("url_variable = \"SHOP_URL\"\n")).unwrap();
    let file = folder.join("watch.toml");
    let ended =
        run(&["watch", "--check", file.to_str().unwrap()], &[("SHOP_URL", "redis://:s3cr3t@cache/3")]);
    assert!(ended.out.ends_with("queue mail: redis://cache/3, every 250ms\n"), "{ended:#?}");
    for (lines, line, said) in [
        ("url_variable = \"SHOP_URL\"\n", 4, "url_variable = \"SHOP_URL\": not a valid Redis URL: "),
        (
            "url_variable = \"SHOP_URI\"\n",
            4,
            "url_variable = \"SHOP_URI\": the variable is not set, or is not valid UTF-8",
        ),
        (
            "url_variable = \"host=db password=s3cr3t\"\n",
            4,
            "url_variable = \"…\": the variable is not set, or is not valid UTF-8",
        ),
        ("url_variable = \"redis:s3cr3t\"\n", 4, "url_variable = \"…\": the variable is not set"),
        (
            "url = \"redis://a\"\nurl_variable = \"SHOP_URL\"\n",
            5,
            "url_variable = \"SHOP_URL\": there is `url` too",
        ),
    ] {
        let found = mistake(queue(lines));
        assert!(found.starts_with(&format!("watch.toml:{line}: {said}")), "{found}");
    }
}

#[test]
fn each_table_s_mistake_is_told_in_the_order_of_the_file() {
    let ended = check(
        "[[queue]]\nsystem = \"rq\"\n[[postgres]]\nname = 1\n[[queue]]\nsystem = 1\n[lease]\nkey = 1\n",
    );
    let lines: Vec<_> = ended.err.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(lines, ["watch.toml:1", "watch.toml:4", "watch.toml:6", "watch.toml:7"], "{}", ended.err);
    assert_eq!(ended.status, Some(2));
}

#[test]
fn a_file_that_can_t_be_read_is_told_without_what_is_in_it() {
    for (text, said) in [
        (format!("{OBAN}url = \"{SECRET}\"\n"), "watch.toml:5: not valid TOML: duplicate key"),
        (format!("[[queue]]\nurl = \"{SECRET}\n"), "watch.toml:2: not valid TOML: "),
        (format!("a = {}", "[".repeat(100_000)), "watch.toml:1: not valid TOML: "),
        (format!("# {}\n", "a".repeat(1 << 20)), "watch.toml: it has more than 1048576 bytes"),
    ] {
        let found = mistake(text);
        assert!(found.starts_with(said), "{found}");
    }
    let found = mistake([b'#', 0xff]);
    assert!(found.starts_with("watch.toml: not valid UTF-8"), "{found}");
    // What a terminal would obey.
    let found = mistake("[[queue]]\nsystem = \"\\u001b[2J\"\n");
    assert!(found.contains("\\u{1b}[2J"), "{found}");
    let missing = run(&["watch", "--check", "/nonexistent/watch.toml"], &[]);
    assert_eq!(missing.status, Some(2));
    assert!(missing.err.starts_with("error: /nonexistent/watch.toml: No such file"), "{}", missing.err);
    let mut folder = tasktag(&["watch", "--check", "."]);
    assert_eq!(Ended::of(folder.current_dir("/").output().unwrap()).status, Some(2));
}
