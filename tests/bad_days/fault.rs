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
    /// What is watched panics.
    ProbesPanic,
    /// Whoever is told of losses panics, and there are some.
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

    /// Whether the agent's buffers are filled, so that a packet is cut, or finds no room.
    pub(crate) fn floods(self) -> bool {
        matches!(self, Self::Stopped | Self::Slow | Self::Cut)
    }

    /// Whether an agent goes, with what it has not read.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::Killed | Self::NoticePanics | Self::Replaced | Self::Cut)
    }
}
