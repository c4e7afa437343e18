//! measured: in memory, until it is scraped. Tag values known at run time only are interned.

use crate::contestant::{Contestant, Operation, POOL, ROLE, Setup, Tags, latency, level, repeat};
use lasso::ThreadedRodeo;
use measured::metric::histogram::Thresholds;
use measured::{CounterVec, FloatGaugeVec, Histogram, HistogramVec, LabelGroup};

#[derive(LabelGroup)]
#[label(set = LabelsSet)]
struct Labels<'a> {
    #[label(dynamic_with = ThreadedRodeo, default)]
    pool: &'a str,
    #[label(dynamic_with = ThreadedRodeo, default)]
    role: &'a str,
}

struct Measured {
    gauges: FloatGaugeVec<LabelsSet>,
    counters: CounterVec<LabelsSet>,
    timings: HistogramVec<LabelsSet, 16>,
    timing: Histogram<16>,
    gauge: measured::FloatGauge,
    counter: measured::Counter,
    tags: Tags,
}

pub fn build(_: &Setup) -> Option<Box<dyn Contestant>> {
    let gauges = FloatGaugeVec::with_label_set(LabelsSet::default());
    gauges.set(Labels { pool: POOL, role: ROLE }, 0.0);
    Some(Box::new(Measured {
        gauges,
        counters: CounterVec::with_label_set(LabelsSet::default()),
        timings: HistogramVec::with_label_set_and_metadata(LabelsSet::default(), thresholds()),
        // It has handles without labels only.
        gauge: measured::FloatGauge::new(),
        counter: measured::Counter::new(),
        timing: Histogram::with_metadata(thresholds()),
        tags: Tags::new(),
    }))
}

fn thresholds() -> Thresholds<16> {
    Thresholds::exponential_buckets(8.0, 1.25)
}

impl Contestant for Measured {
    fn run(&self, operation: Operation, n: u32) -> bool {
        match operation {
            Operation::GaugeSet => repeat(n, |i| self.gauge.set(level(i))),
            Operation::CounterIncrement => repeat(n, |_| self.counter.inc()),
            Operation::TimingRecord => repeat(n, |i| self.timing.get_metric().observe(latency(i))),
            Operation::GaugeByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.gauges.set(Labels { pool, role }, level(i));
            }),
            Operation::CounterByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.counters.inc(Labels { pool, role });
            }),
            Operation::TimingByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                self.timings.observe(Labels { pool, role }, latency(i));
            }),
            _ => false,
        }
    }
}
