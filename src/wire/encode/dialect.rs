//! The languages that servers understand.

use super::dogstatsd::DogStatsd;
use super::embedded::{self, Embedded};
use super::grammar::Grammar;
use super::serverless::Serverless;
use super::statsd::Statsd;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::name::names;

/// What the agent understands.
///
/// | | a line | kinds | [weights](crate::Weights) | events, service checks |
/// |---|---|---|---|---|
/// | [`DogStatsd`](Self::DogStatsd) | `name:1\|g\|#key:value` | `g` `c` `d` `h` `ms` `s` | rates | yes |
/// | [`TaggedStatsd`](Self::TaggedStatsd) | `name:1\|g\|#key:value` | `g` `c` `ms` `s` | repeats | refused, counted |
/// | [`Graphite`](Self::Graphite) | `name;key=value:1\|g` | `g` `c` `ms` `s` | repeats | refused, counted |
/// | [`Influx`](Self::Influx) | `name,key=value:1\|g` | `g` `c` `ms` `s` | rates | refused, counted |
/// | [`Librato`](Self::Librato) | `name#key=value:1\|g` | `g` `c` `ms` `s` | rates | refused, counted |
/// | [`SignalFx`](Self::SignalFx) | `name[key=value]:1\|g` | `g` `c` `ms` `s` | rates | refused, counted |
/// | [`Statsd`](Self::Statsd) | `name:1\|g` | `g` `c` `ms` `s` | repeats | refused, counted |
/// | [`DatadogServerless`](Self::DatadogServerless) | `name:1\|g\|#key:value` | `g` `c` `d` | repeats | refused, counted |
///
/// What distributions, histograms and timings are sent as can be set: see
/// [`distributions_as`](crate::Agent::distributions_as), [`histograms_as`](crate::Agent::histograms_as) and
/// [`timings_as`](crate::Agent::timings_as). By default they are `d`, `h` and `ms` in DogStatsD, all of them `d` in
/// `DatadogServerless`, and all of them `ms` in the StatsD dialects, which are the others. Those take `h` too, if the
/// server does. Where a sign before a gauge's value means a difference, which
/// is so in the StatsD dialects, a negative gauge is set to 0 first, in the same packet. Negative values of
/// distributions, histograms and timings are refused and counted in `TaggedStatsd`, `Graphite` and `Statsd`, because
/// etsy's server takes them for bad lines; see [`negative_values`](crate::Agent::negative_values). Sets are sent in every
/// dialect but `DatadogServerless`, where they are refused and counted; `statsd_exporter` knows none, and drops them.
///
/// `SERVERS.md`, beside the README, says of fifteen servers which dialect and settings they need, and what arrives of each
/// kind.
///
/// What a user passes can't forge a line, a field or a tag, because names and tags are cleaned:
///
/// * **Names**, in every dialect: ASCII letters, digits, `_`, `.` and `-` stay, every other character becomes `_`. A
///   name that does not start with a letter gets `m_` in front, prefix included. Longer than 200 bytes is cut.
/// * **Tags** in DogStatsD and `DatadogServerless`: letters and digits of any script, `_`, `-`, `.`, `/` and, in values, `:` stay, every
///   other character becomes `_`. In the other dialects: ASCII letters, digits, `_`, `-` and `.` stay. Keys and
///   values are cut at 100 characters each, and at 200 with the colon. An empty value leaves the bare key, or becomes `true` where a tag stands in
///   the name; an empty key leaves the tag out, and that is counted. A tag with the key of the task id, in whatever case,
///   is sent under that key with `_` behind it, or left out and counted where it has the task id's own value. A context's own tag
///   takes precedence over a global one with the same key. In `Graphite` the key `name` is the series' own: a tag of that key
///   becomes `name_`. In `TaggedStatsd`, `Influx`, `Librato` and `SignalFx`, which `statsd_exporter` reads, the names that
///   Prometheus' data model keeps for itself are left to it: `le` becomes `le_`, `quantile` becomes `quantile_`, and of
///   several `_`, `.` and `-` at the start of a key the first stays.
/// * **Set members** stay as they are. One with `|` or a control character in it, or with `:` in every dialect but
///   DogStatsD, is sent as its 128-bit hash, so that members which differ are counted as that. The empty member is
///   refused.
/// * **Contexts** are told apart by what is written: names and tags that every agent of the client gets in the same words are one
///   context, whose name has one kind. If agents of several dialects get different words, contexts that only some of
///   them can tell apart stay apart, and are counted in
///   [`Stats::clashing_contexts`](crate::Stats::clashing_contexts). A client remembers as many other spellings of its contexts
///   as it may have contexts, of up to 4096 bytes each; each call by a further one is cleaned again.
/// * **Event titles, texts and service check messages**: line breaks become `\n`, and what no packet holds is cut.
///   In messages `|` becomes `_` and
///   `m:` becomes `m\:`. In the other fields `|` and control characters become `_`.
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
    /// Etsy's protocol and nothing else. No tags means no task id either: contexts that differ in their tags alone, which are
    /// counted in [`Stats::clashing_contexts`](crate::Stats::clashing_contexts), and the gauges of several copies of a
    /// service, overwrite each other. [`task_id_in_names`](crate::Agent::task_id_in_names)
    /// puts the task id into every name; put what else tells contexts apart into names and the
    /// [prefix](crate::ClientBuilder::prefix). A server may do more: collectd cuts a timing to whole milliseconds.
    Statsd,
    /// Datadog's DogStatsD for functions: its extension of AWS Lambda, and what it has for functions of Azure and
    /// Google. It listens on UDP alone, takes the first value of a line, ignores sample rates, and refuses every kind
    /// but gauges, counters and distributions. So each value has a line of its own, and distributions, histograms and
    /// timings are all distributions. Tags, times of values and the signs of gauges are as in `DogStatsd`.
    ///
    /// [`from_env`](crate::ClientBuilder::from_env) finds the extension of AWS Lambda by itself. Source:
    /// <https://github.com/DataDog/serverless-components>, `crates/dogstatsd`.
    DatadogServerless,
}

names! {
    Dialect, "a dialect":
    DogStatsd = "dogstatsd",
    TaggedStatsd = "tagged_statsd",
    Graphite = "graphite",
    Influx = "influx",
    Librato = "librato",
    SignalFx = "signalfx",
    Statsd = "statsd",
    DatadogServerless = "datadog_serverless",
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
            Self::DatadogServerless => &Serverless,
        }
    }

    /// The kinds that distributions, histograms and timings can be sent as.
    pub(crate) fn spread_kinds(self) -> &'static [Kind] {
        self.grammar().spread_kinds()
    }

    /// Whether a value that has a sample rate counts for as many as that says.
    pub(crate) fn reads_rates(self) -> bool {
        self.grammar().reads_rates()
    }
}
