//! Selects the calls of values without a slot that are noted: all of them, until there were many.

use crate::process::sync::wide::AtomicU64;
use std::sync::atomic::Ordering;

/// The number of calls per corner that are all noted in a half-life. After them, one in `STANDS_FOR` is noted.
const NOTED: usize = 64;
const STANDS_FOR: u64 = 8;
/// Every call is noted.
const ALL: u64 = u64::MAX;
/// The fraction of the golden ratio. Its multiples are spread evenly, whatever the rhythm of the values.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Counts the noted calls, and selects further ones.
#[derive(Debug)]
pub(super) struct Sampling {
    enough: u64,
    // The number of calls noted in this half-life, and the threshold that selects a call.
    noted: AtomicU64,
    threshold: AtomicU64,
}

impl Sampling {
    pub(super) fn new(corners: usize) -> Self {
        Self { enough: (NOTED * corners) as u64, noted: AtomicU64::new(0), threshold: AtomicU64::new(ALL) }
    }

    /// Returns whether the `nth` call is noted.
    #[inline]
    pub(super) fn selects(&self, nth: u64) -> bool {
        nth.wrapping_mul(SPREAD) <= self.threshold.load(Ordering::Relaxed)
    }

    /// Notes a call, and returns the number of calls that it stands for.
    #[inline]
    pub(super) fn note(&self) -> u64 {
        // The threshold is read once, so that a call during a reassignment counts as what it stands for, or as less.
        if self.threshold.load(Ordering::Relaxed) != ALL {
            return STANDS_FOR;
        }
        let noted = self.noted.load(Ordering::Relaxed) + 1;
        self.noted.store(noted, Ordering::Relaxed);
        if noted >= self.enough {
            self.threshold.store(ALL / STANDS_FOR, Ordering::Relaxed);
        }
        1
    }

    /// Starts a half-life.
    pub(super) fn start_over(&self) {
        self.noted.store(0, Ordering::Relaxed);
        self.threshold.store(ALL, Ordering::Relaxed);
    }
}
