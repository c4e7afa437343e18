//! `tasktag doctor --redis` says who holds which id, and what is wrong with a server, whatever it answers or does not.
//!
//! Some tests need `redis-server`, and say on standard error that they were skipped if `TASKTAG_TEST_REDIS` does not name
//! it.

#![cfg(all(feature = "cli", unix))]

#[path = "leases_redis/certificates.rs"]
mod certificates;
#[path = "command/run.rs"]
mod run;
#[path = "leases_redis/server.rs"]
mod server;
mod support;

use certificates::certify;
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
    redis.take(3);
    let () = redis.call(&["ZADD", KEY, "1", "4:00000000000000000000000000000004"]);
    let () = redis.call(&["ZADD", KEY, "1e300", "5:batch\x1b[5m"]);
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
                &format!("OK      redis: 3 ids are leased under {KEY}; 1 more have expired"),
                &format!("{own} is held by {}…, for ", &token[..8]),
                "OK      redis: id 3 is held by 00000000…, for 3",
                "OK      redis: id 5 is held by batch\\u{1b}[5m, which is no task of this library, for ",
            ],
        );
        assert!(!ended.out.contains(token), "whoever knows it may give the lease back: {}", ended.out);
        assert!(!ended.out.contains("id 4"), "{}", ended.out);
    }
    for other in 10..40 {
        redis.take(other);
    }
    let ended = doctor(&redis.port_url(), KEY, None);
    assert_says(&ended, 0, &["OK      redis: and 23 more, whose leases expire later"]);
    let () = redis.call(&["SET", "other", "1"]);
    let ended = doctor(&redis.port_url(), "other", None);
    assert_says(&ended, 2, &["FAULT   redis: other is no key of leases: it holds a string"]);
    let ended = doctor(&format!("redis://:wrong@127.0.0.1:{}", redis.port()), KEY, None);
    assert_says(&ended, 2, &["FAULT   redis: it refuses: ", "        -> give a user and a password"]);
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
    let away = format!("FAULT   redis: rediss://localhost:{}/0 does not answer: ", redis.port());
    assert_says(&ended, 2, &[&away, "        -> have the system trust the server's authority"]);
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
    assert_says(&ended, 2, &[&format!("FAULT   redis: http://{away} is no address of a Redis: ")]);
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
