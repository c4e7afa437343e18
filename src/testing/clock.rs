//! A client with a manual clock.

use super::ManualClock;
use crate::setup::config::ClientBuilder;

impl ClientBuilder {
    /// Runs the client with a manual clock.
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }
}
