//! The kinds of metrics.

use crate::vocabulary::name::names;

/// The kind of a metric. The kind belongs to the name: all contexts of one name have the same kind.
///
/// Bridges to other libraries are an exception. They may have a counter and a timing, a histogram or a distribution
/// under one name, as `StatsD` may.
///
/// ```
/// use tasktag::{Client, Dialect, Kind};
///
/// // For a server that takes `h` and no `d`.
/// let builder = Client::builder().dialect(Dialect::TaggedStatsd).distributions_as(Kind::Histogram);
/// assert_eq!("histogram".parse(), Ok(Kind::Histogram));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A level, of which the last value wins.
    Gauge,
    /// A count of what happened since the last flush.
    Counter,
    /// Values whose quantiles the agent's backend computes over all tasks.
    Distribution,
    /// Values whose quantiles each agent computes by itself.
    Histogram,
    /// A histogram of milliseconds.
    Timing,
    /// The number of distinct members.
    Set,
    /// The share of a capacity that is in use, weighted by time.
    Occupancy,
}

impl Kind {
    /// Returns whether the metric has many values per flush.
    pub(crate) fn is_spread(self) -> bool {
        match self {
            Self::Distribution | Self::Histogram | Self::Timing => true,
            Self::Gauge | Self::Counter | Self::Set | Self::Occupancy => false,
        }
    }

    /// Returns whether servers keep values of the two kinds apart under one name. They do for a count and the durations
    /// of what was counted.
    pub(crate) fn goes_with(self, other: Self) -> bool {
        (self == Self::Counter && other.is_spread()) || (self.is_spread() && other == Self::Counter)
    }
}

names! {
    Kind, "a kind":
    Gauge = "gauge",
    Counter = "counter",
    Distribution = "distribution",
    Histogram = "histogram",
    Timing = "timing",
    Set = "set",
    Occupancy = "occupancy",
}
