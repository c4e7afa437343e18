//! Who is in a queue, and what is reported of them.

use super::QueueStatus;
use super::promise::Promise;
use crate::api::dimension::{Family, Outcome};
use crate::api::handle::{Counter, Distribution};
use crate::cell::{Place, Stays};
use crate::process::clock::Clock;
use crate::process::fork;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NANOS_PER_MS: f64 = 1e6;

/// The items of a queue, with the clock by which they wait. Tickets and jobs share it.
#[derive(Debug)]
pub(in crate::api::watch) struct Roster {
    stays: Stays,
    clock: Clock,
    capacity: Option<u64>,
    metrics: Option<JobMetrics>,
    // Whether a job has ever started. A queue that is only counted does not know what is running.
    has_jobs: AtomicBool,
}

/// The metrics of each item of a queue.
#[derive(Debug)]
pub(in crate::api::watch) struct JobMetrics {
    pub(in crate::api::watch) wait: Distribution,
    pub(in crate::api::watch) duration: Family<Distribution, Outcome>,
    pub(in crate::api::watch) abandoned: Counter,
    pub(in crate::api::watch) promise: Option<PromiseCounts>,
}

/// The counts of waits that kept a promise.
#[derive(Debug)]
pub(in crate::api::watch) struct PromiseCounts {
    pub(in crate::api::watch) promise: Promise,
    pub(in crate::api::watch) waits: Counter,
    pub(in crate::api::watch) within: Counter,
}

impl JobMetrics {
    #[inline]
    fn record_wait(&self, wait: u64) {
        self.wait.record_here(ms(wait));
        if let Some(PromiseCounts { promise, waits, within }) = &self.promise {
            waits.increment(1);
            if Duration::from_nanos(wait) <= promise.duration() {
                within.increment(1);
            }
        }
    }
}

impl Roster {
    /// Returns an empty roster that only counts.
    pub(in crate::api::watch) fn new(clock: Clock) -> Self {
        Self {
            stays: Stays::default(),
            clock,
            capacity: None,
            metrics: None,
            has_jobs: AtomicBool::new(false),
        }
    }

    /// Returns an empty roster that reports each item.
    pub(in crate::api::watch) fn reported(clock: Clock, capacity: Option<u64>, metrics: JobMetrics) -> Self {
        Self { capacity, metrics: Some(metrics), ..Self::new(clock) }
    }

    /// Returns the time of the queue's clock.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    #[inline]
    pub(super) fn enter(&self, now: u64, generation: u8) -> Place {
        self.stays.enter(now, generation)
    }

    /// Ends a wait, and begins a job.
    #[inline]
    pub(super) fn start(&self, place: Place, wait: u64, now: u64, generation: u8) -> Place {
        if !self.has_jobs.load(Ordering::Relaxed) {
            self.has_jobs.store(true, Ordering::Relaxed);
        }
        if let Some(metrics) = &self.metrics {
            metrics.record_wait(wait);
        }
        self.stays.start(place, now, generation)
    }

    /// Ends a job.
    #[inline]
    pub(super) fn end(&self, place: Place, duration: u64, outcome: Outcome, generation: u8) {
        self.stays.leave(place, generation);
        if let Some(metrics) = &self.metrics {
            metrics.duration.at(outcome).record_here(ms(duration));
        }
    }

    /// Ends a wait without a job.
    pub(super) fn abandon(&self, place: Place, generation: u8) {
        self.stays.leave(place, generation);
        if let Some(metrics) = &self.metrics {
            metrics.abandoned.increment(1);
        }
    }

    pub(in crate::api::watch) fn status(&self) -> QueueStatus {
        fork::check();
        let now = self.now();
        let census = self.stays.count(now, generation());
        let age =
            |since: Option<u64>| Duration::from_nanos(since.map_or(0, |since| now.saturating_sub(since)));
        let counted = self.metrics.as_ref().and_then(|metrics| metrics.promise.as_ref());
        let waiting = QueueStatus::new()
            .depth(census.waiting.items)
            .capacity(self.capacity)
            .oldest_age(age(census.waiting.since))
            .promise(counted.map(|counts| counts.promise));
        if self.metrics.is_some() || self.has_jobs.load(Ordering::Relaxed) {
            waiting.running(census.running.items).longest_running(age(census.running.since))
        } else {
            waiting
        }
    }
}

fn ms(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_MS
}

/// Returns the lowest bits of the process's fork generation.
#[inline]
pub(super) fn generation() -> u8 {
    let [generation, ..] = fork::generation().to_le_bytes();
    generation
}
