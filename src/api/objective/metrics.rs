//! The metrics of an objective.

use super::burn_alert::AlertSeverity;
use super::burn_window::BurnWindow;
use super::course::{Course, Rule, Unit};
use super::history_file::FileError;
use super::slice::{SliceCounts, SliceState};
use crate::api::client::Client;
use crate::api::dimension::{ClosedTags, Family};
use crate::api::handle::{Counter, Gauge, Metric, MetricBuilder};
use crate::callback::probe::Levels;
use crate::callback::watch_name::WatchName;
use crate::vocabulary::tag::TagList;
use std::sync::{Arc, OnceLock};

/// How the metrics of an objective are named.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    pub(super) prefix: String,
    pub(super) tags: Vec<(String, String)>,
    pub(super) without_task_id: bool,
}

impl Naming {
    /// Returns the usual names.
    pub(super) fn of(objective: &str) -> Self {
        let tags = vec![("objective".to_owned(), objective.to_owned())];
        Self { prefix: "slo".to_owned(), tags, without_task_id: false }
    }

    /// Adds tags.
    #[cfg(feature = "tower")]
    pub(super) fn with(mut self, tags: &[(String, String)]) -> Self {
        self.tags.extend_from_slice(tags);
        self
    }

    pub(super) fn watch_name(&self, client: &Client) -> Arc<WatchName> {
        let pairs = self.pairs();
        let mut tags = TagList::default();
        tags.set_slice(&pairs);
        WatchName::new(&client.shared().index, &self.prefix, &tags)
    }

    pub(super) fn counter(&self, client: &Client, name: &str) -> Counter {
        self.told_apart(client.counter(&self.name(name))).tags(&self.pairs()).register()
    }

    fn counters<T: ClosedTags>(&self, client: &Client, name: &str) -> Family<Counter, T> {
        self.told_apart(client.counter(&self.name(name))).tags(&self.pairs()).register_family()
    }

    fn gauge(&self, client: &Client, name: &str) -> Gauge {
        self.told_apart(client.gauge(&self.name(name))).tags(&self.pairs()).register()
    }

    fn gauges<T: ClosedTags>(&self, client: &Client, name: &str) -> Family<Gauge, T> {
        self.told_apart(client.gauge(&self.name(name))).tags(&self.pairs()).register_family()
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    fn told_apart<'a, M: Metric>(&self, metric: MetricBuilder<'a, M>) -> MetricBuilder<'a, M> {
        if self.without_task_id { metric.without_task_id() } else { metric }
    }
}

/// What an objective reports of its course. The metrics are registered at the first use: a forked child that is being set
/// up can't register any yet.
#[derive(Debug)]
pub(super) struct CourseMetrics {
    client: Client,
    naming: Naming,
    unit: Unit,
    has_file: bool,
    // Only the thread that polls the probe fills it, so nobody waits for it.
    handles: OnceLock<Handles>,
}

#[derive(Debug)]
struct Handles {
    burn_rate: Family<Gauge, BurnWindow>,
    budget_left: Gauge,
    alert: Family<Gauge, AlertSeverity>,
    // `None` if it has no slices.
    slices: Option<Family<Counter, SliceState>>,
    // `None` if it has no file.
    file_errors: Option<Family<Counter, FileError>>,
}

impl Handles {
    fn register(metrics: &CourseMetrics) -> Self {
        let CourseMetrics { client, naming, unit, has_file, .. } = metrics;
        let has_slices = matches!(unit, Unit::Slices | Unit::Events(Some(_)));
        Self {
            burn_rate: naming.gauges(client, "burn_rate"),
            budget_left: naming.gauge(client, "budget_left"),
            alert: naming.gauges(client, "alert"),
            slices: has_slices.then(|| naming.counters(client, "slices")),
            file_errors: has_file.then(|| naming.counters(client, "file_errors")),
        }
    }
}

impl CourseMetrics {
    pub(super) fn new(client: &Client, naming: &Naming, rule: &Rule, has_file: bool) -> Self {
        let (client, naming) = (client.clone(), naming.clone());
        Self { client, naming, unit: rule.unit, has_file, handles: OnceLock::new() }
    }

    fn handles(&self) -> &Handles {
        self.handles.get_or_init(|| Handles::register(self))
    }

    /// Counts slices that are over.
    pub(super) fn count(&self, over: SliceCounts) {
        let Some(slices) = &self.handles().slices else { return };
        for &state in SliceState::ALL {
            slices.at(state).increment(over.at(state));
        }
    }

    pub(super) fn count_file_error(&self, error: FileError) {
        if let Some(file_errors) = &self.handles().file_errors {
            file_errors.at(error).increment(1);
        }
    }

    /// Sets the gauges to what is known. What is unknown is absent.
    pub(super) fn report(&self, course: &Course) {
        let handles = self.handles();
        for &window in BurnWindow::ALL {
            set(handles.burn_rate.at(window), course.burn_rate(window));
        }
        set(&handles.budget_left, course.budget_left());
        for &severity in AlertSeverity::ALL {
            let fires = course.alert(severity);
            set(handles.alert.at(severity), fires.map(|fires| f64::from(u8::from(fires))));
        }
    }
}

impl Levels for CourseMetrics {
    fn make_absent(&self) {
        let Some(handles) = self.handles.get() else { return };
        for &window in BurnWindow::ALL {
            handles.burn_rate.at(window).unset();
        }
        for &severity in AlertSeverity::ALL {
            handles.alert.at(severity).unset();
        }
        handles.budget_left.unset();
    }
}

fn set(gauge: &Gauge, level: Option<f64>) {
    match level {
        Some(level) => gauge.set(level),
        None => gauge.unset(),
    }
}
