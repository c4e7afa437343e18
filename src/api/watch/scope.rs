//! What the metrics of one watched thing have in common: a client, a prefix and tags.

use super::{Field, Group};
use crate::api::client::Client;
use crate::api::dimension::{ClosedTags, Family, Outcome};
use crate::api::handle::{Counter, Distribution, Gauge, Metric, MetricBuilder};
use crate::api::sole::SoleReporter;
use crate::callback::watch_name::WatchName;
use crate::vocabulary::tag::TagList;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Scope {
    client: Client,
    prefix: String,
    tags: Vec<(String, String)>,
    // The lease of the task that reports for all, if it is not each task for itself.
    sole: Option<SoleReporter>,
    has_task_id: bool,
}

impl Scope {
    pub(super) fn new(
        client: Client,
        prefix: String,
        tags: Vec<(String, String)>,
        sole: Option<SoleReporter>,
    ) -> Self {
        // What one task reports for all has no task id.
        let has_task_id = sole.is_none();
        Self { client, prefix, tags, sole, has_task_id }
    }

    pub(super) fn without_task_id(self) -> Self {
        Self { has_task_id: false, ..self }
    }

    /// Returns whether this task reports.
    pub(super) fn may_report(&self) -> bool {
        self.sole.as_ref().is_none_or(SoleReporter::is_held)
    }

    pub(crate) fn watch_name(&self) -> Arc<WatchName> {
        let pairs = self.tags();
        let mut tags = TagList::default();
        tags.set_slice(&pairs);
        WatchName::new(&self.client.shared().index, &self.prefix, &tags)
    }

    pub(super) fn tags(&self) -> Vec<(&str, &str)> {
        self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    pub(super) fn gauge(&self, field: Field) -> Gauge {
        let (name, tags) = (self.name(field.name), self.tags());
        let builder = self.told_apart(self.client.gauge(&name)).tags(&tags);
        if field.peak { builder.peak().register() } else { builder.register() }
    }

    pub(super) fn group_gauge(&self, group: &Group) -> Gauge {
        let own = group.tags.iter().map(|(key, value)| (*key, value.as_str()));
        let tags: Vec<_> = self.tags().into_iter().chain(own).collect();
        self.told_apart(self.client.gauge(&self.name(group.name))).tags(&tags).register()
    }

    pub(crate) fn counter(&self, name: &str) -> Counter {
        let (name, tags) = (self.name(name), self.tags());
        self.told_apart(self.client.counter(&name)).tags(&tags).register()
    }

    /// Returns counters with tags of their own, told apart by closed tags.
    pub(crate) fn counter_by<T: ClosedTags>(&self, name: &str, own: &[(&str, &str)]) -> Family<Counter, T> {
        let name = self.name(name);
        let tags: Vec<_> = self.tags().into_iter().chain(own.iter().copied()).collect();
        self.told_apart(self.client.counter(&name)).tags(&tags).register_family()
    }

    pub(crate) fn timing(&self, name: &str) -> Distribution {
        let (name, tags) = (self.name(name), self.tags());
        self.told_apart(self.client.timing(&name)).tags(&tags).register()
    }

    /// Returns the timings of operations, told apart by how they ended.
    pub(super) fn timing_by_outcome(&self, name: &str) -> Family<Distribution, Outcome> {
        let (name, tags) = (self.name(name), self.tags());
        self.told_apart(self.client.timing(&name)).tags(&tags).register_family()
    }

    fn told_apart<'a, M: Metric>(&self, metric: MetricBuilder<'a, M>) -> MetricBuilder<'a, M> {
        if self.has_task_id { metric } else { metric.without_task_id() }
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}
