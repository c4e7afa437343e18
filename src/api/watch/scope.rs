//! What the metrics of one watched thing have in common: a client, a prefix and tags.

use super::Field;
use crate::api::client::Client;
#[cfg(feature = "r2d2")]
use crate::api::handle::Distribution;
use crate::api::handle::{Counter, Gauge};
use crate::callback::watch_name::WatchName;
use crate::vocabulary::tag::TagList;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Scope {
    client: Client,
    prefix: String,
    tags: Vec<(String, String)>,
}

impl Scope {
    pub(super) fn new(client: Client, prefix: String, tags: Vec<(String, String)>) -> Self {
        Self { client, prefix, tags }
    }

    pub(super) fn watch_name(&self) -> Arc<WatchName> {
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
        let builder = self.client.gauge(&name).tags(&tags);
        if field.peak { builder.peak().register() } else { builder.register() }
    }

    pub(crate) fn counter(&self, name: &str) -> Counter {
        let (name, tags) = (self.name(name), self.tags());
        self.client.counter(&name).tags(&tags).register()
    }

    #[cfg(feature = "r2d2")]
    pub(crate) fn timing(&self, name: &str) -> Distribution {
        let (name, tags) = (self.name(name), self.tags());
        self.client.timing(&name).tags(&tags).register()
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}
