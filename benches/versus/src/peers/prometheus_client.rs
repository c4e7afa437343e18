//! prometheus-client: in memory, until it is scraped.

use crate::contestant::{Contestant, Operation, POOL, ROLE, Setup, Tags, latency, level, repeat};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use std::sync::atomic::AtomicU64;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    pool: String,
    role: String,
}

impl Labels {
    fn new(pool: &str, role: &str) -> Self {
        Self { pool: pool.to_owned(), role: role.to_owned() }
    }
}

type FloatGauge = Gauge<f64, AtomicU64>;

struct PrometheusClient {
    gauges: Family<Labels, FloatGauge>,
    counters: Family<Labels, Counter>,
    timings: Family<Labels, Histogram, fn() -> Histogram>,
    gauge: FloatGauge,
    counter: Counter,
    timing: Histogram,
    tags: Tags,
}

pub fn build(_: &Setup) -> Option<Box<dyn Contestant>> {
    let gauges = Family::<Labels, FloatGauge>::default();
    let counters = Family::<Labels, Counter>::default();
    let histogram = || Histogram::new(exponential_buckets(8.0, 1.25, 16));
    let timings = Family::new_with_constructor(histogram as fn() -> Histogram);
    Some(Box::new(PrometheusClient {
        gauge: gauges.get_or_create_owned(&Labels::new(POOL, ROLE)),
        counter: counters.get_or_create_owned(&Labels::new(POOL, ROLE)),
        timing: timings.get_or_create_owned(&Labels::new(POOL, ROLE)),
        gauges,
        counters,
        timings,
        tags: Tags::new(),
    }))
}

impl Contestant for PrometheusClient {
    fn run(&self, operation: Operation, n: u32) -> bool {
        match operation {
            Operation::GaugeSet => repeat(n, |i| {
                self.gauge.set(level(i));
            }),
            Operation::CounterIncrement => repeat(n, |_| {
                self.counter.inc();
            }),
            Operation::TimingRecord => repeat(n, |i| self.timing.observe(latency(i))),
            Operation::GaugeByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.gauges.get_or_create(&Labels::new(pool, role)).set(level(i));
            }),
            Operation::CounterByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.counters.get_or_create(&Labels::new(pool, role)).inc();
            }),
            Operation::TimingByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.timings.get_or_create(&Labels::new(pool, role)).observe(latency(i));
            }),
            _ => false,
        }
    }
}
