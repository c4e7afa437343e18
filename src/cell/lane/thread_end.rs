//! Detects the end of a thread that holds a lane. It allocates nothing, because the first use of a counter may be in a
//! signal handler or in an allocator.

#[cfg(target_os = "linux")]
pub(super) use self::linux::{prepare, watch};

#[cfg(not(target_os = "linux"))]
pub(super) use self::portable::{prepare, watch};

/// This uses a key of POSIX threads, because the C library allocates for the destructors of thread-local variables.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the C library tells of the end of a thread")]
mod linux {
    use super::super::end;
    use std::ffi::c_void;
    use std::ptr;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The key plus one, or 0 if there is none yet.
    static KEY: AtomicU32 = AtomicU32::new(0);
    /// The number of keys whose values have room in every thread from its start, in glibc. Other libraries have room
    /// for all keys.
    const MAX_KEYS: u32 = 32;

    /// Makes the key, which may allocate.
    pub(in super::super) fn prepare() {
        if KEY.load(Ordering::Acquire) != 0 {
            return;
        }
        let mut key = 0;
        // SAFETY: The key outlives the call, and the function lives as long as the process and does not unwind.
        if unsafe { libc::pthread_key_create(&raw mut key, Some(at_end)) } != 0 {
            return;
        }
        // If two threads run this at the same time, the second one's key is superfluous.
        if KEY.compare_exchange(0, key + 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: No other thread knows the key.
            unsafe { libc::pthread_key_delete(key) };
        }
    }

    /// Makes the thread call `end` when it ends. Returns `false` if that would allocate.
    pub(in super::super) fn watch() -> bool {
        let Some(key) = KEY.load(Ordering::Acquire).checked_sub(1) else { return false };
        if cfg!(target_env = "gnu") && key >= MAX_KEYS {
            return false;
        }
        // SAFETY: The key was made by `prepare`, and the value is never read.
        unsafe { libc::pthread_setspecific(key, ptr::dangling::<c_void>()) == 0 }
    }

    extern "C" fn at_end(_: *mut c_void) {
        end();
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use super::super::end;

    thread_local! {
        static END: End = const { End };
    }

    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            end();
        }
    }

    pub(in super::super) fn prepare() {}

    /// Makes the thread call `end` when it ends. Returns `false` if it is ending already.
    pub(in super::super) fn watch() -> bool {
        END.try_with(|_| ()).is_ok()
    }
}
