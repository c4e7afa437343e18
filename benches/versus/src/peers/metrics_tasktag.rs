//! The metrics facade in front of tasktag, beside its other recorders.

use super::metrics::{Facade, Rest};
use crate::contestant::{Contestant, Operation, Setup};
use crate::traffic::{Style, Traffic};
use std::ops::Range;
use std::time::Duration;
use tasktag::integrations::metrics::{HistogramKind, Recorder};
use tasktag::{Client, Guard};

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
