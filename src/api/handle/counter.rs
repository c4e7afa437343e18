//! Counters.

use super::builder::MetricBuilder;
use super::metric::{CellHandle, Metric};
use super::options::Options;
use crate::api::disabled::disabled;
use crate::cell::{Cell, CounterBlock, CounterCell};
use crate::ledger::DropReason;
use crate::mailbox::record::Record;
use crate::mailbox::shared::Shared;
use crate::process::clock::Clock;
use crate::vocabulary::event::unix_seconds;
use std::sync::Arc;
use std::time::SystemTime;

/// A count of what happened. Each flush sends what was added since the last one, and nothing for 0.
///
/// Clones share one cell. Each thread adds to a word of its own, for up to twice as many threads as there are
/// processors. Further threads share one word, with an atomic addition. The worker sums the words up. What a thread
/// counted is kept when the thread ends.
///
/// A counter may be used in a [signal handler](crate#signal-handlers). If the handler interrupts an increment of the
/// same counter on the same thread, the count is exact only in optimized builds for x86-64.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let done = client.counter("jobs.done").tag("queue", "within_1_minute").register();
/// done.increment(1);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a counter counts nothing unless it is incremented"]
pub struct Counter {
    cell: Arc<CounterCell>,
    shared: Arc<Shared>,
}

impl Counter {
    /// Adds `n`. A sum of 2^64 or more between two flushes wraps around.
    #[inline]
    pub fn increment(&self, n: u64) {
        self.cell.add(n);
    }

    /// Reports a count of `n` with an explicit timestamp, to the second, for counts that were made elsewhere or
    /// earlier.
    ///
    /// Counts with the same timestamp are added up. The current count is not changed. Nothing is sent for 0. The value
    /// uses the channel to the worker.
    ///
    /// [`Gauge::set_at`](crate::Gauge::set_at) says when it is refused.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use std::time::{Duration, SystemTime};
    ///
    /// // What a device counted while it was out of reach.
    /// let counted_at = SystemTime::now() - Duration::from_secs(30 * 60);
    /// client.counter("turnstile.passed").register().increment_at(214, counted_at);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn increment_at(&self, n: u64, at: SystemTime) {
        increment_at(&self.cell, &self.shared, n, at);
    }
}

impl Counter {
    /// Returns what was added to the cell since it was made, modulo 2^64.
    pub(crate) fn sum(&self) -> u64 {
        self.cell.sum()
    }
}

fn increment_at(cell: &Arc<CounterCell>, shared: &Shared, n: u64, at: SystemTime) -> Option<DropReason> {
    // Nothing is sent for 0, as with the current count.
    if n == 0 {
        return None;
    }
    match unix_seconds(at) {
        seconds @ 1.. => shared.offer(Record::CountAt(Arc::clone(cell), n, seconds)),
        0 => shared.refuse(DropReason::Invalid, 1),
    }
}

impl MetricBuilder<'_, Counter> {
    /// Adds `n` by name.
    #[inline]
    pub fn increment(self, n: u64) {
        self.try_increment(n);
    }

    /// Does the same as [`increment`](Self::increment), and returns the reason if the value was dropped.
    #[inline]
    pub(crate) fn try_increment(self, n: u64) -> Option<DropReason> {
        self.call(1, move |cell, _| {
            cell.add(n);
            None
        })
    }

    /// Subtracts `n` by name, or returns the reason why not. It is for integrations whose counters can count down.
    #[allow(dead_code, reason = "not every build has such a neighbour")]
    pub(crate) fn try_decrement(self, n: u64) -> Option<DropReason> {
        self.call(1, move |cell, _| {
            cell.take_off(n);
            None
        })
    }

    /// Reports a count with an explicit timestamp by name. See [`Counter::increment_at`].
    pub fn increment_at(self, n: u64, at: SystemTime) {
        self.try_increment_at(n, at);
    }

    pub(crate) fn try_increment_at(self, n: u64, at: SystemTime) -> Option<DropReason> {
        self.call(1, |cell, shared| increment_at(cell, shared, n, at))
    }
}

/// Returns a handle that reports nothing, like those of a [disabled client](crate::Client::disabled).
impl Default for Counter {
    fn default() -> Self {
        Self::disabled()
    }
}

impl Metric for Counter {}

impl CellHandle for Counter {
    type Cell = CounterCell;

    fn new_cell(_: Options, counters: &mut CounterBlock, _: &Clock) -> Arc<CounterCell> {
        Arc::new(counters.cell())
    }

    fn unread_cell() -> Arc<Self::Cell> {
        Arc::clone(&disabled().counter)
    }

    fn wrap(cell: Arc<CounterCell>) -> Cell {
        Cell::Counter(cell)
    }

    fn pick(cell: &Cell) -> Option<&Arc<CounterCell>> {
        if let Cell::Counter(cell) = cell { Some(cell) } else { None }
    }

    fn handle(cell: Arc<CounterCell>, shared: &Arc<Shared>) -> Self {
        Self { cell, shared: Arc::clone(shared) }
    }

    fn cell(&self) -> &Arc<CounterCell> {
        &self.cell
    }
}
