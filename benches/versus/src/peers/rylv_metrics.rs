//! rylv-metrics: maps of cells, one shared or one a thread. Integers only, and no global tags: the task id is left out.

use crate::contestant::{
    Agent, COUNTER, Contestant, GAUGE, Holding, Kind, Operation, POOL, ROLE, Setup, TIMING, Tags, latency,
    level, repeat,
};
use crate::traffic::{Series, Style, Traffic, handles};
use rylv_metrics::{
    DEFAULT_STATS_WRITER_TYPE, DrainMetricCollectorTrait, MetricCollector, MetricCollectorOptions,
    MetricCollectorTrait, PreparedMetric, RylvStr, RylvTag, SharedCollector, TLSCollector,
    TLSCollectorOptions,
};
use std::any::Any;
use std::hash::BuildHasher;
use std::ops::Range;
use std::thread;
use std::time::Duration;

struct Rylv<C>
where
    C: DrainMetricCollectorTrait + Send + Sync + 'static,
    C::Hasher: BuildHasher + Clone + Send + Sync + 'static,
{
    collector: MetricCollector<C>,
    gauge: PreparedMetric<C::Hasher>,
    counter: PreparedMetric<C::Hasher>,
    timing: PreparedMetric<C::Hasher>,
    tags: Tags,
    /// Within which it has flushed.
    rest: Duration,
}

/// Its own default.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

pub fn build_shared(setup: &Setup) -> Option<Box<dyn Contestant>> {
    rylv(setup, SharedCollector::default())
}

pub fn build_thread_local(setup: &Setup) -> Option<Box<dyn Contestant>> {
    rylv(setup, TLSCollector::new(TLSCollectorOptions::default()))
}

fn rylv<C>(setup: &Setup, collector: C) -> Option<Box<dyn Contestant>>
where
    C: DrainMetricCollectorTrait + Send + Sync + 'static,
    C::Hasher: BuildHasher + Clone + Send + Sync + 'static,
{
    let Agent::Udp(agent) = setup.agent else { return None };
    let mut options = MetricCollectorOptions {
        writer_type: DEFAULT_STATS_WRITER_TYPE,
        ..MetricCollectorOptions::default()
    };
    if let Some(interval) = setup.interval {
        options.flush_interval = interval;
    }
    let local = ([127, 0, 0, 1], 0).into();
    let collector = MetricCollector::new(local, agent, options, collector).expect("its thread starts");
    Some(Box::new(Rylv {
        gauge: prepared(&collector, GAUGE, POOL, ROLE),
        counter: prepared(&collector, COUNTER, POOL, ROLE),
        timing: prepared(&collector, TIMING, POOL, ROLE),
        collector,
        tags: Tags::new(),
        rest: setup.interval.unwrap_or(DEFAULT_INTERVAL) + Duration::from_millis(200),
    }))
}

fn prepared<C: MetricCollectorTrait>(
    collector: &C,
    name: &str,
    pool: &str,
    role: &str,
) -> PreparedMetric<C::Hasher> {
    let tags = collector.prepare_sorted_tags(tags(pool, role));
    collector.prepare_metric(RylvStr::from(name.to_owned()), tags)
}

#[inline]
fn tags<'a>(pool: &'a str, role: &'a str) -> [RylvTag<'a>; 2] {
    [
        RylvTag::Compound(RylvStr::from_static("pool"), RylvStr::from(pool)),
        RylvTag::Compound(RylvStr::from_static("role"), RylvStr::from(role)),
    ]
}

impl<C> Contestant for Rylv<C>
where
    C: DrainMetricCollectorTrait + Send + Sync + 'static,
    C::Hasher: BuildHasher + Clone + Send + Sync + 'static,
{
    fn run(&self, operation: Operation, n: u32) -> bool {
        const LITERAL: [RylvTag<'static>; 2] =
            [RylvTag::from_static("pool:primary"), RylvTag::from_static("role:reader")];
        let collector = &self.collector;
        match operation {
            Operation::GaugeSet => repeat(n, |i| collector.gauge_prepared(&self.gauge, level(i) as u64)),
            Operation::CounterIncrement => repeat(n, |_| collector.count_add_prepared(&self.counter, 1)),
            Operation::TimingRecord => {
                repeat(n, |i| collector.timing_prepared(&self.timing, latency(i) as u64))
            }
            Operation::GaugeByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                collector.gauge(RylvStr::from_static(GAUGE), level(i) as u64, &mut tags(pool, role));
            }),
            Operation::CounterByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                collector.count(RylvStr::from_static(COUNTER), &mut tags(pool, role));
            }),
            Operation::TimingByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                collector.timing(RylvStr::from_static(TIMING), latency(i) as u64, &mut tags(pool, role));
            }),
            Operation::GaugeLiteral => repeat(n, |i| {
                collector.gauge(RylvStr::from_static("pool.size"), level(i) as u64, &mut { LITERAL });
            }),
            Operation::CounterLiteral => repeat(n, |_| {
                collector.count(RylvStr::from_static("pool.opened"), &mut { LITERAL });
            }),
            Operation::GaugeSetPeak | Operation::GaugeSetNewPeak | Operation::Occupancy => false,
        }
    }

    fn replay(&self, style: Style, traffic: &Traffic, updates: Range<u32>) -> bool {
        let collector = &self.collector;
        match style {
            Style::Handle => {
                let prepare = |s: &Series| prepared(collector, &s.name, &s.pool, &s.role);
                let gauges = handles(&traffic.gauges, prepare);
                let counters = handles(&traffic.counters, prepare);
                let timings = handles(&traffic.timings, prepare);
                traffic.replay(
                    updates,
                    |series, value| collector.gauge_prepared(&gauges[series], value as u64),
                    |series| collector.count_add_prepared(&counters[series], 1),
                    |series, value| collector.timing_prepared(&timings[series], value as u64),
                );
            }
            Style::ByName => traffic.replay(
                updates,
                |series, value| {
                    let s = &traffic.gauges[series];
                    collector.gauge(
                        RylvStr::from(s.name.as_str()),
                        value as u64,
                        &mut tags(&s.pool, &s.role),
                    );
                },
                |series| {
                    let s = &traffic.counters[series];
                    collector.count(RylvStr::from(s.name.as_str()), &mut tags(&s.pool, &s.role));
                },
                |series, value| {
                    let s = &traffic.timings[series];
                    collector.timing(
                        RylvStr::from(s.name.as_str()),
                        value as u64,
                        &mut tags(&s.pool, &s.role),
                    );
                },
            ),
        }
        true
    }

    fn hold(&self, holding: &Holding) -> Option<Box<dyn Any>> {
        let collector = &self.collector;
        let register = |tag: &str| {
            let tag = RylvTag::Compound(RylvStr::from_static("n"), RylvStr::from(tag));
            let tags = collector.prepare_sorted_tags([tag]);
            collector.prepare_metric(RylvStr::from(holding.name.to_owned()), tags)
        };
        Some(match holding.kind {
            Kind::Gauge => {
                holding.keep(register, |gauge, value| collector.gauge_prepared(gauge, value as u64))
            }
            Kind::Counter => holding.keep(register, |counter, _| collector.count_add_prepared(counter, 1)),
            Kind::Timing => {
                holding.keep(register, |timing, value| collector.timing_prepared(timing, value as u64))
            }
        })
    }

    fn flush(&self) {
        thread::sleep(self.rest);
    }

    // Dropping the collector flushes.
}
