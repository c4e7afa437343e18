//! An event that has begun.

use super::events::Events;
use crate::api::dimension::Outcome;
use crate::process::fork;
use std::sync::Arc;

/// An event that has begun. [`Objective::start`](crate::Objective::start) returns one.
///
/// - [`end`](Self::end) counts the event by its outcome and its time.
/// - Dropping it counts a bad event, because nobody said that it went well: it panicked, returned early with an error,
///   or its future was dropped.
/// - [`discard`](Self::discard) counts nothing, for what turns out to be no event.
///
/// In a child that was forked in the meantime it counts nothing: the event is its parent's.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use std::time::Duration;
/// use tasktag::Target;
///
/// let objective = client.objective("checkout", Target::within(Duration::from_millis(250)), 0.999).register()?;
/// let timer = objective.start();
/// let paid = "12".parse::<u32>();
/// timer.end(&paid); // good, if it took at most 250 ms
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it counts a bad event: `let timer`, not `let _`"]
pub struct ObjectiveTimer {
    events: Option<Arc<Events>>,
    since: u64,
    generation: u32,
}

impl ObjectiveTimer {
    #[inline]
    pub(super) fn start(events: Option<&Arc<Events>>) -> Self {
        fork::check();
        let since = events.map_or(0, |events| events.now());
        Self { events: events.cloned(), since, generation: fork::generation() }
    }

    /// Counts the event by its outcome, or that of a result, and by its time. An [`Outcome::Cancelled`] within the
    /// target's time is not counted, and a later one is a bad event.
    ///
    /// Every `Err` is a failure. Pass [`Outcome::Ok`] for one that is the caller's fault, such as a request that is
    /// rightly refused.
    #[inline]
    pub fn end(mut self, outcome: impl Into<Outcome>) {
        self.count(outcome.into());
    }

    /// Counts nothing.
    #[inline]
    pub fn discard(mut self) {
        self.events = None;
    }

    #[inline]
    fn count(&mut self, outcome: Outcome) {
        let events = self.events.take().filter(|_| self.generation == fork::generation());
        if let Some(events) = events {
            events.count_ended(events.now().saturating_sub(self.since), outcome);
        }
    }
}

impl Drop for ObjectiveTimer {
    #[inline]
    fn drop(&mut self) {
        self.count(Outcome::Error);
    }
}
