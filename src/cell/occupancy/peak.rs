//! The most units of an occupancy that were in use at once.

use crate::process::sync::{AtomicU64, Ordering};

/// The most units that were in use at once since the peak was last taken.
///
/// The top bit is set if the starts of holds are kept. As a signed number it is then below any number of units, so that
/// every unit takes the way of a new peak, on which its hold begins. Where none are kept, nothing more is checked.
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

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    /// Notes a number of units as an occupancy does.
    fn note(peak: &Peak, in_use: u64) {
        if peak.is_below(in_use) {
            peak.raise(in_use);
        }
    }

    #[test]
    fn the_peak_is_the_most_since_it_was_taken_whether_it_is_marked_or_not() {
        for is_marked in [false, true] {
            let peak = Peak::new();
            if is_marked {
                peak.mark();
            }
            for expected in [7, 16_777_215, 1] {
                for in_use in [expected, 1, expected - 1] {
                    note(&peak, in_use);
                }
                assert_eq!(peak.take(), expected);
                assert_eq!(peak.take(), 0);
            }
        }
    }

    #[test]
    fn a_peak_that_is_marked_is_below_any_number_of_units_for_ever() {
        let peak = Peak::new();
        note(&peak, 9);
        assert!(!peak.is_below(9));
        peak.mark();
        for _ in 0..3 {
            assert!(peak.is_below(1));
            note(&peak, 9);
            assert!(peak.is_below(1));
            assert_eq!(peak.take(), 9);
        }
    }
}
