//! metrics-exporter-statsd: the facade in front of cadence.
//!
//! With cadence's unbounded queue: its own default of 256 lines loses two thirds of what a busy program reports.

use super::cadence::Queue;
use super::metrics::{Facade, Rest};
use crate::contestant::{Contestant, Setup, TASK_ID};
use metrics_exporter_statsd::StatsdBuilder;

pub fn build(setup: &Setup) -> Option<Box<dyn Contestant>> {
    let queue = Queue::new(&setup.agent);
    let builder = StatsdBuilder::from("", 0).with_sink(queue.sink()).histogram_is_distribution();
    let recorder = builder.with_default_tag(TASK_ID.0, TASK_ID.1).build(None).expect("there is a sink");
    Some(Box::new(Facade::new(Box::new(recorder), Rest::Queued(queue))))
}
