//! Whether call sites of macros may use the handle that they keep without looking around.

use std::sync::atomic::{AtomicUsize, Ordering};

/// One word for all reasons to look around, so that a call site reads one: it is 0 nearly always. The lowest bit is set while
/// the process has not got all that it needs of its own, and stands for the check of that. The rest counts.
static DETOURS: AtomicUsize = AtomicUsize::new(0);
const GROWING: usize = 1;
const ONE: usize = 2;

/// Whether there is no reason. A thread that gave one itself sees it.
#[inline]
pub(crate) fn is_straight() -> bool {
    // Acquire, as in `check`: who sees a grown process sees what it got of its own.
    DETOURS.load(Ordering::Acquire) == 0
}

/// From now on there is one more reason.
pub(crate) fn add() {
    DETOURS.fetch_add(ONE, Ordering::Relaxed);
}

/// One of the reasons is gone.
pub(crate) fn remove() {
    DETOURS.fetch_sub(ONE, Ordering::Relaxed);
}

pub(super) fn set_growing(is_growing: bool) {
    if is_growing {
        DETOURS.fetch_or(GROWING, Ordering::Relaxed);
    } else {
        DETOURS.fetch_and(!GROWING, Ordering::Release);
    }
}
