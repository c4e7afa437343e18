//! A forked child reports, whatever threads of its parent start and end at the fork.
#![cfg(target_os = "linux")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::fork::{assert_done, fork};
use support::{PATIENCE, wait_until};
use tasktag::PoolStatus;
use tasktag::testing::Capture;

/// Sets a flag when it is dropped: a test that fails still has to end its threads.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// So many that about two of them would wait forever for a thread that std starts in them.
const CHILDREN: usize = 800;

// One test: only it may start threads.
#[test]
fn a_child_has_its_threads_whatever_thread_of_its_parent_was_starting_or_ending() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = StopAtEnd(&ended);
        for _ in 0..6 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    thread::spawn(|| ()).join().unwrap();
                }
            });
        }
        for _ in 0..CHILDREN {
            assert_done(fork(|| {
                client.counter("jobs").increment(1);
                // A thread of the library asks it. One that std started would have a name.
                let in_use = || u64::from(thread::current().name().is_none());
                let _watch = client.watch_pool("pool", move || PoolStatus::new().max(4).in_use(in_use()));
                wait_until(|| {
                    client.flush(PATIENCE).unwrap();
                    capture.take_lines().iter().any(|line| line.starts_with("pool.in_use:1|g"))
                });
                client.stats().sent.values > 1
            }));
        }
    });
}
