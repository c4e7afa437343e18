//! Occupancies.

use super::builder::MetricBuilder;
use super::metric::{CellHandle, Metric};
use super::options::Options;
use crate::cell::{Cell, CounterBlock, OccupancyCell, Unit};
use crate::mailbox::shared::Shared;
use crate::process::clock::Clock;
use crate::process::fork;
use std::sync::Arc;

/// The share of a capacity that is in use: connections held, requests in flight, workers busy.
///
/// Every flush reports these gauges:
///
/// - `<name>.in_use` is the number of units in use at the flush.
/// - `<name>.in_use.max` is the maximum number of units in use at the same time since the last flush.
/// - `<name>.utilization` is the sum of the times that units were in use since the last flush, divided by the length of
///   that interval times the capacity. It is not reported if the capacity is 0.
/// - `<name>.oldest_seconds` is how long the unit that has been in use for the longest time has been so at the flush: a
///   job that hangs, a connection that leaks. It is 0 while no unit is in use. It is only reported if
///   [`oldest`](MetricBuilder::oldest) asks for it.
///
/// Acquire a unit once the caller has what it stands for, for example after the pool has returned a connection. A unit
/// that is acquired earlier is also in use while its caller waits. The capacity limits nothing: the utilization is
/// above 1 if more units are in use.
///
/// The utilization is exact for any number of threads and operations. Nothing is sampled: a unit held for a microsecond
/// counts for a microsecond.
///
/// An operation may be interrupted after it has read the clock, and a flush may come before it continues. The operation
/// then counts at the next flush, and the time that it adds or subtracts becomes part of a later utilization. The
/// utilizations therefore always add up to the time in use. None is below 0, or above `<name>.in_use.max` divided by
/// the capacity.
///
/// Acquiring and releasing each read the monotonic clock, [`Instant`](std::time::Instant), and add to two atomics.
/// Reading the clock is most of their cost. Nothing less can measure how long a unit was held if another processor may
/// release it.
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
    /// Acquires a unit, which is in use until the guard is dropped. Several units are as many calls.
    #[inline]
    pub fn acquire(&self) -> Occupied<'_> {
        Occupied { cell: &self.cell, unit: enter(&self.cell) }
    }

    /// Does the same as [`acquire`](Self::acquire), with a guard that can be moved into a tokio task or another thread.
    #[inline]
    pub fn acquire_owned(&self) -> OwnedOccupied {
        OwnedOccupied { unit: enter(&self.cell), cell: Arc::clone(&self.cell) }
    }

    /// Acquires a unit at a time of the client's clock, for a guard that does more than to release it, and knows since
    /// when it is held. The process is known to be set up.
    #[inline]
    pub(crate) fn enter_here(&self, now: u64) {
        self.cell.acquire_without_hold(now);
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

    /// Returns the number of units in use whose age is not known, because 128 others were in use when they were
    /// acquired. While there are any, one of them may be older than `<name>.oldest_seconds` says. It is 0 without
    /// [`oldest`](MetricBuilder::oldest).
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let jobs = client.occupancy("jobs", 0).oldest().register();
    /// let running: Vec<_> = (0..130).map(|_| jobs.acquire()).collect();
    /// assert_eq!(jobs.untracked(), 2);
    /// # drop(running);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn untracked(&self) -> u64 {
        fork::check();
        self.cell.untracked()
    }

    /// Changes the capacity. The change applies to the whole of the current flush interval.
    pub fn set_capacity(&self, capacity: u32) {
        self.cell.set_capacity(capacity);
    }
}

#[inline]
fn enter(cell: &OccupancyCell) -> Unit {
    fork::check();
    cell.acquire(cell.now())
}

/// A unit in use. Dropping it releases the unit, also during a panic.
#[derive(Debug)]
#[must_use = "the unit is given back when this is dropped: `let _unit`, not `let _`"]
pub struct Occupied<'a> {
    cell: &'a OccupancyCell,
    unit: Unit,
}

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        self.cell.give_back(self.unit);
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
    unit: Unit,
}

impl Drop for OwnedOccupied {
    fn drop(&mut self) {
        self.cell.give_back(self.unit);
    }
}

/// Returns a handle that reports nothing, like those of a [disabled client](crate::Client::disabled).
impl Default for Occupancy {
    fn default() -> Self {
        Self::disabled()
    }
}

impl MetricBuilder<'_, Occupancy> {
    /// Also reports `<name>.oldest_seconds`, how long the unit that has been in use for the longest time has been so. A
    /// utilization of 1 does not tell whether the workers are busy or hang. This is off by default.
    ///
    /// The age is exact as long as clearly fewer than 128 units are in use at once, and for up to a year. A unit that
    /// finds no place among the 128 is [counted](Occupancy::untracked). The age is then that of the oldest of the
    /// others, so it is a lower bound. A unit keeps its place as long as it is in use: 128 leaked connections leave
    /// none for others, and the oldest of them is still reported.
    ///
    /// Ask where the metric is first registered: units that are in use when it is first asked for are not in the age.
    /// Neither are those of [holders](crate::Holders), which report `pool.oldest_hold_seconds`.
    ///
    /// Acquiring and releasing take 1.8 times as many instructions as without it, and more while a free place has to be
    /// searched for: 16 times as many, about half a microsecond, while all 128 are taken. They take no lock and
    /// allocate nothing. The ages take 1.1 KiB for each occupancy. A forked child's age is that of what the child
    /// itself acquired.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use std::time::Duration;
    /// use tasktag::Client;
    /// use tasktag::testing::{Capture, ManualClock};
    ///
    /// let (capture, clock) = (Capture::new(), ManualClock::new());
    /// let guard = Client::builder().capture(&capture).clock(&clock).build()?;
    /// let jobs = guard.client().occupancy("jobs", 8).oldest().register();
    /// let _hangs = jobs.acquire();
    /// clock.advance(Duration::from_secs(90));
    /// drop(jobs.acquire());
    /// let metrics = capture.take_metrics()?;
    /// assert!(metrics.iter().any(|metric| metric.name == "jobs.oldest_seconds" && metric.value.number() == Some(90.0)));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oldest(self) -> Self {
        let mut builder = self.spelled_out();
        builder.named.options.oldest = true;
        builder
    }
}

impl Metric for Occupancy {}

impl CellHandle for Occupancy {
    type Cell = OccupancyCell;
    // Each member sends up to four lines at every flush, whether it was used or not.
    const MAX_MEMBERS: usize = 256;

    fn new_cell(options: Options, _: &mut CounterBlock, clock: &Clock) -> Arc<OccupancyCell> {
        let cell = OccupancyCell::new(options.capacity.unwrap_or(0), clock.now(), clock.clone());
        Self::adjust(&cell, options);
        Arc::new(cell)
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
        if options.oldest {
            cell.keep_oldest();
        }
    }

    fn handle(cell: Arc<OccupancyCell>, _: &Arc<Shared>) -> Self {
        Self { cell }
    }

    fn cell(&self) -> &Arc<OccupancyCell> {
        &self.cell
    }
}
