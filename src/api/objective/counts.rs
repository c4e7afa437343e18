//! Counts of what was good and bad.

/// How many events or slices were good, and how many bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) good: u64,
    pub(super) bad: u64,
}

impl Counts {
    pub(super) const GOOD: Self = Self { good: 1, bad: 0 };
    pub(super) const BAD: Self = Self { good: 0, bad: 1 };

    /// Returns one of these.
    pub(super) fn one(is_good: bool) -> Self {
        if is_good { Self::GOOD } else { Self::BAD }
    }

    pub(super) fn total(self) -> u64 {
        self.good.saturating_add(self.bad)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { good: self.good.saturating_add(other.good), bad: self.bad.saturating_add(other.bad) }
    }
}
