//! Sends packets to the agent.

mod address;
mod backoff;
mod datagram;
mod failure;
mod held;
#[cfg(target_os = "linux")]
mod inherited;
mod last_answers;
#[cfg(feature = "testing")]
mod memory;
mod null;
mod packets;
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
mod wait_budget;
mod writer;

pub(crate) use self::address::{Address, DEFAULT_PORT};
pub(crate) use self::failure::Failure;
#[cfg(target_os = "linux")]
pub(crate) use self::inherited::AT_FORK;
#[cfg(feature = "testing")]
pub(crate) use self::memory::{Memory, MemoryTransport};
pub(crate) use self::packets::Packets;
pub(crate) use self::writer::{SharedWriter, WriterTransport};

use std::fmt;
use std::time::{Duration, Instant};

/// The longest that a flush without a waiting caller may hold the worker for its agent. After this time, or after half
/// of it without a packet sent, the other packets of the flush are offered without waiting.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_millis(200);

/// The maximum number of packets that are offered to a transport at a time.
pub(crate) const MAX_PACKETS: usize = 32;

/// What became of the first of the offered packets. The others are offered again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The number of packets that were sent.
    pub(crate) taken: usize,
    /// The number of packets after those that are lost.
    pub(crate) lost: usize,
    /// The agent's host refused the last packet before them, which the kernel had accepted.
    pub(crate) refused_before: bool,
    /// The packets sent before them are as much in doubt as they are.
    pub(crate) doubtful: bool,
    /// The number of the last packets from earlier calls that are lost: their connection broke before they left this
    /// host.
    pub(crate) lost_before: usize,
}

impl Delivery {
    pub(crate) const fn taken(packets: usize) -> Self {
        Self { taken: packets, lost: 0, refused_before: false, doubtful: false, lost_before: 0 }
    }

    pub(crate) const fn lost(packets: usize) -> Self {
        Self { lost: packets, ..Self::taken(0) }
    }
}

/// What a transport needs to know about a flush that begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turn {
    /// When the waiting caller gives up. `None` if nobody waits.
    pub(crate) until: Option<Instant>,
    /// The number of agents that share this time, including this one; 0 counts as 1.
    pub(crate) agents: u32,
    /// Whether this is the last flush: attempts that would otherwise wait for a retry interval are made now.
    pub(crate) is_last: bool,
}

impl Turn {
    /// This agent's share of the remaining time.
    fn time(self) -> Duration {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        left.unwrap_or_default() / self.agents.max(1)
    }
}

/// A connection to the agent. Only the worker uses it.
pub(crate) trait Transport: fmt::Debug + Send {
    /// Starts a flush, so that the transport checks its connection.
    fn begin(&mut self, _: Turn) {}

    /// Sends the first of the packets, or more of them. Waits for at most [`WRITE_TIMEOUT`] per flush, or for as long
    /// as the [`Turn`] allows if that is more.
    fn send(&mut self, packets: Packets<'_>) -> Delivery;

    /// Whether the last packet, or all that are in doubt, turned out to be lost.
    fn last_was_refused(&mut self) -> bool {
        false
    }

    /// The preferred number of packets at a time, at most [`MAX_PACKETS`].
    fn most_packets(&self) -> usize {
        1
    }

    /// Why the last lost packet was lost.
    fn failure(&self) -> Option<&Failure>;

    /// How many of the sent packets may still be reported as lost by [`Delivery::lost_before`].
    fn most_held(&self) -> usize {
        0
    }

    /// The name used in telemetry.
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
        Address::Null => Box::new(null::Null),
    }
}
