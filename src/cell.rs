//! The atomics behind the handles: what a call site writes and the worker takes.
//!
//! Every operation here is a handful of atomic instructions. None of them locks, allocates, waits or fails. Unless a
//! comment says otherwise, the ordering is `Relaxed`, because a cell carries one number and publishes nothing else.

mod bucket;
mod buckets;
mod chain;
mod counter;
mod gauge;
mod holds;
mod lane;
mod occupancy;
mod slot;
mod start;
mod stays;
mod stock;
mod table;
mod tally;

pub(crate) use self::bucket::{bucket_of, countable};
pub(crate) use self::buckets::Buckets;
pub(crate) use self::counter::{Counted, CounterBlock, CounterCell, CounterGrid};
pub(crate) use self::gauge::GaugeCell;
pub(crate) use self::holds::{Entry, Holds};
pub(crate) use self::lane::AT_FORK;
pub(crate) use self::occupancy::{OccupancyCell, Reading, Unit};
pub(crate) use self::start::Start;
pub(crate) use self::stays::{Place, Stays};
pub(crate) use self::stock::Stock;

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// A set has no number, because its members cross the channel. Its handles and records share this cell.
#[derive(Debug, Default)]
pub(crate) struct SetCell;

/// The cell of one context.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Gauge(Arc<GaugeCell>),
    Counter(Arc<CounterCell>),
    Distribution(Arc<Buckets>),
    Set(Arc<SetCell>),
    Occupancy(Arc<OccupancyCell>),
}

impl Cell {
    /// Returns whether it is that of a gauge whose peak is kept.
    pub(crate) fn keeps_peak(&self) -> bool {
        matches!(self, Self::Gauge(cell) if cell.keeps_peak())
    }

    /// Returns whether it is that of an occupancy whose oldest unit is known.
    pub(crate) fn keeps_oldest(&self) -> bool {
        matches!(self, Self::Occupancy(cell) if cell.keeps_oldest())
    }

    /// Returns whether there are more references to the cell than the `known` ones.
    pub(crate) fn is_held_by_more_than(&self, known: usize) -> bool {
        let references = match self {
            Self::Gauge(cell) => Arc::strong_count(cell),
            Self::Counter(cell) => Arc::strong_count(cell),
            Self::Distribution(cell) => Arc::strong_count(cell),
            Self::Set(cell) => Arc::strong_count(cell),
            Self::Occupancy(cell) => Arc::strong_count(cell),
        };
        // A thread that dropped its reference may have written to the cell before. Acquire pairs with the Release in
        // the drop of an `Arc`.
        fence(Ordering::Acquire);
        references > known
    }
}
