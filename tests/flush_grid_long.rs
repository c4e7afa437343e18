//! The same as `flush_grid` over real sockets and in real time: a thousand increments a second, added up in windows of
//! 10 s, as the Datadog Agent does. It takes minutes, and so runs only where it is told how long:
//!
//! ```sh
//! TASKTAG_GRID_SECONDS=150 cargo test --release --features testing --test flush_grid_long -- --nocapture
//! ```

#![cfg(unix)]

mod support;

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::TempDir;
use tasktag::{Client, Counter, DEFAULT_FLUSH_INTERVAL};

const VARIABLE: &str = "TASKTAG_GRID_SECONDS";
const WINDOW: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Adds 1 for each millisecond.
fn count(jobs: &Counter, stop: &AtomicBool) {
    let (start, mut done) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = u64::try_from(start.elapsed().as_millis()).unwrap();
        jobs.increment(due - done);
        done = due;
        thread::sleep(Duration::from_millis(1));
    }
}

/// What came in each window. The first begins half an interval after the first packet, so that no flush is near
/// the edge of one.
fn windows(number: usize, interval: Duration, mut receive: impl FnMut() -> Option<String>) -> Vec<u64> {
    let mut windows = vec![0; number];
    let mut start = None;
    loop {
        let Some(text) = receive() else { continue };
        let now = Instant::now();
        // Whatever was there before the first packet is not of a whole interval.
        let Some(start) = start else {
            start = Some(now + interval / 2);
            continue;
        };
        let Some(elapsed) = now.checked_duration_since(start) else { continue };
        let window = usize::try_from(elapsed.as_secs() / WINDOW.as_secs()).unwrap();
        let Some(window) = windows.get_mut(window) else {
            return windows;
        };
        *window += text
            .lines()
            .map(|line| line.split([':', '|']).nth(1).unwrap().parse::<u64>().unwrap())
            .sum::<u64>();
    }
}

fn show(address: &str, interval: Duration, receive: impl FnMut() -> Option<String>) {
    let Ok(seconds) = std::env::var(VARIABLE) else {
        eprintln!("skipped: set {VARIABLE} to count for so long");
        return;
    };
    let number = seconds.parse::<usize>().expect("a number of seconds") / 10;
    let builder = Client::builder().agent(address).telemetry(false).flush_interval(interval);
    let guard = builder.build().unwrap();
    let jobs = guard.client().counter("jobs").register();
    let stop = AtomicBool::new(false);
    let windows = thread::scope(|scope| {
        scope.spawn(|| count(&jobs, &stop));
        let windows = windows(number, interval, receive);
        stop.store(true, Ordering::Relaxed);
        windows
    });
    println!("{address}, {interval:?}: {windows:?}");
    assert!(windows.iter().all(|seen| seen.abs_diff(10_000) <= 200), "{windows:?}");
}

fn over_udp(interval: Duration) {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(POLL)).unwrap();
    let mut buffer = [0; 9000];
    show(&format!("udp://{}", agent.local_addr().unwrap()), interval, || {
        agent.recv(&mut buffer).ok().map(|len| String::from_utf8_lossy(&buffer[..len]).into_owned())
    });
}

fn over_a_unix_socket(interval: Duration) {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let agent = UnixDatagram::bind(&path).unwrap();
    agent.set_read_timeout(Some(POLL)).unwrap();
    let mut buffer = [0; 9000];
    show(&format!("unix://{}", path.display()), interval, || {
        agent.recv(&mut buffer).ok().map(|len| String::from_utf8_lossy(&buffer[..len]).into_owned())
    });
}

#[test]
fn ten_thousand_in_every_window_over_udp_by_the_defaults() {
    over_udp(DEFAULT_FLUSH_INTERVAL);
}

#[test]
fn ten_thousand_in_every_window_over_udp_with_a_flush_a_window() {
    over_udp(WINDOW);
}

#[test]
fn ten_thousand_in_every_window_over_a_unix_socket_by_the_defaults() {
    over_a_unix_socket(DEFAULT_FLUSH_INTERVAL);
}

#[test]
fn ten_thousand_in_every_window_over_a_unix_socket_with_a_flush_a_window() {
    over_a_unix_socket(WINDOW);
}
