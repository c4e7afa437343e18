//! An agent in memory.

use super::parse::{ParseError, Parsed, ParsedMetric, parse};
use crate::setup::config::ClientBuilder;
use crate::wire::transport::Memory;
use std::sync::Arc;

/// Keeps the packets that a client sends. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    memory: Arc<Memory>,
}

impl Capture {
    /// An agent in memory that takes everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The packets since the last call, as they left.
    #[must_use]
    pub fn take_packets(&self) -> Vec<Vec<u8>> {
        self.memory.take()
    }

    /// The lines since the last call, without their line breaks.
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

    /// The metrics since the last call. Events and service checks are thrown away: for those take the packets and
    /// [parse](crate::testing::parse) them.
    ///
    /// # Errors
    ///
    /// When a line is none that DogStatsD allows.
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

    /// Takes no packets from now on, as an agent that is away, or takes them again.
    pub fn set_away(&self, away: bool) {
        self.memory.set_away(away);
    }

    /// Panics in the worker at the next packet, to show what a program survives.
    pub fn panic_once(&self) {
        self.memory.panic_once();
    }

    /// Panics in the worker at every packet from now on, or takes packets again.
    pub fn set_panicking(&self, panicking: bool) {
        self.memory.set_panicking(panicking);
    }

    /// Holds the worker at its next packet, as nothing real does for longer than 200 ms a flush, until it is called again
    /// with `false`.
    pub fn set_stuck(&self, stuck: bool) {
        self.memory.set_stuck(stuck);
    }
}

impl ClientBuilder {
    /// Sends to a [`Capture`] instead of an agent. The container is not looked for, so that the lines are the same on
    /// every machine, unless a [`system_root`](Self::system_root) is set. The first flush comes after a whole
    /// [flush interval](Self::flush_interval), not after a random part of it.
    pub fn capture(mut self, capture: &Capture) -> Self {
        self.memory = Some(Arc::clone(&capture.memory));
        self
    }
}
