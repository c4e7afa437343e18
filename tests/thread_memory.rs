//! What threads remember of distributions is bounded over all threads, though each of them falls silent with its share.

#![cfg(target_os = "linux")]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tasktag::Client;
use tasktag::testing::{Capture, ManualClock};

const THREADS: usize = 80;
/// Timings that each thread remembers.
const TIMINGS: usize = 64;
/// Bytes that a timing takes at least.
const TABLE: usize = 64 * 1024;

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn silent_threads_keep_no_more_than_a_clients_worth_of_forgotten_timings() {
    let (capture, clock, interval) = (Capture::new(), ManualClock::new(), Duration::from_secs(1));
    let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false).flush_interval(interval);
    let guard = builder.build().unwrap();
    let before = resident();
    let mut threads = Vec::new();
    for thread in 0..THREADS {
        let (client, (fall_silent, silence), (done, is_done)) =
            (guard.client().clone(), mpsc::channel::<()>(), mpsc::channel());
        let work = move || {
            for n in 0..2 * TIMINGS {
                // A thread remembers what it finds, and so what it calls twice.
                client.timing("query").tag("job", &format!("{thread}-{}", n / 2)).record(1.0);
            }
            done.send(()).unwrap();
            let _ = silence.recv();
        };
        threads.push((fall_silent, thread::spawn(work)));
        is_done.recv().unwrap();
        // Nobody calls them any more: after 150 flushes they are forgotten.
        for _ in 0..152 {
            clock.advance(interval);
        }
        drop(capture.take_packets());
        assert_eq!(guard.client().stats().contexts, 0);
    }
    let grown = resident().saturating_sub(before);
    let all = THREADS * TIMINGS * TABLE;
    assert!(grown < all * 2 / 3, "{} MB of {} MB", grown >> 20, all >> 20);
    for (fall_silent, thread) in threads {
        drop(fall_silent);
        thread.join().unwrap();
    }
}
