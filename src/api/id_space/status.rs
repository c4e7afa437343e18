//! How full a space of ids is.

use super::growth::PerDay;
use crate::api::watch::{Field, Reported, Watchable};
use std::fmt;

/// How full a space of ids is, and how long it will last. [`IdSpace::status`](crate::IdSpace::status) returns it. What
/// is not known is not reported.
///
/// | gauge | meaning |
/// |---|---|
/// | `ids.size` | the number of ids |
/// | `ids.used` | those that are used |
/// | `ids.fill` | the share of them, from 0 to 1: alarm above 0.5 |
/// | `ids.expected_tries` | how many ids the next draw tries on average: `1 / (1 - fill)`, and `ids.size` if none is free |
/// | `ids.growth_per_day` | how many more are used each day |
/// | `ids.days_left` | the time until all are used, at the present growth |
/// | `ids.days_left_at_least`, `ids.days_left_at_most` | the range in which it is in 95 % of all cases: alarm when the lower one is below the time that longer ids take you |
///
/// # How the growth is known
///
/// It is measured in slices of time, from when the process first knew how many ids are used: slices of a minute at
/// first, and of 64 minutes after some days. It is that of the last 7 days. It takes 8 minutes until it is known at
/// all, and a restart forgets it.
///
/// The range comes from how much the slices differ, and is at least that of ids that are used at random. It takes the
/// slices to be independent of each other. Within the first days they are not, because days and nights and weekends
/// differ, so that the range is then too narrow. It knows nothing of a campaign that begins tomorrow. If the growth may
/// as well be 0 or below, there is no `ids.days_left_at_most`, and without growth there are no days left to report.
///
/// ```
/// use tasktag::IdSpace;
///
/// let space = IdSpace::new(1_000_000);
/// space.set_used(990_000);
/// assert_eq!(space.status().fill(), Some(0.99));
/// let said = space.status().to_string();
/// assert_eq!(said, "990000 of 1000000 ids are used (99.0 %); a draw takes 100 tries on average");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[must_use = "a status reports nothing until a watch returns it"]
pub struct IdSpaceStatus {
    size: u64,
    used: Option<u64>,
    per_day: Option<PerDay>,
}

/// The time until all ids of a space are used, in days.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DaysLeft {
    /// At the mean growth.
    pub expected: f64,
    /// At the fastest growth that the differences between slices of time allow for, in 95 % of all cases.
    pub at_least: f64,
    /// At the slowest such growth. `None` if that is 0 or below.
    pub at_most: Option<f64>,
}

impl IdSpaceStatus {
    pub(super) fn new(size: u64, used: Option<u64>, per_day: Option<PerDay>) -> Self {
        Self { size, used, per_day }
    }

    /// The number of ids that are used.
    #[must_use]
    pub fn used(&self) -> Option<u64> {
        self.used
    }

    /// The share of ids that are used, from 0 to 1.
    #[must_use]
    pub fn fill(&self) -> Option<f64> {
        let used = self.used?;
        Some(if used >= self.size { 1.0 } else { used as f64 / self.size as f64 })
    }

    /// How many ids the next draw tries on average. It is infinite if none is free.
    #[must_use]
    pub fn expected_tries(&self) -> Option<f64> {
        // Not by the fill, whose rounding is large beside what is left.
        let free = self.size.saturating_sub(self.used?);
        Some(if free == 0 { f64::INFINITY } else { self.size as f64 / free as f64 })
    }

    /// How many more ids are used each day. `None` until it is known.
    #[must_use]
    pub fn growth_per_day(&self) -> Option<f64> {
        self.per_day.map(|per_day| per_day.mean)
    }

    /// The time until all ids are used. `None` if the growth is not known, or if there is none.
    #[must_use]
    pub fn days_left(&self) -> Option<DaysLeft> {
        let free = self.size.saturating_sub(self.used?) as f64;
        let PerDay { mean, spread } = self.per_day?;
        (mean > 0.0).then(|| DaysLeft {
            expected: free / mean,
            at_least: free / (mean + spread),
            at_most: (mean > spread).then(|| free / (mean - spread)),
        })
    }
}

impl fmt::Display for IdSpaceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size;
        let (Some(used), Some(fill), Some(tries)) = (self.used, self.fill(), self.expected_tries()) else {
            return write!(f, "an unknown number of {size} ids is used");
        };
        // Cut, so that a space that is not full is not said to be.
        let percent = (fill * 1000.0).floor() / 10.0;
        write!(f, "{used} of {size} ids are used ({percent:.1} %); ")?;
        if tries.is_infinite() {
            return write!(f, "no draw can end");
        }
        write!(f, "a draw takes {tries:.0} tries on average")?;
        let Some(left) = self.days_left() else { return Ok(()) };
        write!(f, "; {:.0} days left, at least {:.0}", left.expected, left.at_least)?;
        left.at_most.map_or(Ok(()), |at_most| write!(f, " and at most {at_most:.0}"))
    }
}

impl Watchable for IdSpaceStatus {}

impl Reported for IdSpaceStatus {
    const NOUN: &'static str = "id_space";
    const PREFIX: &'static str = "ids";

    fn fields(&self) -> Vec<Field> {
        let field = |name, value| Field { name, peak: false, value };
        let left = self.days_left();
        // An infinite gauge would be absent just when it matters most.
        let tries = self.expected_tries().map(|tries| tries.min(self.size as f64));
        vec![
            field("size", self.used.map(|_| self.size as f64)),
            field("used", self.used.map(|used| used as f64)),
            field("fill", self.fill()),
            field("expected_tries", tries),
            field("growth_per_day", self.growth_per_day()),
            field("days_left", left.map(|left| left.expected)),
            field("days_left_at_least", left.map(|left| left.at_least)),
            field("days_left_at_most", left.and_then(|left| left.at_most)),
        ]
    }
}
