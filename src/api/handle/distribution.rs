//! Distributions, histograms and timings.

use super::builder::MetricBuilder;
use super::metric::{CellHandle, Metric};
use super::options::Options;
use crate::api::disabled::disabled;
use crate::cell::{Buckets, Cell, CounterBlock, Start, countable};
use crate::ledger::DropReason;
use crate::mailbox::record::Record;
use crate::mailbox::shared::Shared;
use crate::process::clock::{Clock, nanos};
use crate::process::fork;
use crate::vocabulary::unit::TimeUnit;
use std::sync::Arc;
use std::time::Duration;

const NANOS_PER_MS: f64 = 1e6;

/// Values whose quantiles matter: a distribution, a histogram or a timing, depending on the client's method that was
/// called.
///
/// Each context collects its values in logarithmic buckets, 128 per octave, at any rate. Counts are exact. Several
/// values in one bucket are reported as one value that was seen in that bucket, with an error of less than 1/128. A
/// single value in a bucket is reported exactly. Values closer to 0 than 2.2e-308 count as 0.
///
/// There is room for at least 4,096 buckets per flush interval: 32 consecutive octaves, or 16 of each sign. Values
/// beyond that range use the channel to the worker.
///
/// # Memory
///
/// A context starts with a table of 31 buckets. If an interval has more, or if many values share a part of the table,
/// the context gets a larger table, and keeps it for as long as it is known. The tables of a context together take
///
/// | buckets in use in an interval | KiB |
/// |---|---|
/// | up to 30 | 0.5 |
/// | about 110 | 2.5 |
/// | about 550, as of thousands of latencies | 12.5 |
/// | about 1,300 | 36.5 |
/// | 4,096 | 100.5 |
///
/// If the stock has no table of a size, the next larger one is taken. If threads record so often that they slow each
/// other down, they get tables of their own at the next flush, however few buckets they use. There are up to 7 of them,
/// with 10 KiB each.
///
/// No record allocates: each client has tables in stock, 100 KiB for one distribution and up to 336 KiB for many. The
/// worker replaces those that were used at the next collection, within 250 ms by default. A record that takes a table
/// wakes a worker that rests, and one that takes the last of a size any worker. If the stock is used up, values use the
/// channel, and the worker makes room.
///
/// Clones share one cell. Values that are not finite are refused and counted.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let latency = client.timing("db.query").tag("pool", "primary").register();
/// latency.record(12.5); // milliseconds
/// {
///     let _timer = latency.start();
///     // … the time until here is recorded when the timer is dropped
/// }
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a distribution has only the values that are recorded with it"]
pub struct Distribution {
    cell: Arc<Buckets>,
    shared: Arc<Shared>,
}

impl Distribution {
    /// Records a value in the metric's unit, which is milliseconds for a timing. Write `len() as f64` for a `usize`,
    /// and [`record_duration`](Self::record_duration) for a `Duration`.
    #[inline]
    pub fn record(&self, value: f64) {
        record(&self.cell, &self.shared, value, 1);
    }

    /// Does the same as [`record`](Self::record), if the process is known to be set up.
    #[inline]
    pub(crate) fn record_here(&self, value: f64) {
        record_here(&self.cell, &self.shared, value, 1);
    }

    /// Records a value `n` times.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let size = client.distribution("batch.rows").register();
    /// size.record_many(500.0, 3); // three batches of 500 rows
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn record_many(&self, value: f64, n: u64) {
        record(&self.cell, &self.shared, value, n);
    }

    /// Records a duration in milliseconds. This is the unit for every kind.
    #[inline]
    pub fn record_duration(&self, duration: Duration) {
        self.record(ms(nanos(duration)));
    }

    /// Records nanoseconds in milliseconds, if the process is known to be set up.
    #[inline]
    pub(crate) fn record_nanos_here(&self, nanos: u64) {
        self.record_here(ms(nanos));
    }

    /// Starts a timer that records its lifetime when it is dropped.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// fn find(query: &tasktag::Distribution, id: &str) -> Result<u32, std::num::ParseIntError> {
    ///     let _timer = query.start();
    ///     let id = id.parse()?; // … the time until here is recorded if it fails
    ///     Ok(id)
    /// } // … and the time until here if not
    ///
    /// let query = client.timing("db.query").register();
    /// assert_eq!(find(&query, "42"), Ok(42));
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn start(&self) -> Timer<'_> {
        Timer { distribution: self, start: Start::now(&self.shared.clock) }
    }

    /// Does the same as [`start`](Self::start), with a timer that can be moved into a tokio task or another thread.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let waited = client.timing("queue.wait").tag("queue", "mail").register().start_owned();
    /// std::thread::spawn(move || {
    ///     drop(waited); // the wait began when the job was queued, and ends now
    /// });
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn start_owned(&self) -> OwnedTimer {
        OwnedTimer { distribution: self.clone(), start: Some(Start::now(&self.shared.clock)) }
    }

    /// Sets the unit of time of all values, before any value is recorded.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "for a bridge that is optional"))]
    pub(crate) fn note_unit(&self, unit: TimeUnit) {
        self.cell.unit.set(unit);
    }

    /// Records the time since a start, and returns it.
    fn record_since(&self, start: Start) -> Duration {
        let elapsed = Duration::from_nanos(start.until(self.shared.clock.now()));
        // A timer that was running at a fork continues in the parent, which records it.
        if start.is_here() {
            self.record_duration(elapsed);
        }
        elapsed
    }
}

#[inline]
fn record(cell: &Arc<Buckets>, shared: &Shared, value: f64, n: u64) -> Option<DropReason> {
    fork::check();
    record_here(cell, shared, value, n)
}

#[inline]
fn record_here(cell: &Arc<Buckets>, shared: &Shared, value: f64, n: u64) -> Option<DropReason> {
    // What is not countable is not found there, and so found out later.
    if cell.add_at_once(value, n) { None } else { record_in_lane(cell, shared, value, n, record_apart) }
}

// The rare cases are out of line, each behind the more frequent one, so that no call site pays for them.

/// It is generic, and thus compiled in the crate that records, where on Linux the thread's lane is read without a call.
/// `inline(never)` would have it compiled here after all.
#[cold]
fn record_in_lane(
    cell: &Arc<Buckets>,
    shared: &Shared,
    value: f64,
    n: u64,
    otherwise: impl FnOnce(&Arc<Buckets>, &Shared, f64, u64) -> Option<DropReason>,
) -> Option<DropReason> {
    if cell.add_in_lane(value, n) { None } else { otherwise(cell, shared, value, n) }
}

#[inline(never)]
fn record_apart(cell: &Arc<Buckets>, shared: &Shared, value: f64, n: u64) -> Option<DropReason> {
    if cell.add_apart(value, n) { None } else { record_with_care(cell, shared, value, n) }
}

#[cold]
#[inline(never)]
fn record_with_care(cell: &Arc<Buckets>, shared: &Shared, value: f64, n: u64) -> Option<DropReason> {
    let Some(value) = countable(value) else {
        return shared.refuse(DropReason::Invalid, n);
    };
    if n == 0 || cell.add(value, n, shared.stock()) {
        return None;
    }
    let refused = shared.offer(Record::Overflow(Arc::clone(cell), value, n));
    shared.post().ask_for_room();
    refused
}

fn ms(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_MS
}

/// A running measurement. Dropping it records the time since its start, in milliseconds. A child that was forked in the
/// meantime records nothing.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let took = client.timing("db.query").register();
/// let timer = took.start();
/// // … the query
/// println!("the query took {:?}", timer.stop());
///
/// let timer = took.start();
/// timer.discard(); // there was nothing to ask, and so there is no value
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use = "a timer records when it is dropped: `let _timer`, not `let _`"]
pub struct Timer<'a> {
    distribution: &'a Distribution,
    start: Start,
}

impl Timer<'_> {
    /// Ends the measurement, records it as dropping does, and returns its duration.
    #[allow(clippy::must_use_candidate, reason = "it records, whatever becomes of the answer")]
    pub fn stop(self) -> Duration {
        let elapsed = self.distribution.record_since(self.start);
        self.discard();
        elapsed
    }

    /// Ends the measurement without recording it.
    pub fn discard(self) {
        std::mem::forget(self);
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.distribution.record_since(self.start);
    }
}

/// A running measurement that can be moved. Dropping it records the time since its start, in milliseconds. A child that
/// was forked in the meantime records nothing.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let timer = client.timing("import.took").register().start_owned();
/// let import = std::thread::spawn(move || {
///     // … the import
///     timer.stop()
/// });
/// assert!(import.join().is_ok());
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use = "a timer records when it is dropped: `let _timer`, not `let _`"]
pub struct OwnedTimer {
    distribution: Distribution,
    // `None` once the measurement has ended.
    start: Option<Start>,
}

impl OwnedTimer {
    /// Ends the measurement, records it as dropping does, and returns its duration.
    #[allow(clippy::must_use_candidate, reason = "it records, whatever becomes of the answer")]
    pub fn stop(mut self) -> Duration {
        self.end()
    }

    /// Ends the measurement without recording it.
    pub fn discard(mut self) {
        self.start = None;
    }

    fn end(&mut self) -> Duration {
        let Some(start) = self.start.take() else { return Duration::ZERO };
        self.distribution.record_since(start)
    }
}

impl Drop for OwnedTimer {
    fn drop(&mut self) {
        self.end();
    }
}

impl MetricBuilder<'_, Distribution> {
    /// Records a value by name.
    #[inline]
    pub fn record(self, value: f64) {
        self.try_record_many(value, 1);
    }

    /// Records a value `n` times by name.
    #[inline]
    pub fn record_many(self, value: f64, n: u64) {
        self.try_record_many(value, n);
    }

    /// Does the same as [`record_many`](Self::record_many), and returns the reason if the value was dropped.
    #[inline]
    pub(crate) fn try_record_many(self, value: f64, n: u64) -> Option<DropReason> {
        self.call(n, move |cell, shared| record(cell, shared, value, n))
    }

    /// Records a duration by name, in milliseconds.
    pub fn record_duration(self, duration: Duration) {
        self.record(ms(nanos(duration)));
    }
}

/// Returns a handle that reports nothing, like those of a [disabled client](crate::Client::disabled).
impl Default for Distribution {
    fn default() -> Self {
        Self::disabled()
    }
}

impl Metric for Distribution {}

impl CellHandle for Distribution {
    type Cell = Buckets;
    // If all of them are busy, their tables take 43 MiB.
    const MAX_MEMBERS: usize = 256;
    const IS_LARGE: bool = true;

    fn new_cell(_: Options, _: &mut CounterBlock, _: &Clock) -> Arc<Buckets> {
        Arc::new(Buckets::new())
    }

    fn prepare(shared: &Shared) {
        shared.expect_distribution();
    }

    fn unread_cell() -> Arc<Self::Cell> {
        Arc::clone(&disabled().distribution)
    }

    fn wrap(cell: Arc<Buckets>) -> Cell {
        Cell::Distribution(cell)
    }

    fn pick(cell: &Cell) -> Option<&Arc<Buckets>> {
        if let Cell::Distribution(cell) = cell { Some(cell) } else { None }
    }

    fn handle(cell: Arc<Buckets>, shared: &Arc<Shared>) -> Self {
        Self { cell, shared: Arc::clone(shared) }
    }

    fn cell(&self) -> &Arc<Buckets> {
        &self.cell
    }
}
