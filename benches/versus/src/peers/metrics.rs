//! The metrics facade in front of any of its recorders.

use super::cadence::Queue;
use crate::contestant::{
    COUNTER, Contestant, GAUGE, Holding, Kind, Operation, POOL, ROLE, TIMING, Tags, latency, level, repeat,
};
use crate::traffic::{Series, Style, Traffic, handles};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, with_local_recorder};
use std::any::Any;
use std::ops::Range;
use std::thread;
use std::time::Duration;

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// How a recorder gets rid of what it has.
pub enum Rest {
    /// It has a queue.
    Queued(Queue),
    /// It flushes by itself after a time, and there is no other way.
    After(Duration),
}

/// A recorder, and what it registered.
pub struct Facade {
    recorder: Box<dyn Recorder + Sync>,
    gauge: Gauge,
    counter: Counter,
    timing: Histogram,
    rest: Rest,
    tags: Tags,
}

impl Facade {
    pub fn new(recorder: Box<dyn Recorder + Sync>, rest: Rest) -> Self {
        Self {
            gauge: recorder.register_gauge(&key(GAUGE, POOL, ROLE), &METADATA),
            counter: recorder.register_counter(&key(COUNTER, POOL, ROLE), &METADATA),
            timing: recorder.register_histogram(&key(TIMING, POOL, ROLE), &METADATA),
            recorder,
            rest,
            tags: Tags::new(),
        }
    }

    fn replay_by_name(traffic: &Traffic, updates: Range<u32>) {
        traffic.replay(
            updates,
            |series, value| {
                let (name, pool, role) = owned(&traffic.gauges[series]);
                metrics::gauge!(name, "pool" => pool, "role" => role).set(value);
            },
            |series| {
                let (name, pool, role) = owned(&traffic.counters[series]);
                metrics::counter!(name, "pool" => pool, "role" => role).increment(1);
            },
            |series, value| {
                let (name, pool, role) = owned(&traffic.timings[series]);
                metrics::histogram!(name, "pool" => pool, "role" => role).record(value);
            },
        );
    }

    fn replay_by_handle(&self, traffic: &Traffic, updates: Range<u32>) {
        let recorder = &self.recorder;
        let key = |s: &Series| key(&s.name, &s.pool, &s.role);
        let gauges = handles(&traffic.gauges, |s| recorder.register_gauge(&key(s), &METADATA));
        let counters = handles(&traffic.counters, |s| recorder.register_counter(&key(s), &METADATA));
        let timings = handles(&traffic.timings, |s| recorder.register_histogram(&key(s), &METADATA));
        traffic.replay(
            updates,
            |series, value| gauges[series].set(value),
            |series| counters[series].increment(1),
            |series, value| timings[series].record(value),
        );
    }
}

fn key(name: &str, pool: &str, role: &str) -> Key {
    let labels = vec![Label::new("pool", pool.to_owned()), Label::new("role", role.to_owned())];
    Key::from_parts(name.to_owned(), labels)
}

/// The macros take what is known at run time as their own.
fn owned(series: &Series) -> (String, String, String) {
    (series.name.clone(), series.pool.clone(), series.role.clone())
}

impl Contestant for Facade {
    fn run(&self, operation: Operation, n: u32) -> bool {
        with_local_recorder(&self.recorder, || match operation {
            Operation::GaugeSet => repeat(n, |i| self.gauge.set(level(i))),
            Operation::CounterIncrement => repeat(n, |_| self.counter.increment(1)),
            Operation::TimingRecord => repeat(n, |i| self.timing.record(latency(i))),
            Operation::GaugeByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                metrics::gauge!(GAUGE, "pool" => pool.to_owned(), "role" => role.to_owned()).set(level(i));
            }),
            Operation::CounterByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                metrics::counter!(COUNTER, "pool" => pool.to_owned(), "role" => role.to_owned()).increment(1);
            }),
            Operation::TimingByName => repeat(n, |i| {
                let (pool, role) = self.tags.of(i);
                metrics::histogram!(TIMING, "pool" => pool.to_owned(), "role" => role.to_owned())
                    .record(latency(i));
            }),
            Operation::GaugeLiteral => repeat(n, |i| {
                metrics::gauge!("pool.size", "pool" => "primary", "role" => "reader").set(level(i));
            }),
            Operation::CounterLiteral => repeat(n, |_| {
                metrics::counter!("pool.opened", "pool" => "primary", "role" => "reader").increment(1);
            }),
            Operation::GaugeSetPeak | Operation::GaugeSetNewPeak | Operation::Occupancy => false,
        })
    }

    fn replay(&self, style: Style, traffic: &Traffic, updates: Range<u32>) -> bool {
        match style {
            Style::Handle => self.replay_by_handle(traffic, updates),
            Style::ByName => {
                with_local_recorder(&self.recorder, || Self::replay_by_name(traffic, updates));
            }
        }
        true
    }

    fn hold(&self, holding: &Holding) -> Option<Box<dyn Any>> {
        let recorder = &self.recorder;
        let key = |tag: &str| Key::from_parts(holding.name.to_owned(), vec![Label::new("n", tag.to_owned())]);
        Some(match holding.kind {
            Kind::Gauge => {
                holding.keep(|tag| recorder.register_gauge(&key(tag), &METADATA), metrics::Gauge::set)
            }
            Kind::Counter => holding.keep(
                |tag| recorder.register_counter(&key(tag), &METADATA),
                |counter, _| counter.increment(1),
            ),
            Kind::Timing => holding
                .keep(|tag| recorder.register_histogram(&key(tag), &METADATA), metrics::Histogram::record),
        })
    }

    fn flush(&self) {
        match &self.rest {
            Rest::Queued(queue) => queue.finish(),
            Rest::After(time) => thread::sleep(*time),
        }
    }

    fn settle(&self) {
        if let Rest::Queued(queue) = &self.rest {
            queue.settle();
        }
    }

    fn finish(self: Box<Self>) {
        match &self.rest {
            Rest::Queued(queue) => queue.finish(),
            Rest::After(time) => thread::sleep(*time),
        }
        // Recorders are installed for ever, and nobody drops them.
        std::mem::forget(self);
    }
}
