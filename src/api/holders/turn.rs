//! A wait, and the hold that it becomes.

use super::metrics::HolderMetrics;
use crate::cell::{Entry, Start};
use crate::process::fork;
use std::sync::Arc;

/// One caller's turn: a wait, a hold, or a wait that becomes a hold. Dropping it ends what it is at that time.
#[derive(Debug)]
pub(super) struct Turn {
    metrics: Arc<HolderMetrics>,
    // When the current phase began, and in which process. A parent's turn is nothing in a forked child.
    since: Start,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Wait,
    Hold(Entry),
}

impl Turn {
    /// Begins a wait.
    #[inline]
    pub(super) fn wait(metrics: Arc<HolderMetrics>) -> Self {
        fork::check();
        metrics.begin_wait();
        Self { since: Start::at(metrics.now()), metrics, phase: Phase::Wait }
    }

    /// Begins a hold without a wait.
    #[inline]
    pub(super) fn hold(metrics: Arc<HolderMetrics>) -> Self {
        fork::check();
        let now = metrics.now();
        let since = Start::at(now);
        let entry = metrics.begin_hold(now, since);
        Self { metrics, since, phase: Phase::Hold(entry) }
    }

    /// Turns the wait into a hold.
    #[inline]
    pub(super) fn acquire(mut self) -> Self {
        fork::check();
        let now = self.metrics.now();
        if self.since.is_here() {
            self.metrics.end_wait();
            self.metrics.record_wait(self.since.until(now));
        }
        self.since = Start::at(now);
        self.phase = Phase::Hold(self.metrics.begin_hold(now, self.since));
        self
    }

    /// Ends a wait whose time was up.
    pub(super) fn time_out(self) {
        fork::check();
        if self.since.is_here() {
            self.metrics.record_wait(self.since.until(self.metrics.now()));
            self.metrics.count_timeout();
        }
    }

    /// Ends a wait that failed.
    pub(super) fn fail(self) {
        fork::check();
        if self.since.is_here() {
            self.metrics.count_error();
        }
    }
}

impl Drop for Turn {
    #[inline]
    fn drop(&mut self) {
        if !self.since.is_here() {
            return;
        }
        match self.phase {
            Phase::Wait => self.metrics.end_wait(),
            Phase::Hold(entry) => self.metrics.end_hold(self.metrics.now(), self.since, entry),
        }
    }
}
