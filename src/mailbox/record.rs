//! What crosses the channel: whatever has no place in a cell.

use crate::cell::{Buckets, CounterCell, GaugeCell, SetCell};
use crate::vocabulary::event::{Event, ServiceCheck};
use crate::vocabulary::member::Member;
use std::sync::Arc;

/// One thing handed to the worker.
#[derive(Debug)]
pub(crate) enum Record {
    Event(Box<Event>),
    ServiceCheck(Box<ServiceCheck>),
    /// A member seen by a set.
    Member(Arc<SetCell>, Member),
    /// A value that a distribution's table had no room for, and how often it was seen.
    Overflow(Arc<Buckets>, f64, u64),
    /// A level, and the second since 1970 at which it was one.
    LevelAt(Arc<GaugeCell>, f64, u64),
    /// What was counted, and the second since 1970 at which it was.
    CountAt(Arc<CounterCell>, u64, u64),
}

impl Record {
    /// How many values it stands for.
    pub(crate) fn values(&self) -> u64 {
        match self {
            Self::Overflow(_, _, n) => *n,
            Self::Event(_)
            | Self::ServiceCheck(_)
            | Self::Member(..)
            | Self::LevelAt(..)
            | Self::CountAt(..) => 1,
        }
    }
}
