//! The languages that servers understand.

use super::dogstatsd::DogStatsd;
use super::statsd::Statsd;
use super::{Unencodable, clean};
use crate::event::{Event, ServiceCheck};
use crate::kind::Kind;
use std::fmt;

/// What the agent understands.
///
/// | | kinds | tags | a value seen `n` times | events, service checks |
/// |---|---|---|---|---|
/// | [`DogStatsd`](Self::DogStatsd) | `g` `c` `d` `h` `ms` `s` | yes | one line with a sample rate | yes |
/// | [`TaggedStatsd`](Self::TaggedStatsd) | `g` `c` `ms` `s` | yes | `n` lines | refused, counted |
/// | [`Statsd`](Self::Statsd) | `g` `c` `ms` `s` | left out | `n` lines | refused, counted |
///
/// What a user passes can't forge a line, a field or a tag, because names and tags are cleaned:
///
/// * **Names**, in every dialect: ASCII letters, digits, `_`, `.` and `-` stay, every other character becomes `_`. A
///   name that does not start with a letter gets `m_` in front, prefix included. Longer than 200 bytes is cut.
/// * **Tags** in DogStatsD: letters and digits of any script, `_`, `-`, `.`, `/` and, in values, `:` stay, every
///   other character becomes `_`. Keys and values are cut at 100 characters each. In tagged StatsD: ASCII letters,
///   digits, `_`, `-` and `.` stay. An empty value leaves the bare key; an empty key, or the reserved key `task_id`,
///   leaves the tag out, and that is counted. A context's own tag goes before a global one with the same key.
/// * **Set members**: `|` and control characters become `_`; in StatsD `:` too. The empty member is refused.
/// * **Event titles, texts and service check messages**: line breaks become `\n`. In messages `|` becomes `_` and
///   `m:` becomes `m\:`. The other fields lose `|` and control characters, as members do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// The Datadog Agent, and whatever else takes DogStatsD.
    #[default]
    DogStatsd,
    /// Etsy's kinds with DogStatsD's tags: StatsD 0.9, the CloudWatch agent. Distributions and histograms are sent as
    /// timings, and a negative one of those is refused.
    TaggedStatsd,
    /// Etsy's protocol and nothing else. No tags means no task id either: contexts that differ in their tags alone, and
    /// the gauges of several copies of a service, overwrite each other. Put what tells them apart into names and the
    /// [prefix](crate::ClientBuilder::prefix). A server may do more: collectd cuts a timing to whole milliseconds.
    Statsd,
}

impl Dialect {
    pub(super) fn grammar(self) -> &'static dyn Grammar {
        match self {
            Self::DogStatsd => &DogStatsd,
            Self::TaggedStatsd => &Statsd { tags: true },
            Self::Statsd => &Statsd { tags: false },
        }
    }
}

/// How a value that was seen several times is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// Once, with the sample rate that servers turn back into the count.
    Rate,
    /// As often as it was seen: servers ignore the rate, or worse, scale the value by it.
    Repeat,
}

/// What makes one dialect differ from another.
pub(crate) trait Grammar: fmt::Debug + Send + Sync {
    fn code(&self, kind: Kind) -> &'static [u8];
    fn has_tags(&self) -> bool;
    fn tag_key(&self, raw: &str) -> String;
    fn tag_value(&self, raw: &str) -> String;
    fn weights(&self) -> Weights;
    fn signed_gauges_are_differences(&self) -> bool;
    fn takes_negative_values(&self) -> bool;
    fn telemetry_prefix(&self) -> &'static str;

    fn member(&self, raw: &str) -> String {
        clean::text(raw, |c| c != '|' && !c.is_control())
    }

    /// `tags` are rendered: `|#queue:within_1_minute,task_id:0042`.
    fn event(&self, _event: &Event, _tags: &[u8], _out: &mut Vec<u8>) -> Result<(), Unencodable> {
        Err(Unencodable::Unsupported)
    }

    fn service_check(
        &self,
        _check: &ServiceCheck,
        _tags: &[u8],
        _out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        Err(Unencodable::Unsupported)
    }
}
