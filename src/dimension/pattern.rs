//! What the contexts of a family have in common.

use crate::client::Client;
use crate::error::RegisterError;
use crate::handle::{Counter, Distribution, Gauge, Metric, MetricBuilder, Occupancy, Options, Set};
use crate::kind::Kind;
use crate::tag::{TagList, Tags};
use std::marker::PhantomData;

/// A kind of handle that families are made of.
pub(crate) trait Member: Metric + Clone {
    /// Members that a family of closed tags may have. They are all registered at once.
    const LIMIT: usize;
}

impl Member for Counter {
    const LIMIT: usize = 1024;
}

impl Member for Gauge {
    const LIMIT: usize = 1024;
}

impl Member for Set {
    const LIMIT: usize = 1024;
}

// 64 KiB each: 16 MiB.
impl Member for Distribution {
    const LIMIT: usize = 256;
}

// Three lines each at every flush, used or not.
impl Member for Occupancy {
    const LIMIT: usize = 256;
}

/// A metric without the tags that its family adds.
#[derive(Debug)]
pub(crate) struct Pattern<M> {
    client: Client,
    name: Box<str>,
    tags: Tags,
    kind: Kind,
    options: Options,
    metric: PhantomData<fn() -> M>,
}

impl<M: Metric> Pattern<M> {
    pub(crate) fn new(client: &Client, name: &str, tags: &TagList<'_>, kind: Kind, options: Options) -> Self {
        let (client, tags) = (client.clone(), tags.kept());
        let options = Options { bounded: true, ..options };
        Self { client, name: name.into(), tags, kind, options, metric: PhantomData }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    fn all_tags<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        self.tags.iter().chain(more.iter().copied()).collect()
    }

    fn builder<'a>(&'a self, tags: &'a [(&'a str, &'a str)]) -> MetricBuilder<'a, M> {
        MetricBuilder::new(&self.client, &self.name, self.kind, self.options).tags(tags)
    }

    /// A handle for the context with these tags beside the pattern's own.
    pub(crate) fn register(&self, more: &[(&str, &str)]) -> M {
        self.builder(&self.all_tags(more)).register()
    }

    pub(crate) fn try_register(&self, more: &[(&str, &str)]) -> Result<M, RegisterError> {
        self.builder(&self.all_tags(more)).try_register()
    }

    /// A builder for a call by name, with one tag more.
    #[inline]
    pub(crate) fn call<'a>(&'a self, key: &'a str, value: &'a str) -> MetricBuilder<'a, M> {
        let builder = MetricBuilder::new(&self.client, &self.name, self.kind, self.options);
        self.tags.iter().fold(builder.tag(key, value), |builder, (key, value)| builder.tag(key, value))
    }
}
