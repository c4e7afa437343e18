//! What an objective's handle knows of its slices.

use super::slice::SliceCounts;
use crate::process::sync::wide::AtomicU64;
use std::sync::atomic::Ordering;

/// The slices of the period, as of the last one that is over. The probe writes it, and handles read it.
///
/// There is no lock, which a forked child could find held. A reader at the end of a slice may see one of the counts as it
/// was before.
#[derive(Debug)]
pub(super) struct Standing {
    good: AtomicU64,
    bad: AtomicU64,
    unknown: AtomicU64,
}

impl Standing {
    /// Returns the standing of a period of so many slices of which nothing is known.
    pub(super) fn new(slices: u64) -> Self {
        Self { good: AtomicU64::new(0), bad: AtomicU64::new(0), unknown: AtomicU64::new(slices) }
    }

    pub(super) fn set(&self, counts: SliceCounts) {
        self.good.store(counts.good, Ordering::Relaxed);
        self.bad.store(counts.bad, Ordering::Relaxed);
        self.unknown.store(counts.unknown, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> SliceCounts {
        let [good, bad, unknown] =
            [&self.good, &self.bad, &self.unknown].map(|count| count.load(Ordering::Relaxed));
        SliceCounts::new(good, bad, unknown)
    }
}
