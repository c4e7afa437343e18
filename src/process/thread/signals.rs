//! The signals that a thread does not take.

#![allow(unsafe_code, reason = "the C library's signal masks")]

use std::mem;
use std::ptr;

/// What a thread raises by a fault of its own: nobody else could take it, and a blocked one kills the process.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];

/// The calling thread's mask as it was, put back when this is dropped.
pub(super) struct Blocked(libc::sigset_t);

/// Blocks all signals in the calling thread. A thread that it starts meanwhile has the same mask.
pub(super) fn block() -> Blocked {
    // SAFETY: a C struct of integers, for which all bits 0 is a value.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { mem::zeroed() };
    // SAFETY: the pointers are to whole sets, which the calls read and write and do not keep.
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
        // SAFETY: the pointer is to a whole set, which the call reads and does not keep.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
