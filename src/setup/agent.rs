//! An agent as the user describes it: its address and its dialect.

use crate::vocabulary::error::ConfigError;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::protocol::Protocol;
use crate::wire::encode::{Dialect, Format, SentAs, Weights};
use crate::wire::transport::Address;

const MIN_PACKET_SIZE: usize = 64;

/// An additional agent, which receives everything that the main agent receives. It is added with
/// [`ClientBuilder::also`](crate::ClientBuilder::also), for example during a migration from one agent to another.
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
    /// Creates an agent from its address, in the syntax of [`ClientBuilder::agent`](crate::ClientBuilder::agent).
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: Some(address.into()), ..Self::default() }
    }

    /// Sets the agent's dialect. Defaults to [`Dialect::DogStatsd`].
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Sets the version of DogStatsD that the agent supports. With another dialect it is an error of
    /// [`build`](crate::ClientBuilder::build). Defaults to [`Protocol::V1_6`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Sets how values that a distribution has seen several times are written. Defaults to what suits the dialect's
    /// servers; see [`Dialect`].
    pub fn weights(mut self, weights: Weights) -> Self {
        self.weights = Some(weights);
        self
    }

    /// Sets the kind that distributions are sent as. A kind that the dialect does not allow is an error of
    /// [`build`](crate::ClientBuilder::build).
    ///
    /// | dialect | default | allowed |
    /// |---|---|---|
    /// | [`Dialect::DogStatsd`] | [`Kind::Distribution`] | [`Kind::Distribution`], [`Kind::Histogram`], [`Kind::Timing`] |
    /// | [`Dialect::DatadogServerless`] | [`Kind::Distribution`] | [`Kind::Distribution`] |
    /// | the others | [`Kind::Timing`] | [`Kind::Timing`], or [`Kind::Histogram`] if the server supports `h`, as Telegraf, netdata, `statsd_exporter` and the CloudWatch agent do |
    ///
    /// Values are sent unchanged, in the unit in which they were recorded.
    pub fn distributions_as(mut self, kind: Kind) -> Self {
        self.distributions_as = Some(kind);
        self
    }

    /// Sets the kind that histograms are sent as; see [`distributions_as`](Self::distributions_as). Defaults to
    /// [`Kind::Histogram`] in DogStatsD, and in the other dialects to the kind that distributions are sent as.
    pub fn histograms_as(mut self, kind: Kind) -> Self {
        self.histograms_as = Some(kind);
        self
    }

    /// Sets the kind that timings are sent as; see [`distributions_as`](Self::distributions_as). Defaults to
    /// [`Kind::Timing`]. [`Dialect::DatadogServerless`] has no timings, and defaults to [`Kind::Distribution`].
    ///
    /// If timings are sent as [`Kind::Distribution`], their quantiles are computed over all tasks instead of per agent:
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

    /// Sets whether negative values of distributions, histograms and timings are sent. If they are not, they are
    /// counted as [`DropReason::Invalid`](crate::DropReason::Invalid). Gauges and the summaries of
    /// [`Weights::Summaries`] always include negative values.
    ///
    /// Defaults to `false` in [`Dialect::TaggedStatsd`], [`Dialect::Graphite`] and [`Dialect::Statsd`], because etsy's
    /// server treats a negative value as a bad line. Defaults to `true` in the others. Telegraf, which reads
    /// [`Dialect::Influx`], drops negative values: with `false`, the client counts them. Vector, which reads
    /// [`Dialect::TaggedStatsd`], accepts them.
    pub fn negative_values(mut self, are_sent: bool) -> Self {
        self.negative_values = Some(are_sent);
        self
    }

    /// Sets whether [`Dialect::Statsd`], which has no tags, puts the task id into every name, after the prefix:
    /// `shop.task_0042.jobs.done`. Defaults to `false`.
    pub fn task_id_in_names(mut self, in_names: bool) -> Self {
        self.task_id_in_names = in_names;
        self
    }

    /// Sets the maximum size of a packet in bytes. See
    /// [`ClientBuilder::max_packet_size`](crate::ClientBuilder::max_packet_size) for the range and the defaults.
    pub fn max_packet_size(mut self, bytes: usize) -> Self {
        self.max_packet_size = Some(bytes);
        self
    }

    /// Sets the dialect, unless the program set a dialect or a version of `DogStatsD`.
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

    /// Returns whether summaries are sent. No dialect does so by default.
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

    /// Returns the kind that was set, or else `default`, or else the dialect's first kind.
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

    /// Checks that the agent's dialect can be used at the address.
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
