//! Settings of the main agent: its dialect, and the size of its packets.

use super::ClientBuilder;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::protocol::Protocol;
use crate::wire::encode::{Dialect, Weights};

impl ClientBuilder {
    /// Sets the agent's dialect. Defaults to the value of `TASKTAG_DIALECT`, if it is set and the environment is
    /// [read](Self::from_env). Without that value it defaults to [`Dialect::DatadogServerless`] if
    /// [`from_env`](Self::from_env) finds Datadog's extension of AWS Lambda, and otherwise to [`Dialect::DogStatsd`].
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.agent = self.agent.dialect(dialect);
        self
    }

    /// Sets the version of DogStatsD that the oldest agent in use supports. Features of later versions are left out.
    /// Defaults to [`Protocol::V1_6`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.agent = self.agent.protocol(protocol);
        self
    }

    /// Sets how values that a distribution has seen several times are written. Defaults to what suits the dialect's
    /// servers; see [`Dialect`].
    pub fn weights(mut self, weights: Weights) -> Self {
        self.agent = self.agent.weights(weights);
        self
    }

    /// Sets the kind that distributions are sent as. Defaults to [`Kind::Distribution`] in DogStatsD and
    /// [`Dialect::DatadogServerless`], and to [`Kind::Timing`] in the StatsD dialects. See
    /// [`Agent::distributions_as`](crate::Agent::distributions_as).
    pub fn distributions_as(mut self, kind: Kind) -> Self {
        self.agent = self.agent.distributions_as(kind);
        self
    }

    /// Sets the kind that histograms are sent as. Defaults to [`Kind::Histogram`] in DogStatsD, and in the other
    /// dialects to the kind that distributions are sent as. See [`Agent::histograms_as`](crate::Agent::histograms_as).
    pub fn histograms_as(mut self, kind: Kind) -> Self {
        self.agent = self.agent.histograms_as(kind);
        self
    }

    /// Sets the kind that timings are sent as. Defaults to [`Kind::Timing`], and in [`Dialect::DatadogServerless`] to
    /// [`Kind::Distribution`]. See [`Agent::timings_as`](crate::Agent::timings_as).
    pub fn timings_as(mut self, kind: Kind) -> Self {
        self.agent = self.agent.timings_as(kind);
        self
    }

    /// Sets whether negative values of distributions, histograms and timings are sent. Defaults to `false` in the
    /// dialects that etsy's server reads, and to `true` in the others. See
    /// [`Agent::negative_values`](crate::Agent::negative_values).
    pub fn negative_values(mut self, are_sent: bool) -> Self {
        self.agent = self.agent.negative_values(are_sent);
        self
    }

    /// Sets whether [`Dialect::Statsd`] puts the task id into every name. Defaults to `false`. See
    /// [`Agent::task_id_in_names`](crate::Agent::task_id_in_names).
    pub fn task_id_in_names(mut self, in_names: bool) -> Self {
        self.agent = self.agent.task_id_in_names(in_names);
        self
    }

    /// Sets the maximum size of a packet, from 64 to 65,507 bytes. For Unix streams the upper limit is 8192, because
    /// the Datadog Agent closes a connection that announces a larger packet. Defaults to 1432 for UDP and 8192 for Unix
    /// sockets (2048 for Unix datagrams outside Linux, where systems accept no more by default), 8192 for TCP, and 4096
    /// for standard output and writers, which is what a pipe takes in one piece.
    ///
    /// A larger event or service check has its own packet of up to 8192 bytes, regardless of this setting. The limit is
    /// 2048 for Unix datagrams outside Linux, and 4096 for standard output and writers.
    pub fn max_packet_size(mut self, bytes: usize) -> Self {
        self.agent = self.agent.max_packet_size(bytes);
        self
    }
}
