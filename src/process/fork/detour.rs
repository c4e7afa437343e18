//! Tells call sites of macros whether they may use their own handle without further checks.

use std::sync::atomic::{AtomicUsize, Ordering};

/// One word for all reasons to check further, so that a call site reads only one. It is 0 nearly always. The lowest bit
/// is set while the process is not completely set up, and replaces that check. The other bits count the remaining
/// reasons.
static DETOURS: AtomicUsize = AtomicUsize::new(0);
const GROWING: usize = 1;
const ONE: usize = 2;

/// Returns whether there is no reason. A thread that added a reason itself sees it.
#[inline]
pub(crate) fn is_straight() -> bool {
    // Acquire, as in `check`: a thread that sees a grown process also sees its state.
    DETOURS.load(Ordering::Acquire) == 0
}

/// Adds a reason.
pub(crate) fn add() {
    DETOURS.fetch_add(ONE, Ordering::Relaxed);
}

/// Removes one of the reasons.
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
