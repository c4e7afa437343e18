//! An agent as the user describes it: where it is, and what it understands.

use crate::encode::{Dialect, Format, Protocol, Weights};
use crate::error::ConfigError;
use crate::kind::Kind;
use crate::transport::Address;

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
    dialect: Dialect,
    protocol: Option<Protocol>,
    weights: Option<Weights>,
    distributions_as: Option<Kind>,
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
        self.dialect = dialect;
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

    /// What distributions and histograms become in the StatsD dialects: [`Kind::Timing`], the default, or
    /// [`Kind::Histogram`] for servers that know `h`, as Telegraf, netdata, `statsd_exporter` and the CloudWatch agent
    /// do.
    pub fn distributions_as(mut self, kind: Kind) -> Self {
        self.distributions_as = Some(kind);
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

    pub(crate) fn is_dogstatsd(&self) -> bool {
        self.dialect == Dialect::DogStatsd
    }

    /// No dialect does by itself.
    pub(crate) fn sends_summaries(&self) -> bool {
        self.weights == Some(Weights::Summaries)
    }

    pub(crate) fn format(&self) -> Result<Format, ConfigError> {
        let dialect = self.dialect;
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
        Ok(Format {
            dialect,
            protocol: self.protocol.unwrap_or_default(),
            weights: self.weights,
            distributions_as: self.distributions_kind()?,
            task_id_in_names: self.task_id_in_names,
        })
    }

    fn distributions_kind(&self) -> Result<Kind, ConfigError> {
        let refuse = |kind, reason| Err(ConfigError::setting("distributions_as", kind, reason));
        match self.distributions_as {
            Some(kind) if self.is_dogstatsd() => refuse(kind, "DogStatsD has distributions"),
            None => Ok(Kind::Timing),
            Some(kind @ (Kind::Timing | Kind::Histogram)) => Ok(kind),
            Some(kind) => refuse(kind, "it must be Kind::Timing or Kind::Histogram"),
        }
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
