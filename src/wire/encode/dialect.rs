//! The dialects that servers understand.

use super::dogstatsd::DogStatsd;
use super::embedded::{self, Embedded};
use super::grammar::Grammar;
use super::serverless::Serverless;
use super::statsd::Statsd;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::name::names;

/// The protocol that the agent understands.
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
/// # Kinds
///
/// [`distributions_as`](crate::Agent::distributions_as), [`histograms_as`](crate::Agent::histograms_as) and
/// [`timings_as`](crate::Agent::timings_as) set how distributions, histograms and timings are sent. By default they are
/// `d`, `h` and `ms` in `DogStatsd`, all `d` in `DatadogServerless`, and all `ms` in the other dialects, which are the
/// StatsD dialects. The StatsD dialects can send `h` too, if the server accepts it.
///
/// In the StatsD dialects, a sign before a gauge's value means a difference. A negative gauge is therefore set to 0
/// first, in the same packet.
///
/// `TaggedStatsd`, `Graphite` and `Statsd` refuse and count negative values of distributions, histograms and timings,
/// because etsy's server takes them for bad lines; see [`negative_values`](crate::Agent::negative_values).
///
/// Every dialect sends sets, except `DatadogServerless`, which refuses and counts them. `statsd_exporter` does not
/// support sets and drops them.
///
/// `SERVERS.md`, beside the README, lists the dialect and settings of fifteen servers, and what each makes of every
/// kind.
///
/// # Cleaning
///
/// Names and tags are cleaned, so that user input can't forge a line, a field or a tag:
///
/// * **Names**, in every dialect: ASCII letters, digits, `_`, `.` and `-` stay; every other character becomes `_`. A
///   name, prefix included, that does not start with a letter gets `m_` in front. Names are cut at 200 bytes.
/// * **Tags** in `DogStatsd` and `DatadogServerless`: letters and digits of any script, `_`, `-`, `.`, `/` and, in
///   values, `:` stay. In the other dialects: ASCII letters, digits, `_`, `-` and `.` stay. Every other character
///   becomes `_`. Keys and values are cut at 100 characters each, and at 200 together with the colon.
/// * **Empty tags**: an empty value leaves the bare key, or becomes `true` if the dialect puts tags into the name. A
///   tag with an empty key is left out and counted.
/// * **Tags with a task id**: a tag whose key is that of the task id, in any case, is sent with `_` after its key. If
///   its value is the task id itself, the tag is left out and counted.
/// * **Global tags**: a context's own tag takes precedence over a global one with the same key.
/// * **Reserved keys**: in `Graphite` the key `name` is reserved for the series, so a tag `name` becomes `name_`.
///   `statsd_exporter` reads `TaggedStatsd`, `Influx`, `Librato` and `SignalFx`, so keys reserved by Prometheus' data
///   model are changed there: `le` becomes `le_`, `quantile` becomes `quantile_`, and of several `_`, `.` and `-` at
///   the start of a key only the first stays.
/// * **Set members** stay unchanged. A member with `|` or a control character, or with `:` in any dialect but
///   `DogStatsd`, is sent as its 128-bit hash, so that different members are counted separately. The empty member is
///   refused.
/// * **Contexts** are identified by their cleaned text. Names and tags that read the same for every agent of the client
///   are one context, and its name has one kind. If agents with different dialects receive different texts, contexts
///   that only some of them can tell apart stay separate, and are counted in
///   [`Stats::clashing_contexts`](crate::Stats::clashing_contexts). A client remembers as many other spellings as its
///   context limit, of up to 4096 bytes each. A call by any further spelling is cleaned every time.
/// * **Event titles, texts and service check messages**: line breaks become `\n`, and text that does not fit into a
///   packet is cut. In messages, `|` becomes `_` and `m:` becomes `m\:`. In the other fields, `|` and control
///   characters become `_`.
///
/// ```
/// use tasktag::{Client, Dialect};
///
/// let builder = Client::builder().agent("udp://statsd.internal:8125").dialect(Dialect::TaggedStatsd);
/// assert_eq!("tagged_statsd".parse(), Ok(Dialect::TaggedStatsd));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// The Datadog Agent, and any other server that accepts DogStatsD. [`Protocol`](crate::Protocol) limits what is
    /// sent to an older Agent or another server.
    #[default]
    DogStatsd,
    /// Etsy's kinds with DogStatsD's tags, for StatsD 0.9 and the CloudWatch agent.
    TaggedStatsd,
    /// Graphite's tags in the name, for StatsD in front of Graphite 1.1 or later.
    Graphite,
    /// Influx's tags in the name, for Telegraf and `statsd_exporter`.
    Influx,
    /// Librato's tags in the name, for `statsd_exporter`.
    Librato,
    /// SignalFx's dimensions in the name, for `statsd_exporter` and SignalFx's collectors.
    SignalFx,
    /// Etsy's protocol without extensions. It has no tags, and so no task id. Contexts that differ only in their tags
    /// overwrite each other and are counted in [`Stats::clashing_contexts`](crate::Stats::clashing_contexts). Gauges of
    /// several copies of a service overwrite each other too.
    ///
    /// [`task_id_in_names`](crate::Agent::task_id_in_names) puts the task id into every name. Put everything else that
    /// tells contexts apart into names and the [prefix](crate::ClientBuilder::prefix). A server may change values
    /// further: collectd truncates a timing to whole milliseconds.
    Statsd,
    /// Datadog's DogStatsD for serverless functions: its extension for AWS Lambda, and the equivalents for functions of
    /// Azure and Google. These listen only on UDP, read only the first value of a line, ignore sample rates, and refuse
    /// every kind but gauges, counters and distributions. Therefore each value has a line of its own, and
    /// distributions, histograms and timings are all sent as distributions. Tags, timestamps and signed gauges work as
    /// in `DogStatsd`.
    ///
    /// [`from_env`](crate::ClientBuilder::from_env) detects the extension for AWS Lambda. Source:
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

    /// Whether servers weight a value by its sample rate.
    pub(crate) fn reads_rates(self) -> bool {
        self.grammar().reads_rates()
    }
}
