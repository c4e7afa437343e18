//! The languages that servers understand.

use super::dogstatsd::DogStatsd;
use super::embedded::{self, Embedded};
use super::statsd::Statsd;
use super::{Unencodable, clean};
use crate::event::{Event, ServiceCheck};
use crate::kind::Kind;
use std::fmt;

/// What the agent understands.
///
/// | | a line | kinds | [weights](Weights) | events, service checks |
/// |---|---|---|---|---|
/// | [`DogStatsd`](Self::DogStatsd) | `name:1\|g\|#key:value` | `g` `c` `d` `h` `ms` `s` | rates | yes |
/// | [`TaggedStatsd`](Self::TaggedStatsd) | `name:1\|g\|#key:value` | `g` `c` `ms` `s` | repeats | refused, counted |
/// | [`Graphite`](Self::Graphite) | `name;key=value:1\|g` | `g` `c` `ms` `s` | repeats | refused, counted |
/// | [`Influx`](Self::Influx) | `name,key=value:1\|g` | `g` `c` `ms` `s` | rates | refused, counted |
/// | [`Librato`](Self::Librato) | `name#key=value:1\|g` | `g` `c` `ms` `s` | rates | refused, counted |
/// | [`SignalFx`](Self::SignalFx) | `name[key=value]:1\|g` | `g` `c` `ms` `s` | rates | refused, counted |
/// | [`Statsd`](Self::Statsd) | `name:1\|g` | `g` `c` `ms` `s` | repeats | refused, counted |
///
/// Where there is no `d` and `h`, distributions and histograms are sent as timings, or as `h` with
/// [`distributions_as`](crate::Agent::distributions_as). Where a sign before a gauge's value means a difference, which
/// is everywhere but in DogStatsD, a negative gauge is set to 0 first, in the same packet. Negative values of `ms` are
/// refused and counted in `TaggedStatsd`, `Graphite` and `Statsd`, whose servers take them for bad lines. Sets are sent in
/// every dialect; `statsd_exporter` knows none, and drops them.
///
/// `SERVERS.md`, beside the README, says of nine servers which dialect and settings they need, and what arrives of each
/// kind.
///
/// What a user passes can't forge a line, a field or a tag, because names and tags are cleaned:
///
/// * **Names**, in every dialect: ASCII letters, digits, `_`, `.` and `-` stay, every other character becomes `_`. A
///   name that does not start with a letter gets `m_` in front, prefix included. Longer than 200 bytes is cut.
/// * **Tags** in DogStatsD: letters and digits of any script, `_`, `-`, `.`, `/` and, in values, `:` stay, every
///   other character becomes `_`. In the other dialects: ASCII letters, digits, `_`, `-` and `.` stay. Keys and
///   values are cut at 100 characters each, and at 200 with the colon. An empty value leaves the bare key, or becomes `true` where a tag stands in
///   the name; an empty key leaves the tag out, and that is counted. A tag with the key of the task id, in whatever case,
///   is sent under that key with `_` behind it, or left out and counted where it has the task id's own value. A context's own tag
///   goes before a global one with the same key. In `Graphite` the key `name` is the series' own: a tag of that key
///   becomes `name_`.
/// * **Set members**: `|` and control characters become `_`; in StatsD `:` too. The empty member is refused.
/// * **Event titles, texts and service check messages**: line breaks become `\n`. In messages `|` becomes `_` and
///   `m:` becomes `m\:`. The other fields lose `|` and control characters, as members do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// The Datadog Agent, and whatever else takes DogStatsD. [`Protocol`](crate::Protocol) says what an older Agent, or
    /// another server, is spared.
    #[default]
    DogStatsd,
    /// Etsy's kinds with DogStatsD's tags: StatsD 0.9, the CloudWatch agent.
    TaggedStatsd,
    /// Graphite's tags in the name: StatsD with a Graphite of 1.1 or later behind it.
    Graphite,
    /// Influx's tags in the name: Telegraf, `statsd_exporter`.
    Influx,
    /// Librato's tags in the name: `statsd_exporter`.
    Librato,
    /// SignalFx's dimensions in the name: `statsd_exporter`, the collectors of SignalFx.
    SignalFx,
    /// Etsy's protocol and nothing else. No tags means no task id either: contexts that differ in their tags alone, and
    /// the gauges of several copies of a service, overwrite each other. [`task_id_in_names`](crate::Agent::task_id_in_names)
    /// puts the task id into every name; put what else tells contexts apart into names and the
    /// [prefix](crate::ClientBuilder::prefix). A server may do more: collectd cuts a timing to whole milliseconds.
    Statsd,
}

impl Dialect {
    pub(super) fn grammar(self) -> &'static dyn Grammar {
        match self {
            Self::DogStatsd => &DogStatsd,
            Self::TaggedStatsd => &Statsd { tags: true },
            Self::Graphite => const { &Embedded(embedded::Style::Graphite) },
            Self::Influx => const { &Embedded(embedded::Style::Influx) },
            Self::Librato => const { &Embedded(embedded::Style::Librato) },
            Self::SignalFx => const { &Embedded(embedded::Style::SignalFx) },
            Self::Statsd => &Statsd { tags: false },
        }
    }
}

/// How a distribution's values that were seen several times are written.
///
/// | | lines | what servers make of it |
/// |---|---|---|
/// | [`Rates`](Self::Rates) | one for all values of a count, `lat:12.5\|ms\|@0.25` | exact counts, and quantiles that the server computes, where a rate is a repetition: the Datadog Agent, `statsd_exporter`, Telegraf, Vector |
/// | [`Repeats`](Self::Repeats) | one for each time a value was seen | exact up to 1000 values a flush; beyond, thinned out in proportion and counted as `sampled` |
/// | [`Summaries`](Self::Summaries) | seven for all values of a flush | exact counts; the rest is as near as a [`Distribution`](crate::Distribution) keeps values, and of the task, which nobody can add up over tasks |
///
/// Each dialect has a default; see [`Dialect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Weights {
    /// Once, with the sample rate that servers turn back into the count: they truncate `1 / rate`, so the rate written
    /// is one that they turn into exactly the count. Of a count above 2^52, not each of which has such a rate, several
    /// lines are made.
    ///
    /// A value on a line counts for 4,294,967,295 at most in Vector, and for 260,078,023 in Agent Data Plane as it is set
    /// up by default. `statsd_exporter` and Telegraf keep a value as often as it was seen, which takes them the memory that
    /// as many lines would.
    ///
    /// Not for servers that read a rate otherwise: etsy's server weights no value by it, but a timing's count alone;
    /// netdata repeats no value more than 100 times; collectd divides the value itself by it. These count
    /// [`Repeats`](Self::Repeats), or take [`Summaries`](Self::Summaries) where there are more values than that.
    Rates,
    /// As often as it was seen.
    Repeats,
    /// A counter `<name>.count`, and the gauges `<name>.min`, `.max`, `.avg`, `.p50`, `.p95` and `.p99`. Sets are not
    /// concerned.
    Summaries,
}

/// What makes one dialect differ from another.
pub(crate) trait Grammar: fmt::Debug + Send + Sync {
    fn code(&self, kind: Kind) -> &'static [u8];
    fn tag_key(&self, raw: &str) -> String;
    fn tag_value(&self, raw: &str) -> String;
    fn weights(&self) -> Weights;
    fn signed_gauges_are_differences(&self) -> bool;
    fn takes_negative_values(&self) -> bool;
    fn telemetry_prefix(&self) -> &'static str;

    /// Tags that stand in the name, before the number.
    fn tags_in_name(&self, _tags: &[(&str, &str)], _out: &mut Vec<u8>) {}

    /// Tags that stand behind the number: `|#queue:within_1_minute,task_id:0042`.
    fn tags_at_end(&self, _tags: &[(&str, &str)], _out: &mut Vec<u8>) {}

    /// Whether `d` and `h` are kinds, and there are packed values, timestamps and an origin.
    fn is_dogstatsd(&self) -> bool {
        false
    }

    fn member(&self, raw: &str) -> String {
        // What follows another colon is read as another value.
        clean::text(raw, |c| c != '|' && c != ':' && !c.is_control())
    }

    /// `fields` are rendered: tags and origin.
    fn event(&self, _event: &Event, _fields: &[u8], _out: &mut Vec<u8>) -> Result<(), Unencodable> {
        Err(Unencodable::Unsupported)
    }

    fn service_check(
        &self,
        _check: &ServiceCheck,
        _fields: &[u8],
        _out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        Err(Unencodable::Unsupported)
    }
}
