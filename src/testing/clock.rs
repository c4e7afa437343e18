//! A client on a clock that is moved by hand.

use super::ManualClock;
use crate::setup::config::ClientBuilder;

impl ClientBuilder {
    /// Runs the client on a clock that is moved by hand.
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }
}
