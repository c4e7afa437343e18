//! `tasktag doctor --redis` says who holds which id, and what is wrong with a server, whatever it answers or does not.
//!
//! Some tests need `redis-server`, and say on standard error that they were skipped if `TASKTAG_TEST_REDIS` does not
//! name it.

#![cfg(all(feature = "cli", unix))]

#[path = "leases_redis/certificates.rs"]
mod certificates;
#[path = "command/run.rs"]
mod run;
#[path = "leases_redis/server.rs"]
mod server;
mod support;

use certificates::{certify, certify_as};
use rcgen::{CertificateParams, date_time_ymd};
use run::{Ended, tasktag, wait};
use server::{KEY, LONG, PASSWORD, Redis};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use support::{Agent, TempDir};

const CHECK_LOGIN: &str = "        -> check the user and the password in the URL";

/// What the doctor says of a server. It ends by itself, and soon.
#[track_caller]
fn doctor(url: &str, key: &str, trusted: Option<&Path>) -> Ended {
    let agent = Agent::udp();
    let mut command = tasktag(&["doctor", "--redis", url, "--redis-key", key]);
    command.env("DD_DOGSTATSD_URL", agent.address()).env_remove("SSL_CERT_DIR").env_remove("SSL_CERT_FILE");
    if let Some(path) = trusted {
        command.env("SSL_CERT_FILE", path);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait(&mut child);
    Ended::of(child.wait_with_output().unwrap())
}

#[track_caller]
fn assert_says(ended: &Ended, status: i32, lines: &[&str]) {
    assert_eq!((ended.status, ended.err.as_str()), (Some(status), ""), "{}", ended.out);
    for line in lines {
        assert!(ended.out.lines().any(|said| said.starts_with(line)), "{line:?} is not in {}", ended.out);
    }
    assert!(!ended.out.contains(PASSWORD), "{}", ended.out);
}

/// Serves one client: each answer belongs to a word that it says. To other commands the answer is `+OK`.
fn serve(answers: &'static [(&'static str, &'static str)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, mut heard) = (listener.accept().unwrap().0, [0; 4096]);
        while let Ok(len @ 1..) = stream.read(&mut heard) {
            // What the client sends is Unicode, each command at once.
            let said = str::from_utf8(&heard[..len]).unwrap();
            for command in said.split('*').skip(1) {
                let known = answers.iter().find(|(word, _)| command.lines().any(|line| line == *word));
                stream.write_all(known.map_or("+OK\r\n", |(_, answer)| answer).as_bytes()).unwrap();
            }
        }
    });
    place
}

#[test]
fn who_holds_which_id_is_told_and_for_how_long() {
    let Some(redis) = Redis::start() else { return };
    let none = doctor(&redis.port_url(), KEY, None);
    assert_says(
        &none,
        0,
        &["OK      redis: it answers", &format!("OK      redis: no id is leased under {KEY}: ")],
    );
    let claim = redis.claim(1000, LONG);
    // Outside the pool, so that the claim is none of them.
    redis.take(1003);
    let () = redis.call(&["ZADD", KEY, "1", "1004:00000000000000000000000000000004"]);
    let () = redis.call(&["ZADD", KEY, "1e300", "1005:batch\x1b[5m"]);
    let members: Vec<String> = redis.call(&["ZRANGE", KEY, "0", "-1"]);
    let number = format!("{}:", claim.task_id().number());
    let token = members.iter().find_map(|member| member.strip_prefix(&number)).unwrap();
    for url in [redis.port_url(), redis.socket_url()] {
        let ended = doctor(&url, KEY, None);
        let own = format!("OK      redis: id {number}", number = claim.task_id().number());
        assert_says(
            &ended,
            0,
            &[
                &format!("OK      redis: 3 ids are leased under {KEY}; 1 expired lease is removed when"),
                &format!("{own} is held by {}…; its lease ends in ", &token[..8]),
                "OK      redis: id 1003 is held by 00000000…; its lease ends in 3",
                "OK      redis: 1005:batch\\u{1b}[5m is no lease of this library; it ends in ",
            ],
        );
        assert!(!ended.out.contains(token), "whoever knows it may give the lease back: {}", ended.out);
        assert!(!ended.out.contains("id 1004 is"), "{}", ended.out);
    }
    let () = redis.call(&["ZADD", KEY, "2", "1006:00000000000000000000000000000006"]);
    for other in 1010..1040 {
        redis.take(other);
    }
    let ended = doctor(&redis.port_url(), KEY, None);
    let leased = format!("OK      redis: 33 ids are leased under {KEY}; 2 expired leases are removed when");
    assert_says(&ended, 0, &[&leased, "OK      redis: and 23 more, whose leases expire later"]);
    let () = redis.call(&["SET", "other", "1"]);
    let ended = doctor(&redis.port_url(), "other", None);
    assert_says(&ended, 2, &["FAULT   redis: other is no key of leases: it holds a string"]);
    let ended = doctor(&format!("redis://:wrong@127.0.0.1:{}", redis.port()), KEY, None);
    assert_says(&ended, 2, &["FAULT   redis: it refuses: ", CHECK_LOGIN]);
    let ended = doctor(&redis.port_url().replace("/0", "/4711"), KEY, None);
    assert_says(&ended, 2, &["FAULT   redis: it refuses: ", "        -> choose a database that it has"]);
}

#[test]
fn a_server_over_tls_is_asked_if_the_system_trusts_it() {
    let Some(redis) = Redis::start_with_tls(certify) else { return };
    let _claim = redis.claim(1000, LONG);
    let ended = doctor(&redis.tls_url(), KEY, Some(&redis.file("authority.pem")));
    let leased = format!("OK      redis: 1 id is leased under {KEY}");
    assert_says(&ended, 0, &["OK      redis: it answers over TLS, with a certificate", &leased]);
    let directory = redis.file("other");
    fs::create_dir(&directory).unwrap();
    let [other, ..] = certify(&directory);
    let ended = doctor(&redis.tls_url(), KEY, Some(&other));
    let refused = |host: &str| {
        format!(
            "FAULT   redis: rediss://{host}:{}/0 shows a certificate that is not accepted: ",
            redis.port()
        )
    };
    assert_says(
        &ended,
        2,
        &[&refused("localhost"), "        -> have the system trust the server's authority"],
    );
    let url = redis.tls_url().replace("localhost", "127.0.0.1");
    let ended = doctor(&url, KEY, Some(&redis.file("authority.pem")));
    assert_says(&ended, 2, &[&refused("127.0.0.1"), "        -> use the name that the certificate has"]);
}

#[test]
fn a_certificate_that_is_not_valid_now_is_told() {
    let in_years = |from, to| {
        let mut certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        certificate.not_before = date_time_ymd(from, 1, 1);
        certificate.not_after = date_time_ymd(to, 1, 1);
        certificate
    };
    for (from, to, advice) in [(2001, 2002, "renew the certificate"), (4000, 4001, "set this host's clock")] {
        let certify = |directory: &Path| certify_as(directory, &in_years(from, to));
        let Some(redis) = Redis::start_with_tls(certify) else { return };
        let ended = doctor(&redis.tls_url(), KEY, Some(&redis.file("authority.pem")));
        let refused =
            format!("FAULT   redis: rediss://localhost:{}/0 shows a certificate that is not", redis.port());
        assert_says(&ended, 2, &[&refused, &format!("        -> {advice}")]);
    }
}

#[test]
fn a_refusal_is_told_with_what_to_do_about_it_and_not_with_what_would_not_help() {
    for (answer, advice) in [
        (&[("PING", "-NOAUTH Authentication required.\r\n")], Some(CHECK_LOGIN)),
        (&[("PING", "-NOPERM No permissions to run it\r\n")], Some("        -> allow this user PING, ")),
        (&[("PING", "-LOADING It is loading\r\n")], Some("        -> wait until it has loaded its data")),
        (&[("PING", "-DENIED It is in protected mode\r\n")], Some("        -> its protected mode lets")),
        (&[("PING", "-MOVED 1 127.0.0.1:1\r\n")], Some("        -> it is a node of a cluster: ask ")),
        (&[("PING", "-ERR max number of clients reached\r\n")], Some("        -> close connections ")),
        (&[("PING", "-ERR something else\r\n")], None),
        (&[("PING", "-OTHER something\r\n")], None),
    ] {
        let ended = doctor(&format!("redis://{}", serve(answer)), "shop", None);
        assert_says(&ended, 2, &["FAULT   redis: it refuses: "]);
        let mut after = ended.out.lines().skip_while(|line| !line.starts_with("FAULT   redis: ")).skip(1);
        match advice {
            Some(advice) => {
                assert!(after.next().is_some_and(|line| line.starts_with(advice)), "{}", ended.out);
            }
            None => assert_eq!(after.next(), None, "{}", ended.out),
        }
    }
}

#[test]
fn of_a_url_that_can_t_be_read_no_part_but_the_scheme_is_told() {
    for url in [
        format!("redis://user:{PASSWORD}"),
        format!("redis://user:{PASSWORD}%40127.0.0.1:1"),
        format!("redis://host/{PASSWORD}"),
        format!("redis://host/?protocol={PASSWORD}"),
    ] {
        let ended = doctor(&url, "shop", None);
        assert_says(&ended, 2, &["FAULT   redis: redis://… is no address of a Redis: "]);
    }
    let ended = doctor(&format!("user:{PASSWORD}@127.0.0.1:1"), "shop", None);
    assert_says(&ended, 2, &["FAULT   redis: a text without :// is no address of a Redis: "]);
}

#[test]
fn a_server_that_is_away_or_refuses_or_lags_is_told() {
    let refusing = serve(&[("PING", "-NOAUTH Authentication required.\r\n")]);
    let ended = doctor(&format!("redis://{refusing}"), "shop", None);
    assert_says(&ended, 2, &["FAULT   redis: it refuses: "]);
    assert!(ended.out.contains("Authentication required"), "{}", ended.out);
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = doctor(&format!("redis://user:{PASSWORD}@{away}"), "shop", None);
    assert_says(&ended, 2, &[&format!("FAULT   redis: redis://{away} does not answer: ")]);
    let ended = doctor(&format!("http://user:{PASSWORD}@{away}"), "shop", None);
    assert_says(&ended, 2, &["FAULT   redis: http://… is no address of a Redis: "]);
    let lagging = serve(&[
        ("PING", "+PONG\r\n"),
        ("TIME", "*2\r\n$10\r\n1000000000\r\n$1\r\n0\r\n"),
        ("TYPE", "+none\r\n"),
    ]);
    let ended = doctor(&format!("redis://{lagging}/0"), "shop", None);
    assert_says(
        &ended,
        1,
        &["OK      redis: it answers", "WARNING redis: its clock is -", "OK      redis: no id is"],
    );
    // Seconds and a score that no clock has.
    let absurd = serve(&[
        ("PING", "+PONG\r\n"),
        ("TIME", "*2\r\n$20\r\n18446744073709551615\r\n$10\r\n4294967295\r\n"),
        ("TYPE", "+zset\r\n"),
        ("ZCARD", ":0\r\n"),
        ("ZCOUNT", ":7\r\n"),
        ("ZRANGEBYSCORE", "*2\r\n$1\r\n?\r\n$3\r\nnan\r\n"),
    ]);
    assert_says(&doctor(&format!("redis://{absurd}"), "shop", None), 1, &["WARNING redis: its clock is +"]);
}

/// A peer that takes connections and says nothing, or too little, holds the doctor up for seconds and not for ever.
#[test]
fn a_server_that_is_silent_or_drips_is_away() {
    let directory = TempDir::new();
    let (tcp, path) = (TcpListener::bind("127.0.0.1:0").unwrap(), directory.join("redis"));
    let _unix = UnixListener::bind(&path).unwrap();
    let silent = tcp.local_addr().unwrap();
    let dripping = TcpListener::bind("127.0.0.1:0").unwrap();
    let drips = dripping.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in dripping.incoming().map_while(Result::ok) {
            while stream.write_all(b"+").is_ok() {
                thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    });
    let urls = [
        format!("redis://{silent}"),
        format!("rediss://localhost:{}", silent.port()),
        format!("unix://{}", path.display()),
        format!("redis://{drips}"),
    ];
    // All at once, as each waits for seconds.
    thread::scope(|scope| {
        for url in &urls {
            scope.spawn(move || {
                let ended = doctor(url, "shop", None);
                assert_says(&ended, 2, &[&format!("FAULT   redis: {url} does not answer: ")]);
            });
        }
    });
}
