//! What goes wrong on a bad day.

use super::transport::Transport;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The agent is gone with what it has not read, and is started again.
    Killed,
    /// The agent reads nothing for a while.
    Stopped,
    /// The agent takes its time.
    Slow,
    /// Another agent is at the same address.
    Replaced,
    /// Nobody listens from the start.
    Refusing,
    /// The agent closes in the middle of a packet.
    Cut,
    /// The agent's name is found late, or not at all.
    Unresolved,
    /// What is watched does not return.
    ProbesHang,
    ProbesPanic,
    /// Whoever is told of losses panics.
    NoticePanics,
    /// Children are born, use metrics and exit.
    Forks,
    /// The client is shut down while it is used.
    Shutdown,
    /// The guard is dropped while the client is used.
    GuardDropped,
    /// Sending panics: the writer, or the worker itself.
    SendingPanics,
}

impl Fault {
    const ALL: [Self; 14] = [
        Self::Killed,
        Self::Stopped,
        Self::Slow,
        Self::Replaced,
        Self::Refusing,
        Self::Cut,
        Self::Unresolved,
        Self::ProbesHang,
        Self::ProbesPanic,
        Self::NoticePanics,
        Self::Forks,
        Self::Shutdown,
        Self::GuardDropped,
        Self::SendingPanics,
    ];

    fn befalls(self, transport: Transport) -> bool {
        match self {
            Self::Replaced | Self::Refusing => transport.is_socket(),
            Self::Cut => transport.is_stream() || transport == Transport::Writer,
            Self::Unresolved => transport.has_names(),
            Self::SendingPanics => !transport.is_socket(),
            Self::Slow => transport != Transport::Capture,
            _ => true,
        }
    }

    /// Every fault with every transport that it befalls.
    pub(crate) fn everywhere(transports: &[Transport]) -> Vec<(Self, Transport)> {
        let pairs = Self::ALL.into_iter().flat_map(|fault| transports.iter().map(move |way| (fault, *way)));
        pairs.filter(|(fault, transport)| fault.befalls(*transport)).collect()
    }

    /// Whether it fills the agent's buffers, so that there is a packet to be cut and one that finds no room.
    pub(crate) fn needs_a_flood(self) -> bool {
        matches!(self, Self::Stopped | Self::Slow | Self::Cut)
    }

    /// Whether bytes may be lost with an agent that had taken them, of which the client can't know.
    pub(crate) fn loses_unseen(self, transport: Transport) -> bool {
        match transport {
            // What a socket file's agent did not read is known, and the kernel has nothing else.
            Transport::UnixStream => false,
            // What its host acknowledged is gone with an agent that had not read it.
            Transport::Tcp => matches!(self, Self::Killed | Self::NoticePanics | Self::Replaced | Self::Cut),
            // The queue of a socket has an end, and goes with its agent.
            Transport::Udp | Transport::Udp6 => true,
            Transport::UnixDatagram => matches!(self, Self::Killed | Self::NoticePanics | Self::Replaced),
            Transport::Writer | Transport::Capture => false,
        }
    }
}
