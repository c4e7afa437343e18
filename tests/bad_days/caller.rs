//! A thread that uses metrics, in every way that there is.

use super::diary::Diary;
use super::dice::Dice;
use super::operation::OPERATIONS;
use super::watched::Watched;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tasktag::{
    BoundedFamily, Client, Counter, Distribution, Family, FrequentFamily, Gauge, Occupancy, OwnedOccupied,
    Set, Watch,
};

tasktag::tags! {
    pub(crate) enum Lane {
        Fast,
        Slow,
        Nightly,
    }
}

/// Handles that all callers share.
#[derive(Clone, Debug)]
pub(crate) struct Handles {
    pub(crate) level: Gauge,
    pub(crate) peak: Gauge,
    pub(crate) jobs: Counter,
    pub(crate) size: Distribution,
    pub(crate) run: Distribution,
    pub(crate) rows: Distribution,
    pub(crate) users: Set,
    pub(crate) workers: Occupancy,
    pub(crate) stamped_jobs: Counter,
    pub(crate) stamped_level: Gauge,
    pub(crate) family_jobs: Family<Counter, Lane>,
    pub(crate) family_run: Family<Distribution, Lane>,
    pub(crate) bounded_jobs: BoundedFamily<Counter>,
    pub(crate) bounded_run: BoundedFamily<Distribution>,
    pub(crate) frequent_jobs: FrequentFamily<Counter>,
}

impl Handles {
    pub(crate) fn register(client: &Client) -> Self {
        Self {
            level: client.gauge("level").register(),
            peak: client.gauge("peak").peak().register(),
            jobs: client.counter("jobs").register(),
            size: client.distribution("size").register(),
            run: client.timing("run").register(),
            rows: client.histogram("rows").register(),
            users: client.set("users").register(),
            workers: client.occupancy("workers", 4).register(),
            stamped_jobs: client.counter("stamped.jobs").register(),
            stamped_level: client.gauge("stamped.level").register(),
            family_jobs: client.counter("family.jobs").register_family(),
            family_run: client.timing("family.run").register_family(),
            bounded_jobs: client.counter("bounded.jobs").bounded("route", 3).allow(&["/pay"]).register(),
            bounded_run: client.timing("bounded.run").bounded("route", 3).register(),
            frequent_jobs: client
                .counter("frequent.jobs")
                .bounded("customer", 3)
                .most_frequent(Duration::from_secs(10))
                .register(),
        }
    }
}

/// What a caller holds for longer than an operation.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) units: Vec<OwnedOccupied>,
    pub(crate) watches: Vec<Watch>,
    pub(crate) gauges: Vec<Gauge>,
}

pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) handles: Handles,
    pub(crate) watched: Watched,
    pub(crate) dice: Dice,
    pub(crate) diary: Diary,
    pub(crate) held: Held,
    /// Texts go beyond what fits.
    pub(crate) is_wordy: bool,
    // Of all callers, no two have the same.
    name: String,
    number: u64,
    uniques: u64,
}

impl Caller {
    pub(crate) fn new(
        client: &Client,
        handles: &Handles,
        watched: &Watched,
        number: u64,
        dice: Dice,
    ) -> Self {
        Self {
            client: client.clone(),
            handles: handles.clone(),
            watched: watched.clone(),
            dice,
            diary: Diary::default(),
            held: Held::default(),
            is_wordy: false,
            name: format!("caller{number}"),
            number,
            uniques: 0,
        }
    }

    /// Does so many things, and tells of each when it is done.
    pub(crate) fn work(&mut self, operations: u64, progress: &AtomicU64) {
        for _ in 0..operations {
            self.dice.pick(&OPERATIONS)(self);
            self.diary.operations += 1;
            progress.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What nobody said before, and is to be sent.
    pub(crate) fn unique(&mut self) -> String {
        self.uniques += 1;
        self.diary.unique += 1;
        format!("{}.{}", self.name, self.uniques)
    }

    /// A second since 1970 that is no other value's, so that none is folded into another.
    pub(crate) fn unique_second(&mut self) -> u64 {
        self.uniques += 1;
        1_700_000_000 + self.number * 1_000_000 + self.uniques
    }
}
