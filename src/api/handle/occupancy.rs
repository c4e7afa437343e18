//! How much of a capacity is in use, over time.

use super::metric::{CellHandle, Metric};
use super::options::Options;
use crate::cell::{Cell, CounterBlock, OccupancyCell};
use crate::mailbox::shared::Shared;
use crate::process::clock::Clock;
use crate::process::fork;
use std::sync::Arc;

/// How much of a capacity is in use: connections held, requests in flight, workers busy.
///
/// Reports three gauges at every flush: `<name>.in_use` at the flush, `<name>.in_use.max`, the most units at once since
/// the last one, and `<name>.utilization`, the time that units were in use since the last flush divided by the time
/// there was times the capacity. Without a capacity (0) there is no utilization.
///
/// That is exact, however many threads and operations there are: nothing is sampled, and a unit held for a microsecond
/// counts for a microsecond. If a thread is interrupted in the middle of an operation, after it has read the clock, and
/// a flush comes before it goes on, then its operation counts at the next flush: time that it adds to the earlier
/// interval, or takes off it, is part of a later utilization. So the utilizations always add up to the time in use, and
/// none is below 0 or above `<name>.in_use.max` divided by the capacity.
///
/// Acquiring and releasing each read the monotonic clock, [`Instant`](std::time::Instant), which is most of what they
/// cost, and add to two atomics: nothing less tells how long a unit was held, whichever processor gives it back.
///
/// Up to 16,777,215 units at once, and up to 292 years of units between two flushes: 100,000 units for a day, or all
/// 16,777,215 for 9 minutes. Clones share one cell.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let connections = client.occupancy("db.connections", 10).tag("pool", "primary").register();
/// {
///     let _connection = connections.acquire();
///     // … in use until here, also when this panics
/// }
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an occupancy is reported while a handle is alive"]
pub struct Occupancy {
    cell: Arc<OccupancyCell>,
}

impl Occupancy {
    /// Takes a unit into use until the guard is dropped.
    #[inline]
    pub fn acquire(&self) -> Occupied<'_> {
        Occupied { cell: &self.cell, generation: enter(&self.cell) }
    }

    /// As [`acquire`](Self::acquire), with a guard that can be moved into a tokio task or another thread.
    #[inline]
    pub fn acquire_owned(&self) -> OwnedOccupied {
        OwnedOccupied { generation: enter(&self.cell), cell: Arc::clone(&self.cell) }
    }

    /// Changes the capacity. It holds for the whole of the current flush interval.
    pub fn set_capacity(&self, capacity: u32) {
        self.cell.set_capacity(capacity);
    }
}

/// Takes a unit, and says in which process of those that forks make that was.
#[inline]
fn enter(cell: &OccupancyCell) -> u32 {
    fork::check();
    cell.acquire(cell.now());
    fork::generation()
}

#[inline]
fn leave(cell: &OccupancyCell, generation: u32) {
    // A unit that was acquired before a fork is the parent's to give back.
    if generation == fork::generation() {
        cell.release(cell.now());
    }
}

/// A unit in use. Dropping it gives the unit back, panics included.
#[derive(Debug)]
#[must_use = "the unit is given back when this is dropped: `let _unit`, not `let _`"]
pub struct Occupied<'a> {
    cell: &'a OccupancyCell,
    generation: u32,
}

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        leave(self.cell, self.generation);
    }
}

/// A unit in use that can be moved. Dropping it gives the unit back, panics included.
#[derive(Debug)]
#[must_use = "the unit is given back when this is dropped: `let _unit`, not `let _`"]
pub struct OwnedOccupied {
    cell: Arc<OccupancyCell>,
    generation: u32,
}

impl Drop for OwnedOccupied {
    fn drop(&mut self) {
        leave(&self.cell, self.generation);
    }
}

/// Reports nothing, as the handles of a [disabled client](crate::Client::disabled).
impl Default for Occupancy {
    fn default() -> Self {
        Self::disabled()
    }
}

impl Metric for Occupancy {}

impl CellHandle for Occupancy {
    type Cell = OccupancyCell;
    // Three lines each at every flush, used or not.
    const MAX_MEMBERS: usize = 256;

    fn new_cell(options: Options, _: &mut CounterBlock, clock: &Clock) -> Arc<OccupancyCell> {
        Arc::new(OccupancyCell::new(options.capacity.unwrap_or(0), clock.now(), clock.clone()))
    }

    fn unread_cell() -> Arc<Self::Cell> {
        let clock = Clock::monotonic();
        Arc::new(OccupancyCell::new(0, clock.now(), clock))
    }

    fn wrap(cell: Arc<OccupancyCell>) -> Cell {
        Cell::Occupancy(cell)
    }

    fn pick(cell: &Cell) -> Option<&Arc<OccupancyCell>> {
        if let Cell::Occupancy(cell) = cell { Some(cell) } else { None }
    }

    fn adjust(cell: &OccupancyCell, options: Options) {
        if let Some(capacity) = options.capacity {
            cell.set_capacity(capacity);
        }
    }

    fn handle(cell: Arc<OccupancyCell>, _: &Arc<Shared>) -> Self {
        Self { cell }
    }

    fn cell(&self) -> &Arc<OccupancyCell> {
        &self.cell
    }
}
