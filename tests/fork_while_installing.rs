//! A child that is forked while another thread installs a client can install its own.
#![cfg(target_os = "linux")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::fork::{assert_done, fork, holds_in_child};
use tasktag::testing::Capture;
use tasktag::{Client, ConfigError, TaskId};

/// Whether a client can be installed, and no other beside it.
fn installs() -> bool {
    let Ok(guard) = Client::builder().capture(&Capture::new()).install() else { return false };
    let again = Client::builder().capture(&Capture::new()).install();
    matches!(again, Err(ConfigError::AlreadyInstalled))
        && tasktag::client().is_some_and(|client| client.task_id() == guard.client().task_id())
        && guard.client().task_id() == TaskId::current()
}

// One test: a process has one place for a client.
#[test]
fn a_child_forked_while_another_thread_installs_can_install_its_own() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // The first of these are the first to use the library in this process.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // It takes a task id and makes most of a client before it is refused.
                let refused = Client::builder().tag("a", "b").agent("nowhere://").install();
                assert!(matches!(refused, Err(ConfigError::Setting { .. })), "{refused:?}");
            }
        });
        let failed = (0..200).map(|_| fork(installs)).find(|ended| !ended.success());
        // Before anything that may panic: the other thread is waited for.
        done.store(true, Ordering::Relaxed);
        failed.into_iter().for_each(assert_done);
    });
    assert!(installs());
    let _guard = Client::builder().capture(&Capture::new()).install().unwrap();
    assert!(holds_in_child(|| !installs()), "a child of a process with a client has it");
}
