//! A forked child of a test, which is ended if it comes to a stop.

#![allow(unsafe_code, reason = "std can't fork")]

use super::PATIENCE;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;

/// Runs `act` in a forked child, which ends without running anything of the parent's, and waits for it. The child's
/// exit is 0 where `act` was true, 1 where it was not, and 2 where it panicked; the alarm ends one that comes to a
/// stop.
///
/// It has as long as everything in these tests: what it is ended for is that it never goes on, and not that it is slow.
pub(crate) fn fork(act: impl FnOnce() -> bool) -> ExitStatus {
    // SAFETY: The child uses what its one thread may use in a program of this C library: memory and new threads.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let patience = PATIENCE.as_secs().try_into().unwrap_or(libc::c_uint::MAX);
        // SAFETY: It sets a timer and touches nothing else.
        unsafe { libc::alarm(patience) };
        let code = catch_unwind(AssertUnwindSafe(act)).map_or(2, |held| i32::from(!held));
        // SAFETY: It does not return.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    ExitStatus::from_raw(status)
}

/// Has a child's end said where that is not as it should be.
#[track_caller]
pub(crate) fn assert_done(ended: ExitStatus) {
    let stuck = if ended.signal() == Some(libc::SIGALRM) { ", which came to a stop" } else { "" };
    assert!(ended.success(), "the child: {ended}{stuck}");
}

/// Whether `act` is true in a forked child.
pub(crate) fn holds_in_child(act: impl FnOnce() -> bool) -> bool {
    fork(act).success()
}
