//! metrics-exporter-dogstatsd: cells behind the facade, flushed by a thread; timings raw or in a reservoir.

use super::metrics::{Facade, Rest};
use crate::contestant::{Agent, Contestant, Setup, TASK_ID};
use metrics::Label;
use metrics_exporter_dogstatsd::DogStatsDBuilder;
use std::time::Duration;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(3);

pub fn build(setup: &Setup) -> Option<Box<dyn Contestant>> {
    exporter(setup, false)
}

pub fn build_sampling(setup: &Setup) -> Option<Box<dyn Contestant>> {
    exporter(setup, true)
}

fn exporter(setup: &Setup, sampling: bool) -> Option<Box<dyn Contestant>> {
    let address = match &setup.agent {
        Agent::Udp(address) => address.to_string(),
        Agent::Unix(path) => format!("unixgram://{}", path.display()),
    };
    let mut builder = DogStatsDBuilder::default().with_remote_address(address).expect("an address is one");
    builder = builder.with_histogram_sampling(sampling);
    builder = builder.with_global_labels(vec![Label::new(TASK_ID.0, TASK_ID.1)]);
    if let Some(interval) = setup.interval {
        builder = builder.with_flush_interval(interval);
    }
    let recorder = builder.build().expect("its thread starts");
    // It flushes within an interval, and spreads the packets over another.
    let rest = setup.interval.unwrap_or(DEFAULT_INTERVAL) * 2 + Duration::from_millis(100);
    Some(Box::new(Facade::new(Box::new(recorder), Rest::After(rest))))
}
