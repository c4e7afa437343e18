//! How often something happened, as a hint.

// These are not those of the model checker, which need not try every interleaving of a hint.
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often something happened since it was last asked, up to a number that is many. Some of it may go uncounted. No
/// more than many are noted, so that the tally's cache line is left to its readers.
pub(super) struct Tally(AtomicUsize);

impl Tally {
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    #[inline]
    pub(super) fn note(&self, many: usize) {
        let noted = self.0.load(Ordering::Relaxed);
        if noted < many {
            self.0.store(noted + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn has(&self, many: usize) -> bool {
        self.0.load(Ordering::Relaxed) >= many
    }

    /// Does the same as [`has`](Self::has), and starts again at 0.
    pub(super) fn take(&self, many: usize) -> bool {
        let has = self.has(many);
        self.forget();
        has
    }

    pub(super) fn forget(&self) {
        if self.has(1) {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    const MANY: usize = 256;

    #[test]
    fn it_is_many_when_it_happened_often_since_it_was_asked() {
        let tally = Tally::new();
        (1..MANY).for_each(|_| tally.note(MANY));
        assert!(!tally.has(MANY) && !tally.take(MANY));
        (0..MANY + 5).for_each(|_| tally.note(MANY));
        assert!(tally.has(MANY) && tally.take(MANY));
        assert!(!tally.has(MANY) && !tally.take(MANY));
    }
}
