//! The metrics facade in front of tasktag, beside its other recorders.

use super::metrics::{Facade, Rest};
use crate::contestant::{Contestant, Operation, Setup};
use crate::peers::METRICS_BRIDGED;
use crate::targets::Target;
use crate::traffic::{Style, Traffic};
use std::ops::Range;
use std::time::Duration;
use tasktag::integrations::metrics::{HistogramKind, Recorder};
use tasktag::{Client, Guard};

const PEER: &str = "metrics-exporter-dogstatsd";

/// A handle, and a call site that registers at each call, cost no more than in front of the peer.
pub const TARGETS: [Target; 16] = [
    target(Operation::GaugeSet, 1),
    target(Operation::GaugeSet, 2),
    target(Operation::CounterIncrement, 1),
    target(Operation::CounterIncrement, 2),
    target(Operation::TimingRecord, 1),
    target(Operation::TimingRecord, 2),
    target(Operation::GaugeByName, 1),
    target(Operation::GaugeByName, 2),
    target(Operation::CounterByName, 1),
    target(Operation::CounterByName, 2),
    target(Operation::TimingByName, 1),
    target(Operation::TimingByName, 2),
    target(Operation::GaugeLiteral, 1),
    target(Operation::GaugeLiteral, 2),
    target(Operation::CounterLiteral, 1),
    target(Operation::CounterLiteral, 2),
];

const fn target(operation: Operation, threads: u32) -> Target {
    Target {
        ours: (METRICS_BRIDGED, operation, threads),
        against: PEER,
        other: (PEER, operation, threads),
        at_most: 1.0,
    }
}

struct Bridged {
    guard: Guard,
    facade: Facade,
}

pub fn build(setup: &Setup) -> Option<Box<dyn Contestant>> {
    let mut builder = Client::builder().agent(setup.agent.to_string());
    if let Some(interval) = setup.interval {
        builder = builder.flush_interval(interval);
    }
    let guard = builder.build().expect("its thread starts");
    let recorder = Recorder::new(guard.client()).histograms_as(HistogramKind::Timing);
    let facade = Facade::new(Box::new(recorder), Rest::After(Duration::ZERO));
    Some(Box::new(Bridged { guard, facade }))
}

impl Contestant for Bridged {
    fn run(&self, operation: Operation, n: u32) -> bool {
        self.facade.run(operation, n)
    }

    fn replay(&self, style: Style, traffic: &Traffic, updates: Range<u32>) -> bool {
        self.facade.replay(style, traffic, updates)
    }

    fn finish(self: Box<Self>) {
        self.guard.client().flush(Duration::from_secs(10)).expect("everything is sent");
    }
}
