//! The kinds of metrics.

use crate::vocabulary::name::names;

/// What a metric is. The kind belongs to the name: all contexts of a name have the same. Bridges to other libraries may
/// have a counter and a timing, a histogram or a distribution under one name, as `StatsD` may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A level: the last value wins.
    Gauge,
    /// A count of what happened since the last flush.
    Counter,
    /// Values whose quantiles the agent's backend computes over all tasks.
    Distribution,
    /// Values whose quantiles each agent computes for itself.
    Histogram,
    /// A histogram of milliseconds.
    Timing,
    /// How many distinct members were seen.
    Set,
    /// How much of a capacity is in use, weighted by time.
    Occupancy,
}

impl Kind {
    /// Whether it has many values a flush.
    pub(crate) fn is_spread(self) -> bool {
        match self {
            Self::Distribution | Self::Histogram | Self::Timing => true,
            Self::Gauge | Self::Counter | Self::Set | Self::Occupancy => false,
        }
    }

    /// Whether servers keep values of this kind and of another apart under one name: what was counted, and how long it
    /// took.
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
