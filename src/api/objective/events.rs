//! The counts of good events and of all.

use super::counts::Counts;
use super::metrics::Naming;
use super::probe::Source;
use super::target::Target;
use crate::api::client::Client;
use crate::api::dimension::Outcome;
use crate::api::handle::Counter;
use crate::process::clock::{self, Clock};
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Weak};

/// The two counters of an objective, with what makes an event good.
#[derive(Debug)]
pub(crate) struct Events {
    good: Counter,
    total: Counter,
    clock: Clock,
    // The nanoseconds that a good event takes at most.
    within: u64,
}

impl Events {
    pub(super) fn new(client: &Client, naming: &Naming, target: Target) -> Self {
        Self {
            good: naming.counter(client, "good"),
            total: naming.counter(client, "total"),
            clock: client.shared().clock.clone(),
            within: target.duration().map_or(u64::MAX, clock::nanos),
        }
    }

    /// Returns the counters of an objective with the usual names, for a route of a service.
    #[cfg(feature = "tower")]
    pub(crate) fn named(client: &Client, name: &str, tags: &[(String, String)], target: Target) -> Self {
        Self::new(client, &Naming::of(name).with(tags), target)
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Counts an event. A reader that reads in the other order never takes a good one for a bad one.
    #[inline]
    pub(super) fn count(&self, is_good: bool) {
        if is_good {
            self.good.increment(1);
        }
        // Pairs with the one in `sums`.
        fence(Ordering::Release);
        self.total.increment(1);
    }

    /// Counts an event that succeeded after these nanoseconds.
    #[inline]
    pub(super) fn count_success(&self, elapsed: u64) {
        self.count(elapsed <= self.within);
    }

    /// Counts an event that ended. One that was cancelled within the target's time is no event.
    #[inline]
    pub(crate) fn count_ended(&self, elapsed: u64, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.count_success(elapsed),
            Outcome::Error => self.count(false),
            Outcome::Cancelled if elapsed > self.within => self.count(false),
            Outcome::Cancelled => {}
        }
    }

    /// Returns the number of all events and of the good ones, both modulo 2^64.
    fn sums(&self) -> (u64, u64) {
        let total = self.total.sum();
        fence(Ordering::Acquire);
        (total, self.good.sum())
    }
}

/// What was counted, for the probe.
pub(super) struct EventSource {
    events: Weak<Events>,
    // The sums at the start: in a forked child, what was counted before is its parent's.
    start: (u64, u64),
    taken: Counts,
}

impl EventSource {
    pub(super) fn new(events: &Arc<Events>) -> Self {
        Self { events: Arc::downgrade(events), start: events.sums(), taken: Counts::default() }
    }
}

impl Source for EventSource {
    fn take(&mut self) -> Option<Counts> {
        let (total, good) = self.events.upgrade()?.sums();
        let (total, good) = (total.wrapping_sub(self.start.0), good.wrapping_sub(self.start.1));
        // An event that is being counted may be in one of the sums only. The next look has the rest.
        let known =
            Counts { good: good.max(self.taken.good), bad: total.saturating_sub(good).max(self.taken.bad) };
        let new = Counts { good: known.good - self.taken.good, bad: known.bad - self.taken.bad };
        self.taken = known;
        Some(new)
    }
}
