//! A client's settings, and what the rules make of them.

use super::input::Pairs;
use super::rule;
use super::sent::{Sent, builder, sent};
use tasktag::{Client, ClientBuilder, ConfigError, Dialect, Kind, Protocol, TaskIdPool, Weights};

/// A client's settings, and what they make of tags.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) dialect: Dialect,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) weights: Option<Weights>,
    pub(crate) as_histograms: bool,
    pub(crate) task_id_in_names: bool,
    pub(crate) prefix: String,
    pub(crate) globals: Pairs,
}

impl Setting {
    pub(crate) const TASK_ID: &str = "0042";

    fn builder(&self) -> ClientBuilder {
        let mut builder = builder()
            .task_id(TaskIdPool::DEFAULT.id(42).expect("42 is in the pool"))
            .dialect(self.dialect)
            .prefix(&self.prefix)
            .task_id_in_names(self.task_id_in_names);
        if let Some(protocol) = self.protocol {
            builder = builder.protocol(protocol);
        }
        if let Some(weights) = self.weights {
            builder = builder.weights(weights);
        }
        if self.as_histograms {
            builder = builder.distributions_as(Kind::Histogram);
        }
        for (key, value) in &self.globals {
            builder = builder.tag(key, value);
        }
        builder
    }

    /// What a client sends, or `None` where a global tag has the reserved key, which is an error at once.
    pub(crate) fn sent(&self, act: impl FnOnce(&Client)) -> Option<Sent> {
        let reserved = self.globals.iter().any(|(key, _)| key.eq_ignore_ascii_case("task_id"));
        match sent(self.builder(), act) {
            Ok(sent) => {
                assert!(!reserved, "{self:?}");
                Some(sent)
            }
            Err(ConfigError::Setting { setting: "tag", .. }) if reserved => None,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }

    pub(crate) fn tags(&self, own: &Pairs) -> rule::Tags {
        rule::Tags::new(self.dialect, own, &self.globals, Self::TASK_ID)
    }

    pub(crate) fn name(&self, raw: &str, suffix: &str) -> String {
        let task_id = self.task_id_in_names.then_some(Self::TASK_ID);
        rule::metric_name(&self.prefix, task_id, raw, suffix)
    }

    pub(crate) fn weights(&self) -> Weights {
        self.weights.unwrap_or(match self.dialect {
            Dialect::TaggedStatsd | Dialect::Graphite | Dialect::Statsd => Weights::Repeats,
            _ => Weights::Rates,
        })
    }

    pub(crate) fn is_dogstatsd(&self) -> bool {
        self.dialect == Dialect::DogStatsd
    }

    pub(crate) fn packs_values(&self) -> bool {
        self.is_dogstatsd() && self.protocol.unwrap_or_default() >= Protocol::V1_1
    }

    pub(crate) fn has_timestamps(&self) -> bool {
        self.is_dogstatsd() && self.protocol.unwrap_or_default() >= Protocol::V1_3
    }
}
