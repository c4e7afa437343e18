//! A process that decides its task id and forks before it has a client does not share the id with its children.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "std can't fork")]

use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{Client, TaskId, TaskIdPool, TaskIdSource, TaskIdSourceKind};

/// Whether `act` is true in a forked child.
fn holds_in_child(act: impl FnOnce() -> bool) -> bool {
    // SAFETY: The child uses what its one thread may use in a program of this C library: memory and new threads.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or(false);
        // SAFETY: It does not return.
        unsafe { libc::_exit(i32::from(!held)) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

// One test: what a process decides it decides once.
#[test]
fn each_child_of_a_process_without_a_client_has_a_lease_of_its_own() {
    let directory = std::env::temp_dir().join(format!("tasktag-fork-before-client-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let source = TaskIdSource::leased(&directory);
    let id = TaskId::decide(&source, TaskIdPool::new(10).unwrap()).unwrap();
    assert_eq!(id.source(), TaskIdSourceKind::Leased);
    for _ in 0..3 {
        let own = holds_in_child(|| {
            let own = TaskId::current();
            let guard = Client::builder().capture(&Capture::new()).build().unwrap();
            own != id && own.source() == TaskIdSourceKind::Leased && guard.client().task_id() == own
        });
        assert!(own, "a child has its parent's id");
    }
    assert!(holds_in_child(|| {
        tasktag::after_fork();
        let guard = Client::builder().capture(&Capture::new()).build().unwrap();
        let stopped = guard.client().task_id() != id;
        guard.shutdown(Duration::from_secs(10)).is_ok() && stopped
    }));
    assert_eq!(TaskId::current(), id);
    std::fs::remove_dir_all(&directory).unwrap();
}
