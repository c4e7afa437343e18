//! The most units of an occupancy that were in use at once.

use crate::process::sync::{AtomicU64, Ordering};

/// The most units that were in use at once since the peak was last taken.
///
/// The top bit is set if the starts of holds are kept. As a signed number it is then below any number of units, so that
/// every unit takes the way of a new peak, on which its hold begins. Where none are kept there is nothing more to check.
#[derive(Debug)]
pub(super) struct Peak(AtomicU64);

const MARK: u64 = 1 << 63;

impl Peak {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Is below any number of units from now on.
    pub(super) fn mark(&self) {
        self.0.fetch_or(MARK, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_below(&self, in_use: u64) -> bool {
        in_use.cast_signed() > self.0.load(Ordering::Relaxed).cast_signed()
    }

    #[cold]
    pub(super) fn raise(&self, in_use: u64) {
        let known = self.0.load(Ordering::Relaxed);
        let peak = in_use | known & MARK;
        if peak > known {
            self.0.fetch_max(peak, Ordering::Relaxed);
        }
    }

    /// Returns the peak, and begins again at 0.
    pub(super) fn take(&self) -> u64 {
        self.0.fetch_and(MARK, Ordering::Relaxed) & !MARK
    }
}
