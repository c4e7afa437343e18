//! A level: the last value wins.

use super::builder::{Metric, MetricBuilder, Options};
use crate::cell::{Cell, CounterBlock, GaugeCell};
use crate::clock::Clock;
use crate::event::unix_seconds;
use crate::fork;
use crate::ledger::DropReason;
use crate::record::Record;
use crate::shared::Shared;
use std::sync::Arc;
use std::time::SystemTime;

/// A level that is sent at every flush for as long as a handle to it is alive.
///
/// A gauge that was never set is not sent. Clones share one cell. Using a gauge is a store (and for
/// [`peak`](MetricBuilder::peak) a comparison); values that are not finite are refused and counted.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let utilization = client.gauge("db.pool.utilization").tag("pool", "primary").peak().register();
/// utilization.set(0.83);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a gauge is sent while a handle is alive"]
pub struct Gauge {
    cell: Arc<GaugeCell>,
    shared: Arc<Shared>,
}

impl Gauge {
    /// Sets the level.
    #[inline]
    pub fn set(&self, value: f64) {
        set(&self.cell, &self.shared, value);
    }

    /// Raises the level by `delta`. A gauge that was never set starts at 0.
    #[inline]
    pub fn add(&self, delta: f64) {
        add(&self.cell, &self.shared, 0.0, delta);
    }

    /// Raises the level by `delta`, from `start` where there is none.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn add_from(&self, start: f64, delta: f64) {
        add(&self.cell, &self.shared, start, delta);
    }

    /// Lowers the level by `delta`.
    #[inline]
    pub fn sub(&self, delta: f64) {
        add(&self.cell, &self.shared, 0.0, -delta);
    }

    /// Reports what the level was at a time of its own, to the second: for readings that were taken elsewhere or
    /// earlier. The last one of a second wins; the level at hand stays as it is. Crosses the channel.
    ///
    /// The Datadog Agent passes it on as it is, and Datadog takes what is up to an hour old and not more than ten minutes
    /// ahead. Where there are no timestamps (StatsD, and [`Protocol`](crate::Protocol) before 1.3) it is refused and counted as
    /// `unsupported`, and a time before 1970 as `invalid`.
    pub fn set_at(&self, value: f64, at: SystemTime) {
        set_at(&self.cell, &self.shared, value, at);
    }

    /// The level, if there is one.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn level(&self) -> Option<f64> {
        self.cell.value()
    }

    /// Makes the gauge absent until it is set again: for a level that is not known any more.
    pub fn unset(&self) {
        self.cell.unset();
    }
}

#[inline]
fn set(cell: &GaugeCell, shared: &Shared, value: f64) -> Option<DropReason> {
    fork::check();
    if value.is_finite() {
        cell.set(value);
        None
    } else {
        refuse(shared)
    }
}

#[inline]
fn add(cell: &GaugeCell, shared: &Shared, start: f64, delta: f64) -> Option<DropReason> {
    fork::check();
    if cell.add_from(start, delta).is_some() { None } else { refuse(shared) }
}

fn set_at(cell: &Arc<GaugeCell>, shared: &Shared, value: f64, at: SystemTime) -> Option<DropReason> {
    match unix_seconds(at) {
        seconds @ 1.. if value.is_finite() => shared.offer(Record::LevelAt(Arc::clone(cell), value, seconds)),
        _ => refuse(shared),
    }
}

#[cold]
fn refuse(shared: &Shared) -> Option<DropReason> {
    shared.refuse(DropReason::Invalid, 1)
}

impl MetricBuilder<'_, Gauge> {
    /// Also reports `<name>.max`, the highest level since the last flush: a reading every few seconds hides the spike
    /// that mattered. Off by default.
    pub fn peak(self) -> Self {
        let mut builder = self.spelled_out();
        builder.options.peak = true;
        builder
    }

    /// Sets the level by name. Without a handle it is sent at the next flush, and not again until it is set again.
    #[inline]
    pub fn set(self, value: f64) {
        self.try_set(value);
    }

    /// As [`set`](Self::set); says why it was dropped, if it was.
    #[inline]
    pub(crate) fn try_set(self, value: f64) -> Option<DropReason> {
        self.call(1, move |cell, shared| set(cell, shared, value))
    }

    /// Raises the level by name.
    #[inline]
    pub fn add(self, delta: f64) {
        self.call(1, move |cell, shared| add(cell, shared, 0.0, delta));
    }

    /// Reports by name what the level was at a time of its own; see [`Gauge::set_at`].
    pub fn set_at(self, value: f64, at: SystemTime) {
        self.try_set_at(value, at);
    }

    pub(crate) fn try_set_at(self, value: f64, at: SystemTime) -> Option<DropReason> {
        self.call(1, |cell, shared| set_at(cell, shared, value, at))
    }

    /// Lowers the level by name.
    #[inline]
    pub fn sub(self, delta: f64) {
        self.add(-delta);
    }
}

impl Metric for Gauge {
    type Cell = GaugeCell;

    fn new_cell(options: Options, _: &mut CounterBlock, _: &Clock) -> Arc<GaugeCell> {
        let cell = GaugeCell::new();
        Self::adjust(&cell, options);
        Arc::new(cell)
    }

    fn wrap(cell: Arc<GaugeCell>) -> Cell {
        Cell::Gauge(cell)
    }

    fn pick(cell: &Cell) -> Option<&Arc<GaugeCell>> {
        if let Cell::Gauge(cell) = cell { Some(cell) } else { None }
    }

    fn adjust(cell: &GaugeCell, options: Options) {
        if options.peak {
            cell.keep_peak();
        }
    }

    fn handle(cell: Arc<GaugeCell>, shared: &Arc<Shared>) -> Self {
        Self { cell, shared: Arc::clone(shared) }
    }

    fn cell(&self) -> &Arc<GaugeCell> {
        &self.cell
    }
}
