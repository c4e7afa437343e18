//! The signals that the library's threads block.

#![allow(unsafe_code, reason = "the C library's signal masks")]

use std::mem;
use std::ptr;

/// Signals that a thread raises by its own fault. No other thread can take them, and a blocked one kills the process.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

/// The previous signal mask of the calling thread, which is restored when this is dropped.
pub(super) struct Blocked(libc::sigset_t);

/// Blocks all signals in the calling thread. Threads that it starts in the meantime inherit the mask.
pub(super) fn block() -> Blocked {
    // SAFETY: this is a C struct of integers, for which all-zero bits are valid.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { mem::zeroed() };
    // SAFETY: the pointers point to whole sets. The calls read and write them and do not keep the pointers.
    unsafe {
        libc::sigfillset(&raw mut all);
        for fault in FAULTS {
            libc::sigdelset(&raw mut all, fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
    }
    Blocked(before)
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the pointer points to a whole set. The call reads it and does not keep the pointer.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
