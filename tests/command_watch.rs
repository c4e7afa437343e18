//! `tasktag watch` reports of real servers what they say, whatever becomes of one of them, and goes on after a kill.
//!
//! The tests need the servers, and say on standard error that they were skipped where `TASKTAG_TEST_REDIS`, a program,
//! `TASKTAG_TEST_POSTGRES`, the folder with `postgres` and `initdb`, and `TASKTAG_TEST_PGBOUNCER`, a program, do not
//! say where those are.

#![cfg(all(feature = "cli", unix))]

#[path = "pools/pgbouncer.rs"]
mod pgbouncer;
#[path = "pools/postgres.rs"]
mod postgres;
#[path = "command/proxy.rs"]
mod proxy;
#[path = "leases_redis/server.rs"]
mod redis_server;
#[path = "command/run.rs"]
mod run;
#[path = "pools/server.rs"]
mod server;
mod support;
#[allow(dead_code, reason = "the tables of one system are enough")]
#[path = "queues_sql/tables.rs"]
mod tables;
#[path = "command/watching.rs"]
mod watching;

use pgbouncer::PgBouncer;
use postgres::Postgres;
use proxy::Proxy;
use redis_server::Redis;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::{PATIENCE, TempDir, in_time, wait_until};
use tasktag::TaskIdPool;
use tasktag::integrations::redis::RedisQueue;
use tokio::runtime::Runtime;
use watching::{SETTINGS, Watching, value};

/// One that works while the test waits for something else.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn connect(options: &PgConnectOptions, name: &str) -> PgConnection {
    options.clone().application_name(name).connect().await.unwrap()
}

/// Starts a statement that takes long, and ends with its connection.
fn sleep(mut connection: PgConnection) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move { drop(connection.execute("select pg_sleep(600)").await) })
}

fn postgres_url(postgres: &Postgres) -> String {
    format!("postgres:///postgres?user=shop&host={}", postgres.folder().display())
}

/// A list whose items have the time at which they were queued.
fn exports(redis: &Redis) -> String {
    let url = redis.port_url();
    format!(
        "[[queue]]\nsystem = \"redis-list\"\nqueue = \"exports\"\ntime_in_json = \"at\"\nurl = \"{url}\"\n"
    )
}

/// What is said of an answer that a busy machine was too late for.
const LATE: &str = "no answer: there was none within ";

/// Nothing is said but that, and that the next answer came.
#[track_caller]
fn assert_only_late(said: &str) {
    let is_late = |line: &str| line.contains(LATE) || line.ends_with(": it answers again");
    assert!(said.lines().all(|line| line == "watching: 1" || is_late(line)), "{said}");
}

fn push(redis: &Redis, seconds_ago: u64) {
    let item = format!(r#"{{"at":{}}}"#, now(redis) - seconds_ago);
    let () = redis.call(&["LPUSH", "exports", &item]);
}

fn now(redis: &Redis) -> u64 {
    let [seconds, _]: [u64; 2] = redis.call::<Vec<u64>>(&["TIME"]).try_into().unwrap();
    seconds
}

#[test]
fn a_server_s_connections_are_reported_by_service_and_state() {
    let Some(postgres) = Postgres::start() else { return };
    let runtime = runtime();
    let id = |number| TaskIdPool::DEFAULT.id(number).unwrap();
    let _connections = runtime.block_on(async {
        let options = postgres.options();
        let web = [1, 2].map(|number| id(number).application_name("shop-web"));
        let idle = [connect(&options, &web[0]).await, connect(&options, &web[1]).await];
        let mut open = connect(&options, &id(7).application_name("shop-jobs")).await;
        open.execute("begin").await.unwrap();
        (idle, open, sleep(connect(&options, &id(8).application_name("shop-jobs")).await))
    });
    let table = format!("[[postgres]]\nname = \"orders\"\nurl = \"{}\"\n", postgres_url(&postgres));
    let watching = Watching::start(&table);
    let lines = watching.reports(&[
        "postgres.connections:2|g|#database:orders,service:shop-web,state:idle",
        "postgres.connections:1|g|#database:orders,service:shop-jobs,state:idle_in_transaction",
        "postgres.connections:1|g|#database:orders,service:shop-jobs,state:active",
        "postgres.connections:1|g|#database:orders,service:tasktag-watch,state:active",
        "postgres.hidden_connections:0|g|#database:orders",
        "postgres.limit:97|g|#database:orders",
        "postgres.connections_used:*|g|#database:orders",
    ]);
    assert_eq!(value(&lines, "postgres.connections_used", "database:orders"), 5.0 / 97.0);
    watching.signal("TERM");
    assert_only_late(&watching.ended().0.err);
}

#[test]
fn a_pooler_s_waiting_clients_are_reported_by_pool() {
    let Some(postgres) = Postgres::start() else { return };
    let Some(pgbouncer) = PgBouncer::start(&postgres) else { return };
    let runtime = runtime();
    let sleeping = runtime.block_on(async {
        let mut sleeping = Vec::new();
        for _ in 0..3 {
            sleeping.push(sleep(connect(&pgbouncer.options(), "shop-web/0001").await));
        }
        sleeping
    });
    let url = format!("postgres://shop@localhost:6432?host={}", pgbouncer.folder().display());
    let watching = Watching::start(&format!("[[pgbouncer]]\nname = \"orders\"\nurl = \"{url}\"\n"));
    let tags = "database:postgres,pgbouncer:orders,user:shop";
    let lines = watching.reports(&[
        &format!("pgbouncer.waiting:1|g|#{tags}"),
        &format!("pgbouncer.in_use:2|g|#{tags}"),
        &format!("pgbouncer.max:2|g|#{tags}"),
        &format!("pgbouncer.utilization:1|g|#{tags}"),
        &format!("pgbouncer.oldest_wait_seconds:*|g|#{tags}"),
    ]);
    assert!(value(&lines, "pgbouncer.oldest_wait_seconds", tags) < PATIENCE.as_secs_f64());
    sleeping.iter().for_each(tokio::task::JoinHandle::abort);
    watching.reports(&[&format!("pgbouncer.waiting:0|g|#{tags}"), &format!("pgbouncer.in_use:0|g|#{tags}")]);
}

#[test]
fn queues_in_redis_are_reported_with_their_promises() {
    let Some(redis) = Redis::start() else { return };
    push(&redis, 100);
    push(&redis, 7);
    let now = now(&redis);
    for (job, at) in [(1, now - 30), (2, now - 20), (3, now - 10)] {
        let job = format!(
            r#"{{"class":"Nothing","args":[],"jid":"{job}","queue":"within_1_minute","enqueued_at":{at}}}"#
        );
        let () = redis.call(&["LPUSH", "queue:within_1_minute", &job]);
    }
    let () = redis.call(&["ZADD", "retry", &format!("{}", now + 3600), "{}"]);
    let () = redis.call(&["HSET", "bull:mail:1", "timestamp", &format!("{}", (now - 40) * 1000)]);
    let () = redis.call(&["LPUSH", "bull:mail:wait", "1"]);
    let url = redis.port_url();
    let queue = |system: &str, name: &str| {
        format!("[[queue]]\nsystem = \"{system}\"\nqueue = \"{name}\"\nurl = \"{url}\"\n")
    };
    let watching = Watching::start(&format!(
        "{}promise = 50\n{}{}promise = \"20s\"\nname = \"letters\"\ntags = [\"team:post\"]\n",
        exports(&redis),
        queue("sidekiq", "within_1_minute"),
        queue("bullmq", "mail"),
    ));
    let lines = watching.reports(&[
        "queue.depth:2|g|#queue:exports",
        "queue.promise_seconds:50|g|#queue:exports",
        "queue.promise_used:*|g|#queue:exports",
        "queue.promise_used:*|g|#queue:within_1_minute",
        "queue.promise_used:*|g|#queue:letters,team:post",
        "queue.depth:3|g|#queue:within_1_minute",
        "queue.retrying:1|g|#queue:within_1_minute",
        "queue.promise_seconds:60|g|#queue:within_1_minute",
        "queue.depth:1|g|#queue:letters,team:post",
        "queue.promise_seconds:20|g|#queue:letters,team:post",
    ]);
    for (tags, promise, queue) in [
        ("queue:exports", 50.0, RedisQueue::list("exports").time_in_json("at").into()),
        ("queue:within_1_minute", 60.0, RedisQueue::sidekiq("within_1_minute")),
        ("queue:letters,team:post", 20.0, RedisQueue::bullmq("mail")),
    ] {
        // What is asked later is older.
        let asked = queue.ask(&url).unwrap();
        let (age, used) =
            (value(&lines, "queue.oldest_age_seconds", tags), value(&lines, "queue.promise_used", tags));
        assert!(age > 10.0 && age <= asked.oldest_age.unwrap().as_secs_f64(), "{tags}: {age}, {asked:?}");
        assert!((used * promise - age).abs() < 1e-3, "{tags}: {used}, {age}");
        let levels = [("running", asked.running), ("scheduled", asked.scheduled), ("dead", asked.dead)];
        for (name, level) in levels.into_iter().filter_map(|(name, level)| Some((name, level? as f64))) {
            assert_eq!(value(&lines, &format!("queue.{name}"), tags), level, "{tags}: {name}");
        }
    }
}

/// A server with a queue of Oban's, of whose jobs two could start, the older of them for two hours.
fn with_oban() -> Option<(Runtime, Postgres, PgConnection)> {
    let (postgres, runtime) = (Postgres::start()?, runtime());
    let connection = runtime.block_on(async {
        let mut connection = connect(&postgres.options(), "shop-jobs").await;
        let jobs = "insert into oban_jobs (queue, state, attempt, scheduled_at) values
            ('mail', 'available', 0, timezone('UTC', now()) - interval '2 h'),
            ('mail', 'available', 0, timezone('UTC', now()) - interval '1 h'),
            ('mail', 'scheduled', 0, timezone('UTC', now()) + interval '1 h'),
            ('mail', 'executing', 1, timezone('UTC', now()) - interval '5 h'),
            ('other', 'available', 0, timezone('UTC', now()) - interval '9 h');";
        let statements = format!("{}{jobs}", tables::OBAN);
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        connection
    });
    Some((runtime, postgres, connection))
}

fn oban(postgres: &Postgres) -> String {
    oban_at(&postgres_url(postgres))
}

fn oban_at(url: &str) -> String {
    format!("[[queue]]\nsystem = \"oban\"\nqueue = \"mail\"\npromise = \"1h\"\nurl = \"{url}\"\n")
}

const OBAN: [&str; 7] = [
    "queue.depth:2|g|#queue:mail",
    "queue.running:1|g|#queue:mail",
    "queue.scheduled:1|g|#queue:mail",
    "queue.retrying:0|g|#queue:mail",
    "queue.dead:0|g|#queue:mail",
    "queue.oldest_age_seconds:*|g|#queue:mail",
    "queue.promise_used:*|g|#queue:mail",
];

#[test]
fn a_queue_in_postgresql_is_reported_with_its_promise() {
    let Some((_runtime, postgres, _connection)) = with_oban() else { return };
    let lines = Watching::start(&oban(&postgres)).reports(&OBAN);
    let age = value(&lines, "queue.oldest_age_seconds", "queue:mail");
    assert!((7200.0..7200.0 + PATIENCE.as_secs_f64()).contains(&age), "{age}");
    let used = value(&lines, "queue.promise_used", "queue:mail");
    assert!((2.0..2.1).contains(&used), "{used}");
}

/// How many statements wait for the table of jobs.
async fn waiting_for_jobs(connection: &mut PgConnection) -> i64 {
    let waiting = "select count(*) from pg_locks where not granted and relation = 'oban_jobs'::regclass";
    connection.fetch_one(waiting).await.unwrap().get(0)
}

async fn lock_jobs(connection: &mut PgConnection) {
    connection.execute("begin").await.unwrap();
    connection.execute("lock table oban_jobs in access exclusive mode").await.unwrap();
}

#[test]
fn a_source_that_fails_is_absent_and_told_once_and_the_others_go_on() {
    let Some((runtime, postgres, mut connection)) = with_oban() else { return };
    let Some(mut redis) = Redis::start() else { return };
    let connections = format!("[[postgres]]\nname = \"orders\"\nurl = \"{}\"\n", postgres_url(&postgres));
    let watching = Watching::start(&format!("{}{}{connections}", exports(&redis), oban(&postgres)));
    assert_eq!(watching.says(), "watching: 3");
    let of_redis = "queue.depth:0|g|#queue:exports";
    watching.reports(&[of_redis, OBAN[0], "postgres.limit:97|g|#database:orders"]);

    // A server that hangs.
    redis.signal("STOP");
    let said = watching.says_of("queue exports");
    assert!(
        said.starts_with("queue exports: no answer: ") && !said.contains(redis_server::PASSWORD),
        "{said}"
    );
    watching.reports(&["queue.unanswered:*|c|#queue:exports"]);
    let lines = watching.reports(&[OBAN[0], "postgres.limit:97|g|#database:orders"]);
    assert!(!lines.iter().any(|line| line.starts_with("queue.depth:0")), "{lines:#?}");
    redis.signal("CONT");
    watching.says_at_last("queue exports: it answers again");
    watching.reports(&[of_redis]);

    // One that was killed, and is back with nothing in it.
    push(&redis, 1);
    watching.reports(&["queue.depth:1|g|#queue:exports"]);
    redis.restart();
    watching.reports(&[of_redis, OBAN[0], "postgres.limit:97|g|#database:orders"]);

    // A table that nobody may read meanwhile. What is not answered is not asked twice at a time.
    runtime.block_on(lock_jobs(&mut connection));
    assert_eq!(watching.says_of("queue mail"), "queue mail: no answer: there was none within 1.5s");
    wait_until(|| {
        let lines = watching.reports(&[of_redis, "postgres.limit:97|g|#database:orders"]);
        !lines.iter().any(|line| line.starts_with("queue.depth:2"))
    });
    for _ in 0..6 {
        assert!(runtime.block_on(waiting_for_jobs(&mut connection)) <= 1);
        thread::sleep(Duration::from_secs(1));
    }
    runtime.block_on(connection.execute("commit")).unwrap();
    watching.says_at_last("queue mail: it answers again");
    watching.reports(&OBAN);

    // Connections that the server ends.
    let all = "select pid from pg_stat_activity where application_name = 'tasktag-watch'";
    wait_until(|| runtime.block_on(connection.fetch_all(all)).unwrap().len() == 2);
    let end =
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tasktag-watch'";
    runtime.block_on(connection.fetch_all(end)).unwrap();
    // That of this test, and both of the command.
    watching.reports(&[OBAN[0], &format!("postgres.connections_used:{}|g|#database:orders", 3.0 / 97.0)]);
}

#[test]
fn what_can_t_be_reached_at_the_start_is_told_with_the_reason() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let watching = Watching::start(&format!(
        "[[postgres]]\nname = \"orders\"\nurl = \"postgres://shop:s3cr3t@{nobody}/shop\"\n[[queue]]\nsystem = \"rq\"\n\
         queue = \"mail\"\nurl = \"redis://:s3cr3t@{nobody}\"\n"
    ));
    assert_eq!(watching.says(), "watching: 2");
    let mut said = [watching.says(), watching.says()];
    said.sort_unstable();
    for (said, start) in said.iter().zip(["postgres orders: no answer: ", "queue mail: no answer: "]) {
        assert!(said.starts_with(start) && said.contains("Connection refused"), "{said}");
        assert!(!said.contains("s3cr3t"), "{said}");
    }
}

#[test]
fn one_of_two_reports_and_the_other_one_after_it_was_killed() {
    let Some(redis) = Redis::start() else { return };
    let folder = TempDir::new();
    let url = redis.port_url();
    for lease in [
        format!("directory = \"{}\"\n", folder.path().display()),
        format!("url = \"{url}\"\nkey = \"shop:watch\"\nlease_time = \"6s\"\n"),
    ] {
        let text = format!("[lease]\n{lease}{}", exports(&redis));
        let depth = "queue.depth:0|g|#queue:exports";
        let first = Watching::start(&text);
        first.reports(&[depth]);
        let second = Watching::start(&text);
        assert_eq!([second.says(), second.says()], ["watching: 1", NOT_REPORTING]);
        first.reports(&[depth]);
        first.reports(&[depth]);
        assert_eq!(second.reported(), [""; 0], "{lease}");
        first.signal("KILL");
        let (ended, _) = first.ended();
        assert_eq!(ended.status, None);
        second.says_at_last("reporting");
        second.reports(&[depth]);
        // It is started again, and waits until the other one ends in its turn.
        let third = Watching::start(&text);
        assert_eq!([third.says(), third.says()], ["watching: 1", NOT_REPORTING]);
        second.reports(&[depth]);
        assert_eq!(third.reported(), [""; 0], "{lease}");
        second.signal("TERM");
        assert_eq!(second.ended().0.status, Some(0));
        third.reports(&[depth]);
    }
}

const NOT_REPORTING: &str = "not reporting: another process has the lease, or it could not be renewed";

#[test]
fn a_lease_that_is_lost_and_found_again_is_told() {
    let Some(redis) = Redis::start() else { return };
    let lease =
        format!("[lease]\nurl = \"{}\"\nkey = \"shop:watch\"\nlease_time = \"6s\"\n", redis.port_url());
    let watching = Watching::start(&format!("{lease}{}", exports(&redis)));
    watching.reports(&["queue.depth:0|g|#queue:exports"]);
    redis.signal("STOP");
    watching.says_at_last(NOT_REPORTING);
    redis.signal("CONT");
    watching.says_at_last("reporting");
    watching.reports(&["queue.depth:0|g|#queue:exports"]);
}

#[test]
fn a_lease_in_a_redis_that_is_away_is_waited_for() {
    let Some(redis) = Redis::start() else { return };
    redis.signal("STOP");
    let lease = format!("[lease]\nurl = \"{}\"\nkey = \"shop:watch\"\n", redis.port_url());
    let watching = Watching::start(&format!("{lease}{}", exports(&redis)));
    let lease = format!("lease, redis://127.0.0.1:{}/0, key shop:watch", redis.port());
    let said = watching.says();
    // The place is told once.
    let reason = said.strip_prefix(&format!("{lease}: no answer: ")).unwrap_or_else(|| panic!("{said}"));
    assert!(!reason.is_empty() && !reason.contains("127.0.0.1") && !reason.contains("shop:watch"), "{said}");
    redis.signal("CONT");
    watching.says_at_last(&format!("{lease}: it answers again"));
    watching.reports(&["queue.depth:0|g|#queue:exports"]);
    let missing = "[lease]\ndirectory = \"/nonexistent\"\n";
    let (ended, _) = Watching::start(&format!("{missing}{}", exports(&redis))).ended();
    assert!(ended.status == Some(2) && ended.err.contains("/nonexistent"), "{ended:#?}");
}

#[test]
fn a_signal_ends_it_and_what_it_knows_is_sent_before() {
    let Some(redis) = Redis::start() else { return };
    push(&redis, 1);
    for signal in ["TERM", "INT"] {
        let () = redis.call(&["CONFIG", "RESETSTAT"]);
        let watching = Watching::start_with(&format!("flush_interval = \"1h\"\n{}", exports(&redis)), &[]);
        // The third question is asked once the answer to the first was reported.
        wait_until(|| {
            thread::sleep(Duration::from_millis(20));
            let stats: String = redis.call(&["INFO", "commandstats"]);
            let calls = stats.split("cmdstat_eval:calls=").nth(1).and_then(|rest| rest.split(',').next());
            calls.is_some_and(|calls| calls.parse::<u64>().unwrap() >= 3)
        });
        watching.signal(signal);
        let (ended, lines) = watching.ended();
        assert_eq!(ended.status, Some(0));
        assert_only_late(&ended.err);
        assert_eq!(value(&lines, "queue.depth", "queue:exports"), 1.0);
    }
}

#[test]
fn once_prints_what_it_sends_and_says_what_did_not_answer() {
    let Some((_runtime, postgres, _connection)) = with_oban() else { return };
    let Some(redis) = Redis::start() else { return };
    let sound = format!("prefix = \"shop\"\n{}{}", exports(&redis), oban(&postgres));
    let once = |text: &str| {
        in_time(|| {
            let (ended, lines) = Watching::start_with(text, &["--once"]).ended();
            (!ended.err.contains(LATE)).then_some((ended, lines))
        })
    };
    let (ended, lines) = once(&sound);
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
    for line in ["shop.queue.depth:0|g|#queue:exports", "shop.queue.depth:2|g|#queue:mail"] {
        assert!(ended.out.lines().any(|printed| printed == line), "{}", ended.out);
    }
    let printed: Vec<_> = ended.out.lines().collect();
    assert_eq!(printed, lines);

    let (ended, lines) = once(&format!(
        "{sound}[[queue]]\nsystem = \"rq\"\nqueue = \"mails\"\nurl = \"redis://127.0.0.1:1\"\n"
    ));
    assert_eq!(ended.status, Some(1));
    assert!(ended.err.starts_with("queue mails: no answer: "), "{}", ended.err);
    assert_eq!(ended.out.lines().collect::<Vec<_>>(), lines);
    assert_eq!(value(&lines, "shop.queue.depth", "queue:mail"), 2.0);

    // What another process reports is printed, and not sent.
    let folder = TempDir::new();
    let text = format!("{SETTINGS}[lease]\ndirectory = \"{}\"\n{}", folder.path().display(), exports(&redis));
    let other = Watching::start_with(&text, &[]);
    other.reports(&["queue.depth:0|g|#queue:exports"]);
    let (ended, lines) = once(&text);
    assert_eq!((ended.status, lines), (Some(0), Vec::new()));
    assert_eq!(ended.err, "not sent: another process has the lease, and reports");
    assert!(ended.out.contains("queue.depth:0|g|#queue:exports\n"), "{}", ended.out);
}

#[test]
fn a_statement_without_an_answer_is_cancelled_before_the_end() {
    let Some((runtime, postgres, mut connection)) = with_oban() else { return };
    runtime.block_on(lock_jobs(&mut connection));
    let mut waiting = || runtime.block_on(waiting_for_jobs(&mut connection));
    let (ended, _) = Watching::start_with(&format!("{SETTINGS}{}", oban(&postgres)), &["--once"]).ended();
    assert_eq!(ended.status, Some(1));
    assert_eq!(ended.err, "queue mail: no answer: there was none within 1.5s");
    wait_until(|| waiting() == 0);

    // One that a signal comes before.
    for options in [&["--once"][..], &[]] {
        let watching =
            Watching::start_with(&format!("flush_interval = \"100ms\"\n{}", oban(&postgres)), options);
        wait_until(|| waiting() == 1);
        watching.signal("TERM");
        let (ended, lines) = watching.ended();
        assert_eq!(ended.status, Some(i32::from(!options.is_empty())), "{ended:#?}");
        assert!(!lines.iter().any(|line| line.starts_with("queue.depth")), "{lines:#?}");
        wait_until(|| waiting() == 0);
    }
}

#[test]
fn a_connection_that_a_proxy_dropped_in_silence_costs_no_answer() {
    let Some((_runtime, postgres, _connection)) = with_oban() else { return };
    let proxy = Proxy::start(&postgres.folder().join(".s.PGSQL.5432"));
    let url = format!("postgres:///postgres?user=shop&host={}", proxy.folder().display());
    let watching = Watching::start(&oban_at(&url));
    watching.reports(&OBAN);
    proxy.drop_connections();
    wait_until(|| proxy.connections() >= 2);
    watching.reports(&OBAN);
    watching.signal("TERM");
    assert_only_late(&watching.ended().0.err);
}

#[test]
fn a_pooler_s_connection_is_kept_for_the_next_question() {
    let Some(postgres) = Postgres::start() else { return };
    let Some(pgbouncer) = PgBouncer::start(&postgres) else { return };
    let runtime = runtime();
    let _idle = runtime.block_on(connect(&pgbouncer.options(), "shop-web/0001"));
    let proxy = Proxy::start(&pgbouncer.folder().join(".s.PGSQL.6432"));
    let url = format!("postgres://shop@localhost:6432?host={}", proxy.folder().display());
    let table = format!("[[pgbouncer]]\nname = \"orders\"\nevery = \"4s\"\nurl = \"{url}\"\n");
    let watching = Watching::start_with(&format!("flush_interval = \"100ms\"\n{table}"), &[]);
    let waiting = "pgbouncer.waiting:0|g|#database:postgres,pgbouncer:orders,user:shop";
    watching.reports(&[waiting]);
    // Longer than the time after which an answer is too old.
    thread::sleep(Duration::from_secs(14));
    watching.reports(&[waiting]);
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn once_fails_if_the_lease_s_redis_is_away_and_sends_nothing() {
    let Some(redis) = Redis::start() else { return };
    let lease = "[lease]\nurl = \"redis://127.0.0.1:1\"\nkey = \"shop:watch\"\n";
    let (ended, lines) =
        Watching::start_with(&format!("{SETTINGS}{lease}{}", exports(&redis)), &["--once"]).ended();
    assert_eq!((ended.status, lines), (Some(1), Vec::new()));
    let start = "error: not sent: lease, redis://127.0.0.1:1, key shop:watch: no answer: ";
    assert!(ended.err.starts_with(start), "{}", ended.err);
}

#[test]
fn errors_that_nobody_reads_hold_nothing_up() {
    let Some(redis) = Redis::start() else { return };
    let (unread, mut full) = std::io::pipe().unwrap();
    full.write_all(&vec![b'.'; 65_536]).unwrap();
    let watching = Watching::start_command(&format!("{SETTINGS}{}", exports(&redis)), |command| {
        command.stderr(full);
    });
    watching.reports(&["queue.depth:0|g|#queue:exports"]);
    watching.signal("TERM");
    assert_eq!(watching.ended().0.status, Some(0));
    drop(unread);
}

#[test]
fn once_sends_what_nobody_reads() {
    let Some(redis) = Redis::start() else { return };
    let (unread, out) = std::io::pipe().unwrap();
    drop(unread);
    let watching = Watching::start_command(&format!("{SETTINGS}{}", exports(&redis)), |command| {
        command.arg("--once").stdout(out);
    });
    let (ended, lines) = watching.ended();
    assert_eq!(ended.status, Some(0), "{ended:#?}");
    assert_eq!(value(&lines, "queue.depth", "queue:exports"), 0.0);
}

#[test]
fn once_prints_what_a_variable_keeps_from_being_sent() {
    let Some(redis) = Redis::start() else { return };
    let watching = Watching::start_command(&format!("{SETTINGS}{}", exports(&redis)), |command| {
        command.arg("--once").env("TASKTAG_DISABLED", "true");
    });
    let (ended, lines) = watching.ended();
    assert_eq!((ended.status, lines), (Some(0), Vec::new()));
    assert!(ended.out.contains("queue.depth:0|g|#queue:exports\n"), "{}", ended.out);
    assert_eq!(ended.err, "not sent: a variable disables all reports");
}

#[test]
fn once_waits_for_redis_for_a_limited_time_and_ends_at_a_signal() {
    let folder = TempDir::new();
    let path = folder.join("socket");
    let _full = full_socket(&path);
    let queue =
        |name: &str, url: &str| format!("[[queue]]\nsystem = \"rq\"\nqueue = \"{name}\"\nurl = \"{url}\"\n");
    let text = format!(
        "{SETTINGS}{}{}",
        queue("mail", "redis://127.0.0.1:1"),
        queue("exports", &format!("unix://{}", path.display()))
    );
    let (ended, _) = Watching::start_with(&text, &["--once"]).ended();
    assert_eq!(ended.status, Some(1));
    assert!(ended.err.ends_with("queue exports: no answer: there was none within 5s"), "{}", ended.err);

    let watching = Watching::start_with(&text, &["--once"]);
    watching.says_of("queue mail");
    watching.signal("TERM");
    let (ended, _) = watching.ended();
    let said = "error: not sent: a signal came before the answers";
    assert_eq!((ended.status, ended.err.as_str()), (Some(1), said));
}

/// A socket whose queue of connections is full, so that further ones wait.
fn full_socket(path: &Path) -> UnixListener {
    let listener = UnixListener::bind(path).unwrap();
    let (sender, connected) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || {
        let mut held = Vec::new();
        // It ends at the error that the end of the listener is for the one that waits.
        while let Ok(stream) = UnixStream::connect(&path) {
            held.push(stream);
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    // Until nothing comes for a while.
    while connected.recv_timeout(Duration::from_millis(500)).is_ok() {}
    listener
}
