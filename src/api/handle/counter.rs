//! How often something happened.

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

/// A count of what happened. What was added since the last flush is sent; nothing is sent for 0.
///
/// Clones share one cell. Each thread adds in a word of its own, as long as there are no more threads than twice the
/// processors; the others share one, with an atomic addition. The worker sums them up, and what a thread counted stays
/// when it ends.
///
/// A [signal handler](crate#signal-handlers) may count. An increment that it interrupts in the middle, of the same counter
/// on the same thread, is exact in builds with optimization for x86-64 alone.
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
    /// Adds `n`. What comes to 2^64 or more from one flush to the next wraps.
    #[inline]
    pub fn increment(&self, n: u64) {
        self.cell.add(n);
    }

    /// Reports that `n` were counted at a time of its own, to the second: for counts that were made elsewhere or
    /// earlier. Those of a second are added up; the count at hand stays as it is. Nothing is sent for 0. Crosses the channel.
    ///
    /// When it is refused is said at [`Gauge::set_at`](crate::Gauge::set_at).
    pub fn increment_at(&self, n: u64, at: SystemTime) {
        increment_at(&self.cell, &self.shared, n, at);
    }
}

fn increment_at(cell: &Arc<CounterCell>, shared: &Shared, n: u64, at: SystemTime) -> Option<DropReason> {
    // As with the count at hand, nothing is said of 0.
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

    /// As [`increment`](Self::increment); says why it was dropped, if it was.
    #[inline]
    pub(crate) fn try_increment(self, n: u64) -> Option<DropReason> {
        self.call(1, move |cell, _| {
            cell.add(n);
            None
        })
    }

    /// Takes `n` off by name, or says why not: for neighbours that count down, too.
    #[allow(dead_code, reason = "not every build has such a neighbour")]
    pub(crate) fn try_decrement(self, n: u64) -> Option<DropReason> {
        self.call(1, move |cell, _| {
            cell.take_off(n);
            None
        })
    }

    /// Reports by name what was counted at a time of its own; see [`Counter::increment_at`].
    pub fn increment_at(self, n: u64, at: SystemTime) {
        self.try_increment_at(n, at);
    }

    pub(crate) fn try_increment_at(self, n: u64, at: SystemTime) -> Option<DropReason> {
        self.call(1, |cell, shared| increment_at(cell, shared, n, at))
    }
}

/// Reports nothing, as the handles of a [disabled client](crate::Client::disabled).
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
