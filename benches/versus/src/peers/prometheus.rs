//! prometheus: in memory, until it is scraped.

use crate::contestant::{Contestant, Operation, POOL, ROLE, Setup, Tags, latency, level, repeat};
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

struct Prometheus {
    // Nobody scrapes it here, but it is there.
    _registry: Registry,
    gauges: GaugeVec,
    counters: IntCounterVec,
    timings: HistogramVec,
    gauge: Gauge,
    counter: IntCounter,
    timing: Histogram,
    tags: Tags,
}

pub fn build(_: &Setup) -> Option<Box<dyn Contestant>> {
    let labels = ["pool", "role"];
    let buckets = prometheus::exponential_buckets(8.0, 1.25, 16).expect("they grow");
    let gauges = GaugeVec::new(Opts::new("pool_in_use", "in use"), &labels).expect("a name is one");
    let counters = IntCounterVec::new(Opts::new("jobs_done", "done"), &labels).expect("a name is one");
    let timings = HistogramVec::new(HistogramOpts::new("query_time", "time").buckets(buckets), &labels);
    let timings = timings.expect("a name is one");
    let registry = Registry::new();
    registry.register(Box::new(gauges.clone())).expect("it is the first");
    registry.register(Box::new(counters.clone())).expect("it is the first");
    registry.register(Box::new(timings.clone())).expect("it is the first");
    Some(Box::new(Prometheus {
        _registry: registry,
        gauge: gauges.with_label_values(&[POOL, ROLE]),
        counter: counters.with_label_values(&[POOL, ROLE]),
        timing: timings.with_label_values(&[POOL, ROLE]),
        gauges,
        counters,
        timings,
        tags: Tags::new(),
    }))
}

impl Contestant for Prometheus {
    fn run(&self, operation: Operation, n: u32) -> bool {
        match operation {
            Operation::GaugeSet => repeat(n, |i| self.gauge.set(level(i))),
            Operation::CounterIncrement => repeat(n, |_| self.counter.inc()),
            Operation::TimingRecord => repeat(n, |i| self.timing.observe(latency(i))),
            Operation::GaugeByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.gauges.with_label_values(&[pool, role]).set(level(i));
            }),
            Operation::CounterByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.counters.with_label_values(&[pool, role]).inc();
            }),
            Operation::TimingByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.timings.with_label_values(&[pool, role]).observe(latency(i));
            }),
            _ => false,
        }
    }
}
