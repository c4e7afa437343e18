//! Passes packets on to an agent, byte by byte as they came.

use crate::endpoint::{Endpoint, Outlet};
use std::io;
use std::time::{Duration, Instant};

/// The longest that a packet waits for the agent behind this.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The time between attempts to reach an agent that is away.
const RETRY: Duration = Duration::from_millis(250);

/// The way to the agent, which is opened again where it breaks.
#[derive(Debug)]
pub(crate) struct Forward {
    endpoint: Endpoint,
    outlet: Option<Outlet>,
    tried: Option<Instant>,
    sent: u64,
    lost: u64,
    failure: Option<String>,
}

impl Forward {
    pub(crate) fn to(endpoint: Endpoint) -> Self {
        Self { endpoint, outlet: None, tried: None, sent: 0, lost: 0, failure: None }
    }

    /// Sends a packet. One that can't be sent is counted.
    pub(super) fn send(&mut self, packet: &[u8]) {
        match self.try_send(packet) {
            Ok(()) => self.sent += 1,
            Err(error) => {
                self.lost += 1;
                if error.kind() != io::ErrorKind::NotConnected {
                    self.failure = Some(error.to_string());
                }
            }
        }
    }

    fn try_send(&mut self, packet: &[u8]) -> io::Result<()> {
        let mut sent = self.outlet()?.send(packet);
        // A UDP socket reports a refusal of an earlier packet, and a datagram socket that its reader was replaced.
        if sent.is_err() {
            self.outlet = None;
            self.tried = None;
            sent = self.outlet()?.send(packet);
        }
        sent.inspect_err(|_| self.outlet = None)
    }

    fn outlet(&mut self) -> io::Result<&mut Outlet> {
        if self.outlet.is_none() {
            if self.tried.is_some_and(|tried| tried.elapsed() < RETRY) {
                return Err(io::ErrorKind::NotConnected.into());
            }
            self.tried = Some(Instant::now());
            let outlet = Outlet::connect(&self.endpoint, TIMEOUT)?;
            outlet.set_timeout(TIMEOUT)?;
            self.outlet = Some(outlet);
        }
        self.outlet.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(super) fn state(&self) -> String {
        let Self { endpoint, sent, lost, .. } = self;
        let why = self.failure.as_ref().map(|failure| format!(", {failure}")).unwrap_or_default();
        match lost {
            0 => format!("forwarded to {endpoint}: {sent} packets"),
            _ => format!("forwarded to {endpoint}: {sent} packets, and {lost} not{why}"),
        }
    }
}
