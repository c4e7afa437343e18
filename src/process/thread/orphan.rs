//! The threads of a forked child, which are started by the C library alone.
//!
//! The standard library takes a lock of its own at the start and at the end of each of its threads (seen in Rust 1.95).
//! If a thread of the parent was at that point when another one forked, the lock is never released in the child, and a
//! thread that the standard library starts there waits forever. The C library resets the locks that it starts threads
//! with, in a child of its own `fork`.
//!
//! Where there are no atomics of 64 bits, the standard library also takes a lock when such a thread first asks who it
//! is. There this way helps less.

#![allow(unsafe_code, reason = "the C library's threads")]

use std::ffi::c_void;
use std::io;
use std::mem::{self, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// The bytes of the stack, as many as the standard library gives a thread by default. `RUST_MIN_STACK` is not read,
/// because a thread of the parent may have held the lock of the environment.
const STACK: libc::size_t = 2 * 1024 * 1024;

/// The kernel's longest name of a thread, with a 0 at its end.
const MAX_NAME: usize = 16;

struct Start {
    name: [u8; MAX_NAME],
    body: Box<dyn FnOnce() + Send>,
}

/// Starts a thread that nobody joins. A panic ends it, and nothing else.
///
/// To the standard library it has no name, and an overflow of its stack is not explained.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut start = Box::new(Start { name: [0; MAX_NAME], body: Box::new(body) });
    for (to, from) in start.name.iter_mut().take(MAX_NAME - 1).zip(name.bytes()) {
        *to = from;
    }
    let start = Box::into_raw(start);
    match create(start.cast()) {
        0 => Ok(()),
        error => {
            // SAFETY: There is no thread, so this is its only owner again.
            drop(unsafe { Box::from_raw(start) });
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

/// Returns 0 or the error's number.
fn create(start: *mut c_void) -> libc::c_int {
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: The attributes are initialized before they are used and destroyed after it, and the function has the
    // required type and does not unwind.
    unsafe {
        let error = libc::pthread_attr_init(attributes.as_mut_ptr());
        if error != 0 {
            return error;
        }
        let mut error = libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK);
        if error == 0 {
            // It fails for another state only.
            libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
            error = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), run, start);
        }
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        error
    }
}

extern "C" fn run(start: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` made it for this thread alone.
    let Start { name, body } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    // SAFETY: The name ends with a 0 and outlives the call. A thread without a name works as well.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        // Dropping it may panic, and nobody is left to catch that.
        mem::forget(payload);
    }
    ptr::null_mut()
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;
    use std::fs;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_has_its_name_as_far_as_it_fits() {
        for (name, seen) in [("tasktag", "tasktag\n"), ("tasktag-with-a-long-name", "tasktag-with-a-\n")] {
            let (tell, told) = bounded(1);
            spawn(name, move || tell.send(fs::read_to_string("/proc/thread-self/comm").unwrap()).unwrap())
                .unwrap();
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), seen);
        }
    }

    #[test]
    fn what_it_owns_is_dropped_when_it_panics() {
        let (owned, ended) = bounded::<()>(0);
        spawn("panics", move || {
            let _owned = owned;
            std::panic::resume_unwind(Box::new("on purpose"));
        })
        .unwrap();
        assert!(ended.recv_timeout(PATIENCE).unwrap_err().is_disconnected());
    }
}
