//! How often something happened.

use super::builder::{Metric, MetricBuilder, Options};
use crate::cell::{Cell, CounterBlock, CounterCell};
use crate::shared::Shared;
use std::sync::Arc;

/// A count of what happened. What was added since the last flush is sent; nothing is sent for 0.
///
/// Clones share one cell. Each thread adds in a word of its own, as long as there are no more threads than twice the
/// processors; the others share one, with an atomic addition. The worker sums them up, and what a thread counted stays
/// when it ends.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let done = client.counter("jobs.done").tag("queue", "within_1_minute").register();
/// done.increment(1);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Counter {
    cell: Arc<CounterCell>,
}

impl Counter {
    /// Adds `n`.
    #[inline]
    pub fn increment(&self, n: u64) {
        self.cell.add(n);
    }
}

impl MetricBuilder<'_, Counter> {
    /// Adds `n` by name.
    #[inline]
    pub fn increment(self, n: u64) {
        self.call(1, move |cell, _| cell.add(n));
    }
}

impl Metric for Counter {
    type Cell = CounterCell;

    fn new_cell(_: Options, counters: &mut CounterBlock) -> Arc<CounterCell> {
        Arc::new(counters.cell())
    }

    fn wrap(cell: Arc<CounterCell>) -> Cell {
        Cell::Counter(cell)
    }

    fn pick(cell: &Cell) -> Option<&Arc<CounterCell>> {
        if let Cell::Counter(cell) = cell { Some(cell) } else { None }
    }

    fn handle(cell: Arc<CounterCell>, _: &Arc<Shared>) -> Self {
        Self { cell }
    }
}
