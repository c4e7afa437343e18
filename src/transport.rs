//! How packets reach the agent.

mod address;
mod backoff;
mod datagram;
#[cfg(feature = "testing")]
mod memory;
mod packets;
mod patience;
mod resolve;
#[cfg(unix)]
mod socket_name;
mod stream;
#[cfg(target_os = "linux")]
mod system;
mod tcp;
mod udp;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
mod unix_stream;
mod writer;

pub(crate) use self::address::{Address, DEFAULT_PORT};
#[cfg(feature = "testing")]
pub(crate) use self::memory::{Memory, MemoryTransport};
pub(crate) use self::packets::Packets;
pub(crate) use self::writer::{SharedWriter, WriterTransport};

use std::fmt;
use std::time::Duration;

/// The longest that a flush may hold the worker for its agent, whatever that does: after it, or after half of it
/// without a packet that was taken, the flush's other packets are offered without waiting.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_millis(200);

/// The most packets that are offered to a transport at a time.
pub(crate) const MAX_PACKETS: usize = 32;

/// What became of the first of the packets that were offered. The others are offered again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// So many of them were taken.
    pub(crate) taken: usize,
    /// So many behind those are lost.
    pub(crate) lost: usize,
    /// The last packet before them, which the kernel had taken, was refused by the agent's host.
    pub(crate) refused_before: bool,
    /// What was taken before them is as much in doubt as they are.
    pub(crate) doubtful: bool,
}

impl Delivery {
    pub(crate) const fn taken(packets: usize) -> Self {
        Self { taken: packets, lost: 0, refused_before: false, doubtful: false }
    }

    pub(crate) const fn lost(packets: usize) -> Self {
        Self { taken: 0, lost: packets, refused_before: false, doubtful: false }
    }
}

/// A way to the agent. Used by the worker alone.
pub(crate) trait Transport: fmt::Debug + Send {
    /// A flush begins: time to look after the connection.
    fn begin(&mut self) {}

    /// Sends the first of the packets, or more of them. Waits for at most [`WRITE_TIMEOUT`] a flush.
    fn send(&mut self, packets: Packets<'_>) -> Delivery;

    /// Whether the last packet, or all that are in doubt, turned out to be lost.
    fn last_was_refused(&mut self) -> bool {
        false
    }

    /// The packets that it likes to be offered at a time, at most [`MAX_PACKETS`].
    fn most_packets(&self) -> usize {
        1
    }

    /// As it stands in telemetry.
    fn name(&self) -> &'static str;
}

/// The transport to an address.
pub(crate) fn connect(address: Address) -> Box<dyn Transport> {
    match address {
        Address::Udp { host, port } => Box::new(udp::Udp::new(host, port)),
        Address::Tcp { host, port } => Box::new(stream::Stream::new(tcp::Tcp::new(host, port))),
        #[cfg(unix)]
        Address::Unix(path) => Box::new(unix::Unix::new(path)),
        #[cfg(unix)]
        Address::UnixStream(path) => Box::new(stream::Stream::new(unix_stream::UnixPeer::new(path))),
        Address::Stdout => Box::new(WriterTransport::stdout()),
    }
}
