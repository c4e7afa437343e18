//! Values whose quantiles matter.

use super::builder::{Metric, MetricBuilder, Options};
use crate::cell::{Buckets, Cell, CounterBlock};
use crate::clock::nanos;
use crate::fork;
use crate::ledger::DropReason;
use crate::record::Record;
use crate::shared::Shared;
use std::sync::Arc;
use std::time::Duration;

const NANOS_PER_MS: f64 = 1e6;

/// Values whose quantiles matter: a distribution, a histogram or a timing, as the client was asked for.
///
/// Values fold into logarithmic buckets as they come, 128 an octave, in 64 KiB a context whatever the rate. Counts
/// are exact. A value that shares its bucket is reported as the first one seen in it, off by less than 1/128 of
/// itself; a lone one is reported as it is. An interval in which values fill more than 4,096 buckets (32 octaves in a
/// row, or 16 of each sign) sends the values beyond over the channel. Values nearer to 0 than 2.2e-308 count as 0.
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
pub struct Distribution {
    cell: Arc<Buckets>,
    shared: Arc<Shared>,
}

impl Distribution {
    /// Records a value, in the metric's own unit: milliseconds for a timing.
    #[inline]
    pub fn record(&self, value: f64) {
        record(&self.cell, &self.shared, value, 1);
    }

    /// Records a value `n` times at once.
    #[inline]
    pub fn record_many(&self, value: f64, n: u64) {
        record(&self.cell, &self.shared, value, n);
    }

    /// Records a duration in milliseconds, whatever the kind.
    #[inline]
    pub fn record_duration(&self, duration: Duration) {
        self.record(ms(nanos(duration)));
    }

    /// A timer that records how long it lived when it is dropped.
    #[inline]
    pub fn start(&self) -> Timer<'_> {
        Timer { distribution: self, start: self.shared.clock.now() }
    }
}

#[inline]
fn record(cell: &Arc<Buckets>, shared: &Shared, value: f64, n: u64) {
    fork::check();
    if !value.is_finite() {
        shared.ledger.refuse(DropReason::Invalid, n);
    } else if n != 0 && !cell.add(value, n) {
        overflow(cell, shared, value, n);
    }
}

#[cold]
fn overflow(cell: &Arc<Buckets>, shared: &Shared, value: f64, n: u64) {
    shared.offer(Record::Overflow(Arc::clone(cell), value, n));
}

fn ms(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_MS
}

/// A running measurement. Dropping it records the time since it was started, in milliseconds.
#[derive(Debug)]
#[must_use = "a timer records when it is dropped: `let _timer`, not `let _`"]
pub struct Timer<'a> {
    distribution: &'a Distribution,
    start: u64,
}

impl Timer<'_> {
    /// Ends the measurement, records it as dropping does, and says how long it was.
    #[allow(clippy::must_use_candidate, reason = "it records, whatever becomes of the answer")]
    pub fn stop(self) -> Duration {
        let elapsed = self.elapsed();
        self.distribution.record_duration(elapsed);
        self.discard();
        elapsed
    }

    /// Ends the measurement without recording it.
    pub fn discard(self) {
        std::mem::forget(self);
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.distribution.shared.clock.now().saturating_sub(self.start))
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.distribution.record_duration(self.elapsed());
    }
}

impl MetricBuilder<'_, Distribution> {
    /// Records a value by name.
    #[inline]
    pub fn record(self, value: f64) {
        self.call(1, |cell, shared| record(cell, shared, value, 1));
    }

    /// Records a duration by name, in milliseconds.
    pub fn record_duration(self, duration: Duration) {
        self.record(ms(nanos(duration)));
    }
}

impl Metric for Distribution {
    type Cell = Buckets;

    fn new_cell(_: Options, _: &mut CounterBlock) -> Arc<Buckets> {
        Arc::new(Buckets::new())
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
}
