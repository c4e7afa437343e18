//! Occupancies.

use super::metric::{CellHandle, Metric};
use super::options::Options;
use crate::cell::{Cell, CounterBlock, OccupancyCell};
use crate::mailbox::shared::Shared;
use crate::process::clock::Clock;
use crate::process::fork;
use std::sync::Arc;

/// The share of a capacity that is in use: connections held, requests in flight, workers busy.
///
/// Every flush reports three gauges:
///
/// - `<name>.in_use` is the number of units in use at the flush.
/// - `<name>.in_use.max` is the maximum number of units in use at the same time since the last flush.
/// - `<name>.utilization` is the sum of the times that units were in use since the last flush, divided by the length of
///   that interval times the capacity. It is not reported if the capacity is 0.
///
/// Acquire a unit once the caller has what it stands for, for example after the pool has returned a connection. A unit
/// that is acquired earlier is also in use while its caller waits. The capacity limits nothing: the utilization is above
/// 1 if more units are in use.
///
/// The utilization is exact for any number of threads and operations. Nothing is sampled: a unit held for a microsecond
/// counts for a microsecond.
///
/// An operation may be interrupted after it has read the clock, and a flush may come before it continues. The operation
/// then counts at the next flush, and the time that it adds or subtracts becomes part of a later utilization. The
/// utilizations therefore always add up to the time in use. None is below 0, or above `<name>.in_use.max` divided by
/// the capacity.
///
/// Acquiring and releasing each read the monotonic clock, [`Instant`](std::time::Instant), and add to two atomics. Reading
/// the clock is most of their cost. Nothing less can measure how long a unit was held if another processor may release
/// it.
///
/// Up to 16,777,215 units can be in use at once. Between two flushes they can add up to 292 years: 100,000 units for a
/// day, or all 16,777,215 for 9 minutes. Clones share one cell.
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
    /// Acquires a unit, which is in use until the guard is dropped.
    #[inline]
    pub fn acquire(&self) -> Occupied<'_> {
        Occupied { cell: &self.cell, generation: enter(&self.cell) }
    }

    /// Does the same as [`acquire`](Self::acquire), with a guard that can be moved into a tokio task or another thread.
    #[inline]
    pub fn acquire_owned(&self) -> OwnedOccupied {
        OwnedOccupied { generation: enter(&self.cell), cell: Arc::clone(&self.cell) }
    }

    /// Acquires a unit at a time of the client's clock, for a guard that does more than to release it. The process is
    /// known to be set up.
    #[inline]
    pub(crate) fn enter_here(&self, now: u64) {
        self.cell.acquire(now);
    }

    /// Releases a unit that this process acquired.
    #[inline]
    pub(crate) fn leave_here(&self, now: u64) {
        self.cell.release(now);
    }

    /// Returns the number of units in use.
    pub(crate) fn in_use(&self) -> u64 {
        self.cell.in_use()
    }

    /// Changes the capacity. The change applies to the whole of the current flush interval.
    pub fn set_capacity(&self, capacity: u32) {
        self.cell.set_capacity(capacity);
    }
}

/// Acquires a unit, and returns the generation of the process that did so.
#[inline]
fn enter(cell: &OccupancyCell) -> u32 {
    fork::check();
    cell.acquire(cell.now());
    fork::generation()
}

#[inline]
fn leave(cell: &OccupancyCell, generation: u32) {
    // The parent releases a unit that was acquired before a fork.
    if generation == fork::generation() {
        cell.release(cell.now());
    }
}

/// A unit in use. Dropping it releases the unit, also during a panic.
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

/// A unit in use that can be moved. Dropping it releases the unit, also during a panic.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let workers = client.occupancy("workers", 8).register();
/// let worker = workers.acquire_owned();
/// let job = std::thread::spawn(move || {
///     // … the job
///     drop(worker);
/// });
/// assert!(job.join().is_ok());
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
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

/// Returns a handle that reports nothing, like those of a [disabled client](crate::Client::disabled).
impl Default for Occupancy {
    fn default() -> Self {
        Self::disabled()
    }
}

impl Metric for Occupancy {}

impl CellHandle for Occupancy {
    type Cell = OccupancyCell;
    // Each member sends three lines at every flush, whether it was used or not.
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
