//! Slices of time, and how many of them were good.

use std::fmt;

crate::tags! {
    /// What a slice of time was: `state:good`, `state:bad`, `state:unknown`.
    pub enum SliceState: "state" {
        /// It was seen, and nothing in it was bad.
        Good,
        /// Something in it was bad.
        Bad,
        /// Nothing was seen in it. This is not good, and not bad either.
        Unknown,
    }
}

crate::api::dimension::shown!(SliceState);

/// How many slices of a period were good, bad and unknown.
///
/// Its text is the share of the known slices that were good, rounded down, so that it says 100 % only if all of them
/// were. Three bad minutes in a week of 10,080 are
///
/// ```
/// use tasktag::SliceCounts;
///
/// let week = SliceCounts::new(10_077, 3, 0);
/// assert_eq!(week.to_string(), "99.970 %: 10077 slices good, 3 bad, 0 unknown");
/// assert_eq!(week.share(), Some(10_077.0 / 10_080.0));
///
/// let blind = SliceCounts::new(0, 0, 10_080);
/// assert_eq!(blind.to_string(), "unknown: 0 slices good, 0 bad, 10080 unknown");
/// assert_eq!(blind.share(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SliceCounts {
    /// The slices in which nothing was bad.
    pub good: u64,
    /// The slices in which something was bad.
    pub bad: u64,
    /// The slices in which nothing was seen.
    pub unknown: u64,
}

impl SliceCounts {
    /// Returns these counts.
    #[must_use]
    pub const fn new(good: u64, bad: u64, unknown: u64) -> Self {
        Self { good, bad, unknown }
    }

    /// Returns the slices that were good or bad.
    #[must_use]
    pub const fn known(self) -> u64 {
        self.good.saturating_add(self.bad)
    }

    /// Returns the share of the known slices that were good, from 0 to 1, or `None` if none is known.
    #[must_use]
    pub fn share(self) -> Option<f64> {
        (self.known() > 0).then(|| self.good as f64 / self.known() as f64)
    }

    pub(super) fn of(state: SliceState, slices: u64) -> Self {
        match state {
            SliceState::Good => Self::new(slices, 0, 0),
            SliceState::Bad => Self::new(0, slices, 0),
            SliceState::Unknown => Self::new(0, 0, slices),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self::new(
            self.good.saturating_add(other.good),
            self.bad.saturating_add(other.bad),
            self.unknown.saturating_add(other.unknown),
        )
    }

    pub(super) fn at(self, state: SliceState) -> u64 {
        match state {
            SliceState::Good => self.good,
            SliceState::Bad => self.bad,
            SliceState::Unknown => self.unknown,
        }
    }
}

impl fmt::Display for SliceCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (u128::from(self.good) * 100_000).checked_div(u128::from(self.known())) {
            Some(share) => write!(f, "{}.{:03} %", share / 1000, share % 1000)?,
            None => write!(f, "unknown")?,
        }
        write!(f, ": {} slices good, {} bad, {} unknown", self.good, self.bad, self.unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up() {
        let text = |good, bad| SliceCounts::new(good, bad, 0).to_string();
        assert!(text(10_077, 3).starts_with("99.970 %:"));
        assert!(text(9_999_999, 1).starts_with("99.999 %:"), "not 100 %");
        assert!(text(7, 0).starts_with("100.000 %:"));
        assert!(text(0, 7).starts_with("0.000 %:"));
    }
}
