//! What a client held may use another one while it is let go, even where a fork was the last that needed it.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't fork")]

mod support;

use std::sync::Mutex;
use support::PATIENCE;
use tasktag::testing::Capture;
use tasktag::{Client, TaskId};

static LAST: Mutex<Option<Client>> = Mutex::new(None);

/// After the library's own, which is asked for later: as another thread may, between its two halves.
extern "C" fn let_go() {
    drop(LAST.lock().unwrap().take());
}

/// Before the library's: what hangs in there is ended, and so fails the test.
extern "C" fn end_if_stuck() {
    // SAFETY: It touches no memory of ours.
    unsafe { libc::alarm(60) };
}

/// Counts its end, and makes a client for it.
struct Counting(Client);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.counter("ends").increment(1);
        drop(support::builder().capture(&Capture::new()).build());
    }
}

// One test: what is done at a fork is done at each.
#[test]
fn what_a_client_held_is_let_go_after_a_fork_and_not_in_it() {
    // SAFETY: Both are of the type that is asked for, live as long as the process, and do not unwind.
    assert_eq!(unsafe { libc::pthread_atfork(Some(let_go), None, Some(end_if_stuck)) }, 0);
    let other = support::builder().capture(&Capture::new()).build().unwrap();
    let held = Counting(other.client().clone());
    let builder = Client::builder().task_id(TaskId::current()).capture(&Capture::new()).on_loss(move |_| {
        let _ = &held;
    });
    let guard = builder.clone().build().unwrap();
    let client = guard.client().clone();
    guard.shutdown(PATIENCE).unwrap();
    // The closure outlived the worker for another client of the builder, and is the first one's alone from now on.
    drop(builder);
    *LAST.lock().unwrap() = Some(client);
    end_if_stuck();
    // SAFETY: The child uses what its one thread may use in a program of this C library: memory and new threads.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    let ends = |flushed: bool| flushed && other.client().stats().sent.values == 1;
    if child == 0 {
        let failed = !ends(other.client().flush(PATIENCE).is_ok());
        // SAFETY: It does not return.
        unsafe { libc::_exit(i32::from(failed)) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child's exit");
    assert!(ends(other.client().flush(PATIENCE).is_ok()));
}
