//! Which calls of values without a place are noted: all, until there were many.

use crate::process::sync::wide::AtomicU64;
use std::sync::atomic::Ordering;

/// Calls for each corner that are all noted in a half-life. Of those that come after them, one in `STANDS_FOR` is.
const NOTED: usize = 64;
const STANDS_FOR: u64 = 8;
/// Every call is noted.
const ALL: u64 = u64::MAX;
/// The golden ratio's fraction: its multiples are spread evenly, whatever rhythm values come in.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Of a board with so many corners.
#[derive(Debug)]
pub(super) struct Hearing {
    enough: u64,
    // How many calls were noted in this half-life while all are, and which ones are from here on.
    noted: AtomicU64,
    heard: AtomicU64,
}

impl Hearing {
    pub(super) fn new(corners: usize) -> Self {
        Self { enough: (NOTED * corners) as u64, noted: AtomicU64::new(0), heard: AtomicU64::new(ALL) }
    }

    /// Whether the `nth` call is to be noted.
    #[inline]
    pub(super) fn hears(&self, nth: u64) -> bool {
        nth.wrapping_mul(SPREAD) <= self.heard.load(Ordering::Relaxed)
    }

    /// A call is noted: for how many it stands.
    #[inline]
    pub(super) fn note(&self) -> u64 {
        // Asked once, so that whoever comes while the worker deals is taken for what it is or for less.
        if self.heard.load(Ordering::Relaxed) != ALL {
            return STANDS_FOR;
        }
        let noted = self.noted.load(Ordering::Relaxed) + 1;
        self.noted.store(noted, Ordering::Relaxed);
        if noted >= self.enough {
            self.heard.store(ALL / STANDS_FOR, Ordering::Relaxed);
        }
        1
    }

    /// A half-life begins.
    pub(super) fn start_over(&self) {
        self.noted.store(0, Ordering::Relaxed);
        self.heard.store(ALL, Ordering::Relaxed);
    }
}
