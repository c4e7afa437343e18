//! The stay of one item, from when it enters until it has run.

use super::roster::Roster;
use crate::api::dimension::Outcome;
use crate::cell::Place;
use crate::process::fork;
use std::sync::Arc;
use std::time::Duration;

/// One item's stay in a queue, as its ticket and then its job keep it. A stay without a roster is not measured.
#[derive(Debug, Default)]
pub(super) struct Stay {
    roster: Option<Arc<Roster>>,
    place: Place,
    // The fork generation of the process that the item entered.
    generation: u32,
    // When the wait began, or the job.
    since: u64,
}

impl Stay {
    #[inline]
    pub(super) fn begin(roster: &Arc<Roster>) -> Self {
        fork::check();
        let (now, generation) = (roster.now(), fork::generation());
        let place = roster.enter(now, generation);
        Self { roster: Some(Arc::clone(roster)), place, generation, since: now }
    }

    /// Returns the roster, unless the stay is another process's: a forked child does not report its parent's items.
    #[inline]
    fn roster(&self) -> Option<&Roster> {
        self.roster.as_deref().filter(|_| self.generation == fork::generation())
    }

    /// Returns the time since the wait began, or the job.
    pub(super) fn elapsed(&self) -> Duration {
        let elapsed = self.roster.as_ref().map_or(0, |roster| roster.now().saturating_sub(self.since));
        Duration::from_nanos(elapsed)
    }

    /// Ends the wait, and begins the job.
    #[inline]
    pub(super) fn start(mut self) -> Self {
        if let Some(roster) = self.roster() {
            let now = roster.now();
            let place = roster.start(self.place, now.saturating_sub(self.since), now, self.generation);
            (self.place, self.since) = (place, now);
        }
        self
    }

    /// Ends the job.
    #[inline]
    pub(super) fn end(&self, outcome: Outcome) {
        if let Some(roster) = self.roster() {
            let duration = roster.now().saturating_sub(self.since);
            roster.end(self.place, duration, outcome, self.generation);
        }
    }

    /// Ends the wait without a job.
    pub(super) fn abandon(&self) {
        if let Some(roster) = self.roster() {
            roster.abandon(self.place, self.generation);
        }
    }
}
