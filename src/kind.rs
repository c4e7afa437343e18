//! The kinds of metrics.

use std::fmt;

/// What a metric is. The kind belongs to the name: all contexts of a name have the same.
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Distribution => "distribution",
            Self::Histogram => "histogram",
            Self::Timing => "timing",
            Self::Set => "set",
            Self::Occupancy => "occupancy",
        })
    }
}
