//! How packets reach the agent.

mod address;
mod datagram;
#[cfg(feature = "testing")]
mod memory;
mod resolve;
mod udp;
#[cfg(unix)]
mod unix;

pub(crate) use self::address::{Address, DEFAULT_PORT};
#[cfg(feature = "testing")]
pub(crate) use self::memory::{Memory, MemoryTransport};

use std::fmt;
use std::time::Duration;

/// The longest that a send may hold the worker, and then only once a flush: after it the flush's other packets are
/// offered without waiting.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The kernel took it.
    pub(crate) taken: bool,
    /// The packet before it, which the kernel had taken, was refused by the agent's host.
    pub(crate) refused_before: bool,
}

impl Delivery {
    pub(crate) const TAKEN: Self = Self { taken: true, refused_before: false };
    pub(crate) const FAILED: Self = Self { taken: false, refused_before: false };
}

/// A way to the agent. Used by the worker alone.
pub(crate) trait Transport: fmt::Debug + Send {
    /// A flush begins: time to look after the connection.
    fn begin(&mut self) {}

    /// Sends one packet, for at most [`WRITE_TIMEOUT`] a flush.
    fn send(&mut self, packet: &[u8]) -> Delivery;

    /// Whether the agent's host refused the last packet.
    fn last_was_refused(&mut self) -> bool {
        false
    }

    /// As it stands in telemetry.
    fn name(&self) -> &'static str;
}

/// The transport to an address.
pub(crate) fn connect(address: Address) -> Box<dyn Transport> {
    match address {
        Address::Udp { host, port } => Box::new(udp::Udp::new(host, port)),
        #[cfg(unix)]
        Address::Unix(path) => Box::new(unix::Unix::new(path)),
    }
}
