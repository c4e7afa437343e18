//! A forked child of a test, which is ended if it comes to a stop.

#![allow(unsafe_code, reason = "std can't fork")]

use super::PATIENCE;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::ptr;

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

/// Runs `act` in `n` further threads of a forked child, and `own` in this one meanwhile.
///
/// The C library starts them: one that std starts in a child waits forever if a thread of another test was starting or
/// ending at the fork.
pub(crate) fn beside_threads(n: usize, act: impl Fn() + Sync, own: impl FnOnce()) {
    let part = Part(&act);
    let threads: Vec<_> = (0..n).filter_map(|_| part.start()).collect();
    let own = catch_unwind(AssertUnwindSafe(own));
    let has_ended_well = |thread: &libc::pthread_t| {
        let mut failed = ptr::null_mut();
        // SAFETY: Each thread is joined once.
        unsafe { libc::pthread_join(*thread, &raw mut failed) == 0 && failed.is_null() }
    };
    // All are waited for before anything that may panic, as they use what is borrowed here.
    let ended_well = threads.iter().filter(|thread| has_ended_well(thread)).count();
    assert_eq!(ended_well, n, "a thread was refused, or panicked");
    own.unwrap();
}

/// What each of these threads does.
struct Part<'a>(&'a (dyn Fn() + Sync));

impl Part<'_> {
    fn start(&self) -> Option<libc::pthread_t> {
        let mut thread = 0;
        // SAFETY: `beside_threads` keeps it until the threads have ended, and the function does not unwind.
        let error = unsafe {
            libc::pthread_create(
                &raw mut thread,
                ptr::null(),
                run_part,
                ptr::from_ref(self).cast_mut().cast(),
            )
        };
        (error == 0).then_some(thread)
    }
}

extern "C" fn run_part(part: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `start` passed it.
    let part = unsafe { &*part.cast::<Part<'_>>() };
    let ended = catch_unwind(AssertUnwindSafe(part.0));
    if ended.is_ok() { ptr::null_mut() } else { ptr::dangling_mut() }
}
