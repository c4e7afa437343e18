//! A child that is forked while another thread installs a client can install its own.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't fork")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tasktag::testing::Capture;
use tasktag::{Client, ConfigError, TaskId};

/// How a child ended: 0 is as it should, 1 is not, and a signal is that it came to a stop.
fn status_of_child(act: impl FnOnce() -> bool) -> i32 {
    // SAFETY: The child uses what its one thread may use in a program of this C library: memory and new threads.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: It sets a timer and touches nothing else.
        unsafe { libc::alarm(10) };
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or(false);
        // SAFETY: It does not return.
        unsafe { libc::_exit(i32::from(!held)) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status
}

fn installs() -> bool {
    let Ok(guard) = Client::builder().capture(&Capture::new()).install() else { return false };
    let again = Client::builder().capture(&Capture::new()).install();
    matches!(again, Err(ConfigError::AlreadyInstalled))
        && tasktag::client().is_some_and(|client| client.task_id() == guard.client().task_id())
        && guard.client().task_id() == TaskId::current()
}

// One test: a process installs one client.
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
        let failed = (0..200).map(|_| status_of_child(installs)).find(|status| *status != 0);
        // Before anything that may panic: the other thread is waited for.
        done.store(true, Ordering::Relaxed);
        assert_eq!(failed, None);
    });
    assert!(installs());
    assert_eq!(status_of_child(|| !installs()), 0, "a child of a process with a client has it");
}
