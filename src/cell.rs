//! The atomics behind the handles: what a call site writes and the worker takes.
//!
//! Every operation here is a handful of atomic instructions. None of them locks, allocates, waits or fails. Where no
//! comment says otherwise the ordering is `Relaxed`: a cell carries one number, and nothing else is published by it.

mod buckets;
mod gauge;
mod occupancy;

pub(crate) use self::buckets::{Buckets, bucket_of};
pub(crate) use self::gauge::GaugeCell;
pub(crate) use self::occupancy::{OccupancyCell, Reading};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was counted since the worker last looked.
#[derive(Debug, Default)]
pub(crate) struct CounterCell(AtomicU64);

impl CounterCell {
    /// Adds; wraps at 2^64, which takes 58 years at ten a nanosecond without a flush.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes the count and starts again at 0.
    pub(crate) fn take(&self) -> u64 {
        // An idle counter is read, not written: its line stays where it is.
        if self.0.load(Ordering::Relaxed) == 0 { 0 } else { self.0.swap(0, Ordering::Relaxed) }
    }
}

/// A set has no number: its members cross the channel. The cell is what its handles and records share.
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
    /// Whether anything but this one reference, the context's own, holds the cell: a handle, a guard or a record.
    pub(crate) fn is_held(&self) -> bool {
        let references = match self {
            Self::Gauge(cell) => Arc::strong_count(cell),
            Self::Counter(cell) => Arc::strong_count(cell),
            Self::Distribution(cell) => Arc::strong_count(cell),
            Self::Set(cell) => Arc::strong_count(cell),
            Self::Occupancy(cell) => Arc::strong_count(cell),
        };
        references > 1
    }
}
