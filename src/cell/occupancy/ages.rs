//! Since when the units of an occupancy are in use.

use super::ODD;
use crate::cell::holds::{Entry, Holds};
use crate::cell::start::Start;
use crate::process::sync::{AtomicU64, Ordering};

/// Since when each unit is in use, and the peaks.
///
/// The peaks are here because the intervals of such an occupancy have none: every unit is above a peak of 0, so each one
/// takes the way of a new peak, on which its hold begins. An occupancy without ages has nothing more to check for them.
#[derive(Debug)]
pub(super) struct Ages {
    holds: Holds,
    // Of the even and the odd interval.
    peaks: [AtomicU64; 2],
}

impl Ages {
    pub(super) fn new() -> Self {
        Self { holds: Holds::new(), peaks: [AtomicU64::new(0), AtomicU64::new(0)] }
    }

    pub(super) fn peak(&self, cut: u64) -> &AtomicU64 {
        let [even, odd] = &self.peaks;
        if cut & ODD == 0 { even } else { odd }
    }

    pub(super) fn forget_peaks(&self) {
        self.peaks.iter().for_each(|peak| peak.store(0, Ordering::Relaxed));
    }

    pub(super) fn begin(&self, start: Start) -> Entry {
        self.holds.begin(start)
    }

    pub(super) fn end(&self, entry: Entry, generation: u32) {
        self.holds.end(entry, generation);
    }

    /// Returns the age of the unit that has been in use for the longest time, in nanoseconds.
    pub(super) fn oldest(&self, now: u64) -> Option<u64> {
        self.holds.oldest(now)
    }

    pub(super) fn untracked(&self) -> u64 {
        self.holds.untracked()
    }
}
