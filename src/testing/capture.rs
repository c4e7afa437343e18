//! An agent in memory.

use super::parse::{ParseError, Parsed, ParsedMetric, parse};
use crate::setup::config::ClientBuilder;
use crate::wire::transport::Memory;
use std::sync::Arc;

/// An agent in memory, which keeps the packets that a client sends. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    memory: Arc<Memory>,
}

impl Capture {
    /// Returns an agent in memory that accepts everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the packets since the last call, as they were sent.
    #[must_use]
    pub fn take_packets(&self) -> Vec<Vec<u8>> {
        self.memory.take()
    }

    /// Returns the lines since the last call, without their line breaks.
    #[must_use]
    pub fn take_lines(&self) -> Vec<String> {
        let packets = self.take_packets();
        packets
            .iter()
            .flat_map(|packet| {
                String::from_utf8_lossy(packet).lines().map(ToOwned::to_owned).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Returns the metrics since the last call. Events and service checks are discarded. To see them, take the packets
    /// and [parse](crate::testing::parse) them.
    ///
    /// # Errors
    ///
    /// Fails if a line is not valid DogStatsD.
    pub fn take_metrics(&self) -> Result<Vec<ParsedMetric>, ParseError> {
        let mut metrics = Vec::new();
        for packet in self.take_packets() {
            for parsed in parse(&packet)? {
                if let Parsed::Metric(metric) = parsed {
                    metrics.push(metric);
                }
            }
        }
        Ok(metrics)
    }

    /// With `true`, refuses packets from now on, like an agent that is away. With `false`, accepts them again.
    pub fn set_away(&self, away: bool) {
        self.memory.set_away(away);
    }

    /// Panics in the worker at the next packet, to show what a program survives.
    pub fn panic_once(&self) {
        self.memory.panic_once();
    }

    /// With `true`, panics in the worker at every packet from now on. With `false`, accepts packets again.
    pub fn set_panicking(&self, panicking: bool) {
        self.memory.set_panicking(panicking);
    }

    /// With `true`, blocks the worker at its next packet until this is called with `false`. No real transport blocks it
    /// for longer than 200 ms per flush.
    pub fn set_stuck(&self, stuck: bool) {
        self.memory.set_stuck(stuck);
    }
}

impl ClientBuilder {
    /// Sends to a [`Capture`] instead of an agent.
    ///
    /// The container is not detected, so that the lines are the same on every machine, unless a
    /// [`system_root`](Self::system_root) is set. The first flush is due after a whole
    /// [flush interval](Self::flush_interval), not after a random part of it.
    pub fn capture(mut self, capture: &Capture) -> Self {
        self.memory = Some(Arc::clone(&capture.memory));
        self
    }
}
