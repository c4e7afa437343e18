//! What is set of the main agent: what it understands, and how large its packets are.

use super::ClientBuilder;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::protocol::Protocol;
use crate::wire::encode::{Dialect, Weights};

impl ClientBuilder {
    /// What the agent understands. Defaults to what `TASKTAG_DIALECT` says, if it is [read](Self::from_env), else to
    /// [`Dialect::DogStatsd`], and to [`Dialect::DatadogServerless`] where [`from_env`](Self::from_env) finds Datadog's extension
    /// of AWS Lambda.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.agent = self.agent.dialect(dialect);
        self
    }

    /// The version of DogStatsD that the oldest agent in use understands: what came later is left out. Defaults to
    /// [`Protocol::V1_6`].
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.agent = self.agent.protocol(protocol);
        self
    }

    /// How a distribution's values that were seen several times are written. Defaults to what suits the dialect's
    /// servers: see [`Dialect`].
    pub fn weights(mut self, weights: Weights) -> Self {
        self.agent = self.agent.weights(weights);
        self
    }

    /// The kind that distributions are sent as. Defaults to [`Kind::Distribution`] in DogStatsD and
    /// [`Dialect::DatadogServerless`], to [`Kind::Timing`] in the StatsD dialects. See [`Agent::distributions_as`](crate::Agent::distributions_as).
    pub fn distributions_as(mut self, kind: Kind) -> Self {
        self.agent = self.agent.distributions_as(kind);
        self
    }

    /// The kind that histograms are sent as. Defaults to [`Kind::Histogram`] in DogStatsD, to what distributions are sent
    /// as in the other dialects. See [`Agent::histograms_as`](crate::Agent::histograms_as).
    pub fn histograms_as(mut self, kind: Kind) -> Self {
        self.agent = self.agent.histograms_as(kind);
        self
    }

    /// The kind that timings are sent as. Defaults to [`Kind::Timing`], to [`Kind::Distribution`] in
    /// [`Dialect::DatadogServerless`]. See [`Agent::timings_as`](crate::Agent::timings_as).
    pub fn timings_as(mut self, kind: Kind) -> Self {
        self.agent = self.agent.timings_as(kind);
        self
    }

    /// Whether values below 0 of distributions, histograms and timings are sent. Defaults to what suits etsy's server in
    /// the dialects that it reads, `false`, and to `true` in the others. See [`Agent::negative_values`](crate::Agent::negative_values).
    pub fn negative_values(mut self, are_sent: bool) -> Self {
        self.agent = self.agent.negative_values(are_sent);
        self
    }

    /// Whether [`Dialect::Statsd`] puts the task id into every name; see [`Agent::task_id_in_names`](crate::Agent::task_id_in_names). Defaults to `false`.
    pub fn task_id_in_names(mut self, in_names: bool) -> Self {
        self.agent = self.agent.task_id_in_names(in_names);
        self
    }

    /// Bytes of a packet, 64 to 65,507, and for Unix streams to 8192, where the Datadog Agent closes a connection that
    /// says more. Defaults to 1432 for UDP and 8192 for Unix sockets (2048 for Unix datagrams outside Linux, where systems
    /// take no more by default), 8192 for TCP, and 4096 for standard output and writers: what a pipe takes in one piece.
    ///
    /// An event or a service check that is larger has a packet of its own, of up to 8192 bytes, whatever is set here; of up
    /// to 2048 for Unix datagrams outside Linux, and to 4096 for standard output and writers.
    pub fn max_packet_size(mut self, bytes: usize) -> Self {
        self.agent = self.agent.max_packet_size(bytes);
        self
    }
}
