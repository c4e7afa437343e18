//! Ours.

use crate::contestant::{
    COUNTER, Contestant, GAUGE, Holding, Kind, Operation, POOL, ROLE, Setup, TIMING, Tags, latency, level,
    repeat,
};
use crate::traffic::{Style, Traffic, handles};
use std::any::Any;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tasktag::{Client, Counter, Distribution, Gauge, Guard, Occupancy};

struct Tasktag {
    guard: Guard,
    gauge: Gauge,
    peak: Gauge,
    new_peak: Gauge,
    highest: AtomicU64,
    counter: Counter,
    timing: Distribution,
    occupancy: Occupancy,
    tags: Tags,
}

/// The one client of the process: the literal call sites use it too.
pub fn build(setup: &Setup) -> Option<Box<dyn Contestant>> {
    let mut builder = Client::builder().agent(setup.agent.to_string());
    // Room for whatever is to be held.
    builder = builder.context_limit(200_000).metric_context_limit(200_000);
    if let Some(interval) = setup.interval {
        // Watches are asked as often as there are flushes, so that a short measurement has them in it.
        builder = builder.flush_interval(interval).collect_interval(interval);
    }
    let guard = builder.install().expect("tasktag is built once a process");
    let client = guard.client();
    Some(Box::new(Tasktag {
        gauge: client.gauge(GAUGE).tag("pool", POOL).tag("role", ROLE).register(),
        peak: client.gauge("pool.waiting").tag("pool", POOL).tag("role", ROLE).peak().register(),
        new_peak: client.gauge("pool.age").tag("pool", POOL).tag("role", ROLE).peak().register(),
        highest: AtomicU64::new(0),
        counter: client.counter(COUNTER).tag("pool", POOL).tag("role", ROLE).register(),
        timing: client.timing(TIMING).tag("pool", POOL).tag("role", ROLE).register(),
        occupancy: client.occupancy("pool.held", 10).tag("pool", POOL).tag("role", ROLE).register(),
        tags: Tags::new(),
        guard,
    }))
}

impl Contestant for Tasktag {
    fn run(&self, operation: Operation, n: u32) -> bool {
        let client = self.guard.client();
        match operation {
            Operation::GaugeSet => repeat(n, |i| self.gauge.set(level(i))),
            Operation::GaugeSetPeak => repeat(n, |i| self.peak.set(level(i))),
            Operation::GaugeSetNewPeak => {
                // Two threads at once overtake each other, as they would.
                let start = self.highest.fetch_add(u64::from(n), Ordering::Relaxed);
                repeat(n, |i| self.new_peak.set((start + u64::from(i)) as f64))
            }
            Operation::CounterIncrement => repeat(n, |_| self.counter.increment(1)),
            Operation::TimingRecord => repeat(n, |i| self.timing.record(latency(i))),
            Operation::GaugeByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                client.gauge(GAUGE).tag("pool", pool).tag("role", role).set(level(i));
            }),
            Operation::CounterByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                client.counter(COUNTER).tag("pool", pool).tag("role", role).increment(1);
            }),
            Operation::TimingByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                client.timing(TIMING).tag("pool", pool).tag("role", role).record(latency(i));
            }),
            Operation::GaugeLiteral => repeat(n, |i| {
                tasktag::gauge!("pool.size", "pool" => "primary", "role" => "reader").set(level(i));
            }),
            Operation::CounterLiteral => repeat(n, |_| {
                tasktag::counter!("pool.opened", "pool" => "primary", "role" => "reader").increment(1);
            }),
            Operation::Occupancy => repeat(n, |_| drop(self.occupancy.acquire())),
        }
    }

    fn replay(&self, style: Style, traffic: &Traffic, updates: Range<u32>) -> bool {
        let client = self.guard.client();
        match style {
            Style::Handle => {
                let gauges = handles(&traffic.gauges, |s| {
                    client.gauge(&s.name).tag("pool", &s.pool).tag("role", &s.role).register()
                });
                let counters = handles(&traffic.counters, |s| {
                    client.counter(&s.name).tag("pool", &s.pool).tag("role", &s.role).register()
                });
                let timings = handles(&traffic.timings, |s| {
                    client.timing(&s.name).tag("pool", &s.pool).tag("role", &s.role).register()
                });
                traffic.replay(
                    updates,
                    |series, value| gauges[series].set(value),
                    |series| counters[series].increment(1),
                    |series, value| timings[series].record(value),
                );
            }
            Style::ByName => traffic.replay(
                updates,
                |series, value| {
                    let s = &traffic.gauges[series];
                    client.gauge(&s.name).tag("pool", &s.pool).tag("role", &s.role).set(value);
                },
                |series| {
                    let s = &traffic.counters[series];
                    client.counter(&s.name).tag("pool", &s.pool).tag("role", &s.role).increment(1);
                },
                |series, value| {
                    let s = &traffic.timings[series];
                    client.timing(&s.name).tag("pool", &s.pool).tag("role", &s.role).record(value);
                },
            ),
        }
        true
    }

    fn hold(&self, holding: &Holding) -> Option<Box<dyn Any>> {
        let (client, name) = (self.guard.client(), holding.name);
        Some(match holding.kind {
            Kind::Gauge => holding.keep(|tag| client.gauge(name).tag("n", tag).register(), Gauge::set),
            Kind::Counter => holding
                .keep(|tag| client.counter(name).tag("n", tag).register(), |counter, _| counter.increment(1)),
            Kind::Timing => {
                holding.keep(|tag| client.timing(name).tag("n", tag).register(), Distribution::record)
            }
        })
    }

    fn flush(&self) {
        self.guard.client().flush(Duration::from_secs(60)).expect("everything is sent");
    }

    fn finish(self: Box<Self>) {
        self.guard.client().flush(Duration::from_secs(10)).expect("everything is sent");
    }
}
