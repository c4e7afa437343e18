//! The metrics of one holder.

use crate::api::client::Client;
use crate::api::handle::{Counter, Distribution, Gauge, Metric, Occupancy, Pattern};
use crate::cell::{Entry, Holds, Start};
use crate::process::clock::Clock;
use crate::vocabulary::error::RegisterError;
use std::convert::Infallible;
use std::time::Duration;

/// The key of the tag that tells holders apart.
pub(super) const HOLDER: &str = "holder";

/// What the metrics of all holders of one thing have in common.
#[derive(Debug)]
pub(super) struct Patterns {
    held: Pattern<Occupancy>,
    waiting: Pattern<Gauge>,
    wait: Pattern<Distribution>,
    hold: Pattern<Distribution>,
    timeouts: Pattern<Counter>,
    errors: Pattern<Counter>,
    pub(super) oldest_hold: Pattern<Gauge>,
}

/// The part of the name of the gauge that only one set of holders may report.
pub(super) const OLDEST_HOLD: &str = "oldest_hold_seconds";

impl Patterns {
    pub(super) fn new(
        client: &Client,
        name: impl Fn(&str) -> String,
        tags: &[(&str, &str)],
        capacity: u32,
    ) -> Self {
        Self {
            held: client.occupancy(&name("held"), capacity).tags(tags).pattern(),
            waiting: client.gauge(&name("waiting")).tags(tags).peak().pattern(),
            wait: client.timing(&name("wait")).tags(tags).pattern(),
            hold: client.timing(&name("hold")).tags(tags).pattern(),
            timeouts: client.counter(&name("timeouts")).tags(tags).pattern(),
            errors: client.counter(&name("errors")).tags(tags).pattern(),
            oldest_hold: client.gauge(&name(OLDEST_HOLD)).tags(tags).pattern(),
        }
    }

    pub(super) fn client(&self) -> &Client {
        self.held.client()
    }
}

/// What a registration does without room for another context.
pub(super) trait Registration {
    type Refusal;

    fn handle<M: Metric>(pattern: &Pattern<M>, tags: &[(&str, &str)]) -> Result<M, Self::Refusal>;
}

/// Its values go to the overflow context of their metric.
pub(super) struct Folded;
/// There is no handle.
pub(super) struct Refused;

impl Registration for Folded {
    type Refusal = Infallible;

    fn handle<M: Metric>(pattern: &Pattern<M>, tags: &[(&str, &str)]) -> Result<M, Infallible> {
        Ok(pattern.register(tags))
    }
}

impl Registration for Refused {
    type Refusal = RegisterError;

    fn handle<M: Metric>(pattern: &Pattern<M>, tags: &[(&str, &str)]) -> Result<M, RegisterError> {
        pattern.try_register(tags)
    }
}

/// What one holder holds, and what it waits for.
#[derive(Debug)]
pub(super) struct HolderMetrics {
    name: Box<str>,
    clock: Clock,
    held: Occupancy,
    waiting: Gauge,
    wait: Distribution,
    hold: Distribution,
    timeouts: Counter,
    errors: Counter,
    holds: Holds,
}

impl HolderMetrics {
    /// Registers all metrics, or none of them.
    pub(super) fn register<R: Registration>(patterns: &Patterns, name: &str) -> Result<Self, R::Refusal> {
        let tags = [(HOLDER, name)];
        Ok(Self {
            name: name.into(),
            clock: patterns.client().shared().clock.clone(),
            held: R::handle(&patterns.held, &tags)?,
            waiting: R::handle(&patterns.waiting, &tags)?,
            wait: R::handle(&patterns.wait, &tags)?,
            hold: R::handle(&patterns.hold, &tags)?,
            timeouts: R::handle(&patterns.timeouts, &tags)?,
            errors: R::handle(&patterns.errors, &tags)?,
            holds: Holds::new(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the time of the client's clock.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    // In all of the following, the process is known to be set up.

    #[inline]
    pub(super) fn begin_wait(&self) {
        self.waiting.add_here(1.0);
    }

    #[inline]
    pub(super) fn end_wait(&self) {
        self.waiting.add_here(-1.0);
    }

    #[inline]
    pub(super) fn record_wait(&self, nanos: u64) {
        self.wait.record_nanos_here(nanos);
    }

    pub(super) fn count_timeout(&self) {
        self.timeouts.increment(1);
    }

    pub(super) fn count_error(&self) {
        self.errors.increment(1);
    }

    #[inline]
    pub(super) fn begin_hold(&self, now: u64, start: Start) -> Entry {
        self.held.enter_here(now);
        self.holds.begin(start)
    }

    #[inline]
    pub(super) fn end_hold(&self, now: u64, start: Start, entry: Entry) {
        self.holds.end(entry, start.generation());
        self.held.leave_here(now);
        self.hold.record_nanos_here(start.until(now));
    }

    pub(super) fn held(&self) -> u64 {
        self.held.in_use()
    }

    /// Returns the number of callers that wait.
    pub(super) fn waiting(&self) -> u64 {
        let level = self.waiting.level().unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a count")]
        let callers = level as u64;
        callers
    }

    pub(super) fn oldest_hold(&self) -> Option<Duration> {
        self.holds.oldest(self.now()).map(Duration::from_nanos)
    }

    pub(super) fn untracked(&self) -> u64 {
        self.holds.untracked()
    }
}
