//! Gauges.

use super::builder::MetricBuilder;
use super::metric::{CellHandle, Metric};
use super::options::Options;
use crate::cell::{Cell, CounterBlock, GaugeCell};
use crate::ledger::DropReason;
use crate::mailbox::record::Record;
use crate::mailbox::shared::Shared;
use crate::process::clock::Clock;
use crate::process::fork;
use crate::vocabulary::event::unix_seconds;
use std::sync::Arc;
use std::time::SystemTime;

/// A level, of which the last value wins. It is sent at every flush.
///
/// A gauge that was never set is not sent. A gauge that is set to a value which is not finite is absent until it is set
/// again, as after [`unset`](Self::unset). Otherwise the last level would be sent forever. A sum that is not finite has
/// the same effect. This is no loss, but [`Stats::unset_gauges`](crate::Stats::unset_gauges) counts each time that a
/// gauge becomes absent in this way.
///
/// Clones share one cell. Using a gauge is one store, and one comparison more with [`peak`](MetricBuilder::peak).
///
/// # How long a gauge is sent
///
/// | what set it | it is sent at every flush |
/// |---|---|
/// | a registered handle, or a clone of it | while a handle is alive; a value that was set before the last one was dropped is sent once |
/// | `tasktag::gauge!` | as long as the process lives, because the call site keeps its handle. A client that was installed after another one, or a [local](crate::with_local_client) one, is called by name: see the next row |
/// | a call by name, such as `client.gauge("limit").set(8.0)` | as long as there is room for its context |
/// | `metrics::gauge!`, or a handle that the facade returned | as long as there is room for its context, and while the handle is alive |
/// | a line of cadence | as long as there is room for its context |
/// | a [pool or a queue](crate::WatchBuilder) | while it is watched and the status has the value |
/// | a call by name that was folded into its metric's overflow context, or a family ranked by [frequency](crate::FrequentFamily) | for 150 flushes after it was last set, because it stands for many values or may lose its slot |
///
/// If a gauge was called by name and also has handles, dropping the last handle ends it, unless it was called by name
/// since the last flush. A later call by name makes it stay again.
///
/// **Room.** If the [client](crate::ClientBuilder::context_limit) refused a context for lack of room, the next flush
/// removes the least recently set gauges. It removes as many as are needed, up to 64. If the
/// [metric](crate::ClientBuilder::metric_context_limit) refused the context, only contexts of that metric are removed.
/// A gauge stays if it has a handle, or if it was set in one of the last two intervals between flushes. Contexts of
/// other kinds that were not called for two flushes are removed before any gauge. A gauge that was removed is back once
/// it is set again.
///
/// **Time.** [`idle_gauges`](crate::ClientBuilder::idle_gauges) ends gauges that have no registered handle and were not
/// set for a given time. By default there is no such time.
///
/// A forked child sends none of its parent's gauges until they are set in the child.
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
    /// Sets the level. Write `len() as f64` for a `usize`. An `f64` holds every whole number up to 2<sup>53</sup>.
    #[inline]
    pub fn set(&self, value: f64) {
        set(&self.cell, &self.shared, value);
    }

    /// Does the same as [`set`](Self::set), if the process is known to be set up.
    #[inline]
    pub(crate) fn set_here(&self, value: f64) {
        set_here(&self.cell, &self.shared, value);
    }

    /// Raises the level by `delta`. A gauge that was never set starts at 0.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let open = client.gauge("connections.open").register();
    /// open.add(1.0); // a connection was accepted
    /// open.sub(1.0); // … and was closed
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn add(&self, delta: f64) {
        add(&self.cell, &self.shared, 0.0, delta);
    }

    /// Does the same as [`add`](Self::add), if the process is known to be set up.
    #[inline]
    pub(crate) fn add_here(&self, delta: f64) {
        add_here(&self.cell, &self.shared, 0.0, delta);
    }

    /// Raises the level by `delta`, from `start` if there is no level.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn add_from(&self, start: f64, delta: f64) {
        add(&self.cell, &self.shared, start, delta);
    }

    /// Lowers the level by `delta`.
    #[inline]
    pub fn sub(&self, delta: f64) {
        add(&self.cell, &self.shared, 0.0, -delta);
    }

    /// Reports a level with an explicit timestamp, to the second, for readings that were taken elsewhere or earlier.
    ///
    /// The last reading with the same timestamp wins. The current level is not changed. The value uses the channel to
    /// the worker.
    ///
    /// The Datadog Agent passes the value on unchanged. Datadog accepts values that are up to 1 h old, or up to 10 min
    /// in the future.
    ///
    /// The value is refused and counted as `unsupported` if the protocol has no timestamps, which is so for StatsD and
    /// for [`Protocol`](crate::Protocol) versions before 1.3. It is refused and counted as `invalid` if the timestamp
    /// is before 1970.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use std::time::{Duration, SystemTime};
    ///
    /// // A meter that is read once a minute says when it was read.
    /// let read_at = SystemTime::now() - Duration::from_secs(40);
    /// client.gauge("meter.watts").register().set_at(812.5, read_at);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn set_at(&self, value: f64, at: SystemTime) {
        set_at(&self.cell, &self.shared, value, at);
    }

    /// Returns the level, if there is one.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn level(&self) -> Option<f64> {
        self.cell.value()
    }

    /// Returns the level to add to, which is `start` for a gauge that was never set.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn level_or(&self, start: f64) -> f64 {
        self.cell.value_or(start)
    }

    /// Makes the gauge absent until it is set again, because its level is no longer known.
    ///
    /// Neither the level nor its peak is sent, not even for the interval in which the gauge was unset. The next
    /// [`add`](Self::add) starts at 0.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let lag = client.gauge("replica.lag_seconds").register();
    /// lag.set(4.0);
    /// lag.unset(); // the replica does not answer: no lag is known, and 4 s would look as if one were
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn unset(&self) {
        fork::check();
        self.cell.unset();
    }
}

#[inline]
fn set(cell: &GaugeCell, shared: &Shared, value: f64) {
    fork::check();
    set_here(cell, shared, value);
}

#[inline]
fn set_here(cell: &GaugeCell, shared: &Shared, value: f64) {
    if value.is_finite() {
        cell.set(value);
    } else {
        unset(cell, shared);
    }
}

#[inline]
fn add(cell: &GaugeCell, shared: &Shared, start: f64, delta: f64) {
    fork::check();
    add_here(cell, shared, start, delta);
}

#[inline]
fn add_here(cell: &GaugeCell, shared: &Shared, start: f64, delta: f64) {
    if cell.add_from(start, delta) {
        note_unset(shared);
    }
}

#[cold]
fn unset(cell: &GaugeCell, shared: &Shared) {
    if cell.unset() {
        note_unset(shared);
    }
}

/// This is no loss, because the absence of a level is what was reported. An idle source reports it again and again.
#[cold]
fn note_unset(shared: &Shared) {
    shared.ledger.unset_gauges.add(1);
}

fn set_at(cell: &Arc<GaugeCell>, shared: &Shared, value: f64, at: SystemTime) -> Option<DropReason> {
    match unix_seconds(at) {
        seconds @ 1.. if value.is_finite() => shared.offer(Record::LevelAt(Arc::clone(cell), value, seconds)),
        _ => shared.refuse(DropReason::Invalid, 1),
    }
}

impl MetricBuilder<'_, Gauge> {
    /// Also reports `<name>.max`, the highest level since the last flush. A reading every few seconds would miss short
    /// spikes. This is off by default.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let in_use = client.gauge("pool.in_use").peak().register();
    /// in_use.set(10.0);
    /// in_use.set(2.0); // `pool.in_use:2|g|…` and `pool.in_use.max:10|g|…`
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn peak(self) -> Self {
        let mut builder = self.spelled_out();
        builder.named.options.peak = true;
        builder
    }

    /// Sets the level by name. It is sent at every flush from then on: [`Gauge`] says for how long.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// client.gauge("build_info").tag("version", env!("CARGO_PKG_VERSION")).set(1.0); // once, at start
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn set(self, value: f64) {
        self.try_set(value);
    }

    /// Does the same as [`set`](Self::set), and returns the reason if the value was dropped.
    #[inline]
    pub(crate) fn try_set(self, value: f64) -> Option<DropReason> {
        self.call(1, move |cell, shared| {
            set(cell, shared, value);
            None
        })
    }

    /// Raises the level by name.
    #[inline]
    pub fn add(self, delta: f64) {
        self.call(1, move |cell, shared| {
            add(cell, shared, 0.0, delta);
            None
        });
    }

    /// Reports a level with an explicit timestamp by name. See [`Gauge::set_at`].
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

/// Returns a handle that reports nothing, like those of a [disabled client](crate::Client::disabled).
impl Default for Gauge {
    fn default() -> Self {
        Self::disabled()
    }
}

impl Metric for Gauge {}

impl CellHandle for Gauge {
    type Cell = GaugeCell;

    fn new_cell(options: Options, _: &mut CounterBlock, _: &Clock) -> Arc<GaugeCell> {
        let cell = GaugeCell::new();
        Self::adjust(&cell, options);
        Arc::new(cell)
    }

    fn unread_cell() -> Arc<Self::Cell> {
        Arc::new(GaugeCell::new())
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
