//! An agent as the user describes it: where it is, and what it understands.

use crate::vocabulary::error::ConfigError;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::protocol::Protocol;
use crate::wire::encode::{Dialect, Format, SentAs, Weights};
use crate::wire::transport::Address;

const MIN_PACKET_SIZE: usize = 64;

/// An agent that gets everything that the main one gets, with [`ClientBuilder::also`](crate::ClientBuilder::also): for
/// the time of a move from one to another.
///
/// ```
/// use tasktag::{Agent, Client, Dialect};
///
/// let guard = Client::builder()
///     .agent("udp://127.0.0.1:8125")
///     .also(Agent::at("udp://127.0.0.1:9125").dialect(Dialect::Statsd).task_id_in_names(true))
///     .build()?;
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it is an agent only once a client knows it"]
pub struct Agent {
    pub(crate) address: Option<String>,
    dialect: Option<Dialect>,
    protocol: Option<Protocol>,
    weights: Option<Weights>,
    distributions_as: Option<Kind>,
    histograms_as: Option<Kind>,
    timings_as: Option<Kind>,
    negative_values: Option<bool>,
    task_id_in_names: bool,
    max_packet_size: Option<usize>,
}

impl Agent {
    /// An agent by its address, in the syntax of [`ClientBuilder::agent`](crate::ClientBuilder::agent).
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..Self::default() }
    }

    /// What it understands. Defaults to [`Dialect::DogStatsd`].
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// The version of DogStatsD that it understands, if that is its dialect. Defaults to [`Protocol::V1_6`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// How a distribution's values that were seen several times are written. Defaults to what suits the dialect's
    /// servers: see [`Dialect`].
    pub fn weights(mut self, weights: Weights) -> Self {
        self.weights = Some(weights);
        self
    }

    /// The kind that distributions are sent as, one that the dialect has:
    ///
    /// | dialect | default | may be |
    /// |---|---|---|
    /// | [`Dialect::DogStatsd`] | [`Kind::Distribution`] | [`Kind::Distribution`], [`Kind::Histogram`], [`Kind::Timing`] |
    /// | [`Dialect::DatadogServerless`] | [`Kind::Distribution`] | [`Kind::Distribution`] |
    /// | the others | [`Kind::Timing`] | [`Kind::Timing`], or [`Kind::Histogram`] if the server knows `h`, as Telegraf, netdata, `statsd_exporter` and the CloudWatch agent do |
    ///
    /// Values are sent as they are, in whatever unit they were recorded.
    pub fn distributions_as(mut self, kind: Kind) -> Self {
        self.distributions_as = Some(kind);
        self
    }

    /// The kind that histograms are sent as; see [`distributions_as`](Self::distributions_as). Defaults to
    /// [`Kind::Histogram`] in DogStatsD, and in the other dialects to what distributions are sent as.
    pub fn histograms_as(mut self, kind: Kind) -> Self {
        self.histograms_as = Some(kind);
        self
    }

    /// The kind that timings are sent as; see [`distributions_as`](Self::distributions_as). Defaults to
    /// [`Kind::Timing`], and in [`Dialect::DatadogServerless`], which has none, to [`Kind::Distribution`].
    ///
    /// As [`Kind::Distribution`], the quantiles of timings are computed over all tasks instead of for each agent:
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # use tasktag::testing::Capture;
    /// # use tasktag::{Client, Kind, TaskIdPool};
    /// # let capture = Capture::new();
    /// # let task_id = TaskIdPool::DEFAULT.id(42).ok_or("no such id")?;
    /// let guard = Client::builder().timings_as(Kind::Distribution)
    /// #   .capture(&capture).task_id(task_id).telemetry(false)
    ///     .build()?;
    /// guard.client().timing("db.query").record(12.5);
    /// drop(guard);
    /// # assert_eq!(capture.take_lines(), ["db.query:12.5|d|#task_id:0042"]);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timings_as(mut self, kind: Kind) -> Self {
        self.timings_as = Some(kind);
        self
    }

    /// Whether values below 0 of distributions, histograms and timings are sent. Those that are not are counted as
    /// [`DropReason::Invalid`](crate::DropReason::Invalid). [`Weights::Summaries`] has them in any case, and gauges too.
    ///
    /// Defaults to `false` in [`Dialect::TaggedStatsd`], [`Dialect::Graphite`] and [`Dialect::Statsd`], because etsy's
    /// server takes such a value for a bad line, and to `true` in the others. Telegraf, which reads [`Dialect::Influx`],
    /// drops such values: `false` has the client count them. Vector, which reads [`Dialect::TaggedStatsd`], takes them.
    pub fn negative_values(mut self, are_sent: bool) -> Self {
        self.negative_values = Some(are_sent);
        self
    }

    /// Whether [`Dialect::Statsd`], which has no tags, puts the task id into every name, behind the prefix:
    /// `shop.task_0042.jobs.done`. Defaults to `false`.
    pub fn task_id_in_names(mut self, in_names: bool) -> Self {
        self.task_id_in_names = in_names;
        self
    }

    /// Bytes of a packet; see [`ClientBuilder::max_packet_size`](crate::ClientBuilder::max_packet_size).
    pub fn max_packet_size(mut self, bytes: usize) -> Self {
        self.max_packet_size = Some(bytes);
        self
    }

    /// The dialect, unless the program said which, or which version of `DogStatsD` it is.
    pub(crate) fn presume(mut self, dialect: Dialect) -> Self {
        if self.protocol.is_none() {
            self.dialect = self.dialect.or(Some(dialect));
        }
        self
    }

    fn spoken(&self) -> Dialect {
        self.dialect.unwrap_or_default()
    }

    pub(crate) fn is_dogstatsd(&self) -> bool {
        self.spoken() == Dialect::DogStatsd
    }

    /// No dialect does by itself.
    pub(crate) fn sends_summaries(&self) -> bool {
        self.weights == Some(Weights::Summaries)
    }

    pub(crate) fn format(&self) -> Result<Format, ConfigError> {
        let dialect = self.spoken();
        if let Some(protocol) = self.protocol
            && !self.is_dogstatsd()
        {
            let reason = format!("versions are DogStatsD's, and the dialect is {dialect:?}");
            return Err(ConfigError::setting("protocol", format_args!("{protocol:?}"), reason));
        }
        if self.task_id_in_names && dialect != Dialect::Statsd {
            let reason = format!("the dialect {dialect:?} has the task id among its tags");
            return Err(ConfigError::setting("task_id_in_names", true, reason));
        }
        if self.weights == Some(Weights::Rates) && !dialect.reads_rates() {
            let reason = format!("in the dialect {dialect:?} a value counts once, whatever its rate");
            return Err(ConfigError::setting("weights", "Rates", reason));
        }
        Ok(Format {
            dialect,
            protocol: self.protocol.unwrap_or_default(),
            weights: self.weights,
            sent_as: self.sent_as()?,
            negative_values: self.negative_values,
            task_id_in_names: self.task_id_in_names,
        })
    }

    fn sent_as(&self) -> Result<SentAs, ConfigError> {
        let default = |kind| if self.is_dogstatsd() { Some(kind) } else { None };
        let distributions = self.sent_kind("distributions_as", self.distributions_as, None)?;
        let histograms = default(Kind::Histogram).unwrap_or(distributions);
        Ok(SentAs {
            distributions,
            histograms: self.sent_kind("histograms_as", self.histograms_as, Some(histograms))?,
            timings: self.sent_kind("timings_as", self.timings_as, default(Kind::Timing))?,
        })
    }

    /// What a setting says, else `default`, else the dialect's first.
    fn sent_kind(
        &self,
        setting: &'static str,
        kind: Option<Kind>,
        default: Option<Kind>,
    ) -> Result<Kind, ConfigError> {
        let dialect = self.spoken();
        let known = dialect.spread_kinds();
        match kind {
            Some(kind) if !known.contains(&kind) => {
                let known: Vec<_> = known.iter().map(|kind| format!("Kind::{kind:?}")).collect();
                let reason = format!("in the dialect {dialect:?} it must be {}", known.join(" or "));
                Err(ConfigError::setting(setting, kind, reason))
            }
            Some(kind) => Ok(kind),
            None => Ok(default.or_else(|| known.first().copied()).unwrap_or(Kind::Distribution)),
        }
    }

    /// Checks that the agent can be spoken to there.
    pub(crate) fn check_address(&self, address: &Address) -> Result<(), ConfigError> {
        if self.spoken() == Dialect::DatadogServerless
            && !matches!(address, Address::Udp { .. } | Address::Stdout | Address::Null)
        {
            let reason = "its server listens on UDP alone, and the agent's address is another";
            return Err(ConfigError::setting("dialect", "DatadogServerless", reason));
        }
        Ok(())
    }

    pub(crate) fn packet_size(&self, address: &Address) -> Result<usize, ConfigError> {
        let (size, most) =
            (self.max_packet_size.unwrap_or(address.default_packet_size()), address.max_packet_size());
        if (MIN_PACKET_SIZE..=most).contains(&size) {
            Ok(size)
        } else {
            let reason = format_args!("it must be from {MIN_PACKET_SIZE} to {most}");
            Err(ConfigError::setting("max_packet_size", size, reason))
        }
    }
}
