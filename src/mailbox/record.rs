//! The records of the channel: values that don't fit into a cell.

use crate::cell::{Buckets, CounterCell, GaugeCell, SetCell};
use crate::vocabulary::event::{Event, ServiceCheck};
use crate::vocabulary::member::Member;
use std::sync::Arc;

/// A record for the worker.
#[derive(Debug)]
pub(crate) enum Record {
    Event(Box<Event>),
    ServiceCheck(Box<ServiceCheck>),
    /// A member that was added to a set.
    Member(Arc<SetCell>, Member),
    /// A value that did not fit into a distribution's table, and how often it was seen.
    Overflow(Arc<Buckets>, f64, u64),
    /// A level with its timestamp, in seconds since 1970.
    LevelAt(Arc<GaugeCell>, f64, u64),
    /// A count with its timestamp, in seconds since 1970.
    CountAt(Arc<CounterCell>, u64, u64),
}

impl Record {
    /// Returns the number of values that the record stands for.
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
