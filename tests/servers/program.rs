//! The program that every StatsD server is shown, and what it is to make of it.

use crate::support;
use std::time::Duration;
use tasktag::testing::ManualClock;
use tasktag::{Client, Dialect, DropReason, Gauge, Guard, Occupied};

/// What a gauge is set to, one flush after the other: a sign is a difference to these servers, and a level of exactly 0
/// is no level to some.
pub(crate) const LEVELS: [f64; 10] = [4.0, -5.25, -7.5, -7.5, 0.001, -0.5, 0.0, -3.0, -0.000_125, 1e9];

/// Values recorded by each of the distributions: 1, 2, 3, … 500.
pub(crate) const RECORDS: u64 = 500;

/// Of the occupancy `shop.workers`: 2 of 4 for 5 s, and 1 of 4 for the rest of an hour.
pub(crate) const UTILIZATION: f64 = (2.0 * 5.0 + 3595.0) / (4.0 * 3600.0);

/// Contexts' own tags, and the global one, as they are given.
const OWN_TAG: (&str, &str) = ("pool", "primary db");
const GLOBAL_TAG: (&str, &str) = ("region", "eu");

/// A client that knows the time only from a clock moved by hand, so that utilizations are exact.
#[derive(Debug)]
pub(crate) struct Program {
    guard: Guard,
    clock: ManualClock,
    balance: Gauge,
}

impl Program {
    pub(crate) fn new(dialect: Dialect, port: u16) -> Self {
        Self::at(&format!("udp://127.0.0.1:{port}"), dialect)
    }

    pub(crate) fn at(agent: &str, dialect: Dialect) -> Self {
        let clock = ManualClock::new();
        let guard = support::builder()
            .dialect(dialect)
            .agent(agent)
            .prefix("shop")
            .tag(GLOBAL_TAG.0, GLOBAL_TAG.1)
            .telemetry(true)
            .clock(&clock)
            .build()
            .unwrap();
        let balance = guard.client().gauge("balance").tag(OWN_TAG.0, OWN_TAG.1).register();
        Self { guard, clock, balance }
    }

    pub(crate) fn client(&self) -> &Client {
        self.guard.client()
    }

    pub(crate) fn flush(&self) {
        self.client().flush(support::PATIENCE).unwrap();
    }

    /// Sends a level of the gauge `shop.balance`.
    pub(crate) fn set_balance(&self, level: f64) {
        self.balance.set(level);
        self.flush();
    }

    /// Uses every kind but the gauge, and flushes.
    pub(crate) fn use_every_kind(&self) {
        let client = self.client();
        let (key, value) = OWN_TAG;
        let jobs = client.counter("jobs").tag(key, value).register();
        (0..1000).for_each(|_| jobs.increment(1));
        jobs.increment(234);
        client.counter("idle").tag(key, value).increment(0);
        for (name, recorded) in [
            ("query", client.timing("query").tag(key, value).register()),
            ("size", client.distribution("size").tag(key, value).register()),
            ("depth", client.histogram("depth").tag(key, value).register()),
        ] {
            // Backwards for one of them: what a bucket remembers is the first value that it saw.
            let at = |n| if name == "size" { RECORDS + 1 - n } else { n };
            (1..=RECORDS).for_each(|n| recorded.record(at(n) as f64));
            recorded.record(-1.0);
            self.flush();
        }
        let users = client.set("users").tag(key, value).register();
        for member in ["ada", "grace", "ada", "a:b|c"] {
            users.insert(member);
        }
        let workers = client.occupancy("workers", 4).tag(key, value).register();
        let _first: Occupied<'_> = workers.acquire();
        let second = workers.acquire();
        self.clock.advance(Duration::from_secs(5));
        drop(second);
        // Past the flush interval, so that this flushes, and past the one of telemetry.
        self.clock.advance(Duration::from_secs(3595));
    }

    /// Ends the client, and returns what it says it did.
    pub(crate) fn end(self) -> tasktag::Stats {
        let client = self.client().clone();
        self.guard.shutdown(support::PATIENCE).unwrap();
        let stats = client.stats();
        support::assert_conserved(&stats);
        // Negative values, which are bad lines to these servers, and nothing else.
        assert_eq!(stats.dropped_total().values, 3);
        assert_eq!(stats.dropped(DropReason::Invalid).values, 3);
        stats
    }
}
