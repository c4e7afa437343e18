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
    total: u64,
}

impl Standing {
    pub(super) fn new(total: u64) -> Self {
        Self { good: AtomicU64::new(0), bad: AtomicU64::new(0), total }
    }

    pub(super) fn set(&self, counts: SliceCounts) {
        self.good.store(counts.good, Ordering::Relaxed);
        self.bad.store(counts.bad, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> SliceCounts {
        let (good, bad) = (self.good.load(Ordering::Relaxed), self.bad.load(Ordering::Relaxed));
        SliceCounts::new(good, bad, self.total.saturating_sub(good.saturating_add(bad)))
    }
}
