//! The contestants, one file each.

mod cadence;
mod measured;
mod metrics;
mod metrics_exporter_dogstatsd;
mod metrics_exporter_statsd;
mod metrics_tasktag;
mod prometheus;
mod prometheus_client;
mod rylv_metrics;
mod tasktag;

use crate::contestant::{Entry, Sort};
use crate::floor;

pub const OURS: &str = "tasktag";
pub const FLOOR: &str = "primitives";
pub const CADENCE: &str = "cadence";
pub const CADENCE_BRIDGED: &str = "cadence/tasktag";
pub const METRICS_BRIDGED: &str = "metrics/tasktag";
pub const DOGSTATSD: &str = "metrics-exporter-dogstatsd";
pub const DOGSTATSD_SAMPLING: &str = "metrics-exporter-dogstatsd/sampling";
pub const PROMETHEUS: &str = "prometheus";

/// Everyone, in the order of the tables.
pub const ALL: &[Entry] = &[
    Entry { name: OURS, sort: Sort::Ours, build: tasktag::build },
    Entry { name: CADENCE, sort: Sort::Push, build: cadence::build },
    Entry { name: CADENCE_BRIDGED, sort: Sort::Bridge, build: cadence::build_bridged },
    Entry { name: METRICS_BRIDGED, sort: Sort::Bridge, build: metrics_tasktag::build },
    Entry { name: "metrics-exporter-statsd", sort: Sort::Push, build: metrics_exporter_statsd::build },
    Entry { name: DOGSTATSD, sort: Sort::Push, build: metrics_exporter_dogstatsd::build },
    Entry { name: DOGSTATSD_SAMPLING, sort: Sort::Push, build: metrics_exporter_dogstatsd::build_sampling },
    Entry { name: "rylv-metrics/shared", sort: Sort::Push, build: rylv_metrics::build_shared },
    Entry { name: "rylv-metrics/thread-local", sort: Sort::Push, build: rylv_metrics::build_thread_local },
    Entry { name: "measured", sort: Sort::Pull, build: measured::build },
    Entry { name: PROMETHEUS, sort: Sort::Pull, build: prometheus::build },
    Entry { name: "prometheus-client", sort: Sort::Pull, build: prometheus_client::build },
    Entry { name: FLOOR, sort: Sort::Floor, build: floor::build },
];

pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
