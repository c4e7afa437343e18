//! A client that is called once, and what it sends for it.

use super::input::{Input, LONGEST, Pairs};
use super::{rule, told, values};
use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{
    Client, ClientBuilder, ConfigError, Dialect, DropReason, Kind, Protocol, Stats, Tally, TaskIdPool,
    Weights,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// The most tags of a call that are passed; the texts that are left are global tags.
const OWN_TAGS: u8 = 16;

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

/// What a client sent until it ended, and its books then.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) packets: Vec<Vec<u8>>,
    pub(crate) stats: Stats,
}

/// A client that says nothing of itself. It collects and flushes at its end.
pub(crate) fn builder() -> ClientBuilder {
    let never = Duration::from_secs(3600);
    Client::builder()
        .telemetry(false)
        .flush_interval(never)
        .collect_interval(never)
        .shutdown_timeout(PATIENCE)
        .channel_capacity(4)
        .max_packet_size(65_507)
}

pub(crate) fn sent(builder: ClientBuilder, act: impl FnOnce(&Client)) -> Result<Sent, ConfigError> {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build()?;
    let client = guard.client().clone();
    act(&client);
    guard.shutdown(PATIENCE).expect("it ends in time");
    let stats = client.stats();
    let dropped = stats.dropped_total();
    let parts: [fn(Tally) -> u64; 4] =
        [|tally| tally.values, |tally| tally.lines, |tally| tally.packets, |tally| tally.bytes];
    for part in parts {
        assert_eq!(part(stats.accepted), part(stats.sent) + part(dropped), "{stats:?}");
    }
    assert_eq!(stats.worker_restarts, 0, "the worker panicked");
    Ok(Sent { packets: capture.take_packets(), stats })
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

/// Nothing but this was dropped.
pub(crate) fn assert_dropped(stats: &Stats, reason: DropReason, values: u64) {
    assert_eq!(stats.dropped(reason).values, values, "{reason:?}: {stats:?}");
    assert_eq!(stats.dropped_total().values, values, "{reason:?} alone: {stats:?}");
}

/// One call in a dialect: the lines that are sent for it are read back as what the rules say, whatever was passed.
pub(crate) fn check(dialect: Dialect, bytes: &[u8]) {
    if bytes.len() > LONGEST {
        return;
    }
    let mut input = Input::new(bytes);
    let is_dogstatsd = dialect == Dialect::DogStatsd;
    let mut setting = Setting {
        dialect,
        protocol: None,
        weights: [None, Some(Weights::Rates), Some(Weights::Repeats), Some(Weights::Summaries)]
            [usize::from(input.header[1] & 3)],
        as_histograms: input.bit(1, 2) && !is_dogstatsd,
        task_id_in_names: input.bit(1, 3) && dialect == Dialect::Statsd,
        prefix: input.text(),
        globals: Pairs::new(),
    };
    if is_dogstatsd && input.bit(1, 2) {
        setting.protocol = Some(if input.bit(1, 3) { Protocol::V1_2 } else { Protocol::V1_0 });
    }
    let own_tags = usize::from(input.header[2] % OWN_TAGS);
    match input.header[0] % 9 {
        7 => told::check_event(setting, input, own_tags),
        8 => told::check_service_check(setting, input, own_tags),
        kind => values::check(setting, input, own_tags, kind),
    }
}
