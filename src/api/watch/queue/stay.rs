//! The stay of one item, from when it enters until it has run.

use super::roster::{Roster, generation};
use crate::api::dimension::Outcome;
use crate::cell::Place;
use crate::process::fork;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// One item's stay in a queue, as its ticket and then its job keep it. A stay without a roster is not measured.
///
/// Dropping it ends it. It moves from the ticket into the job as it is, so that no call site pays for an empty rest.
#[derive(Debug, Default)]
pub(super) struct Stay {
    roster: Option<Arc<Roster>>,
    // When the wait began, or the job.
    since: u64,
    place: Place,
    // The lowest bits of the fork generation of the process that the item entered.
    generation: u8,
    /// The job's outcome if it ended now. `None` while the item waits.
    outcome: Option<Outcome>,
}

impl Stay {
    #[inline]
    pub(super) fn begin(roster: &Arc<Roster>) -> Self {
        fork::check();
        let (since, generation) = (roster.now(), generation());
        let place = roster.enter(since, generation);
        Self { roster: Some(Arc::clone(roster)), since, place, generation, outcome: None }
    }

    /// Returns the roster, unless the stay is another process's: a forked child does not report its parent's items.
    #[inline]
    fn roster(&self) -> Option<&Roster> {
        self.roster.as_deref().filter(|_| self.generation == generation())
    }

    /// Returns the time since the wait began, or the job.
    pub(super) fn elapsed(&self) -> Duration {
        let elapsed = self.roster.as_ref().map_or(0, |roster| roster.now().saturating_sub(self.since));
        Duration::from_nanos(elapsed)
    }

    /// Ends the wait, and begins the job.
    #[inline]
    pub(super) fn start(&mut self) {
        if let Some(roster) = self.roster() {
            let now = roster.now();
            let place = roster.start(self.place, now.saturating_sub(self.since), now, self.generation);
            (self.place, self.since) = (place, now);
        }
        self.outcome = Some(Outcome::Cancelled);
    }

    /// Sets the outcome with which the job ends.
    #[inline]
    pub(super) fn set_outcome(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Stay {
    #[inline]
    fn drop(&mut self) {
        let Some(roster) = self.roster() else { return };
        match self.outcome {
            None => roster.abandon(self.place, self.generation),
            Some(outcome) => {
                let duration = roster.now().saturating_sub(self.since);
                roster.end(self.place, duration, or_error_if_panicking(outcome), self.generation);
            }
        }
    }
}

/// Returns the outcome of a job of which nobody said how it ended, or the one that was said.
#[inline]
fn or_error_if_panicking(outcome: Outcome) -> Outcome {
    if matches!(outcome, Outcome::Cancelled) && thread::panicking() { Outcome::Error } else { outcome }
}
