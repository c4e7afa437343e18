//! A forked child reports, whatever threads of its parent start and end at the fork.
#![cfg(target_os = "linux")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::fork::{assert_done, fork};
use support::{PATIENCE, wait_until};
use tasktag::PoolStatus;
use tasktag::testing::Capture;

/// So many that about two of them would wait forever for a thread that std starts in them.
const CHILDREN: usize = 800;

// One test: only it may start threads.
#[test]
fn a_child_has_its_threads_whatever_thread_of_its_parent_was_starting_or_ending() {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let client = guard.client();
    let done = AtomicBool::new(false);
    let failed = thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    thread::spawn(|| ()).join().unwrap();
                }
            });
        }
        let reports = || {
            client.counter("jobs").increment(1);
            // A thread of its own asks it.
            let _watch = client.watch_pool("pool", || PoolStatus::new().max(4).in_use(1));
            wait_until(|| {
                client.flush(PATIENCE).unwrap();
                capture.take_lines().iter().any(|line| line.starts_with("pool.in_use:1|g"))
            });
            client.stats().sent.values > 1
        };
        let failed = (0..CHILDREN).map(|_| fork(reports)).find(|ended| !ended.success());
        // Before anything that may panic: the other threads are waited for.
        done.store(true, Ordering::Relaxed);
        failed
    });
    failed.into_iter().for_each(assert_done);
}
