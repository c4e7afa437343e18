//! The ways to an agent.

use std::net::UdpSocket;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Udp6,
    UnixDatagram,
    UnixStream,
    Tcp,
    Writer,
    Capture,
}

impl Transport {
    const ALL: [Self; 7] =
        [Self::Udp, Self::Udp6, Self::UnixDatagram, Self::UnixStream, Self::Tcp, Self::Writer, Self::Capture];

    /// Those that this machine has.
    pub(crate) fn available() -> Vec<Self> {
        let has_ipv6 = UdpSocket::bind("[::1]:0").is_ok();
        Self::ALL.into_iter().filter(|transport| *transport != Self::Udp6 || has_ipv6).collect()
    }

    /// Whether agents are found by a host's name.
    pub(crate) fn has_names(self) -> bool {
        matches!(self, Self::Udp | Self::Udp6 | Self::Tcp)
    }

    pub(crate) fn is_socket(self) -> bool {
        !matches!(self, Self::Writer | Self::Capture)
    }

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::UnixStream | Self::Tcp)
    }

    pub(crate) fn is_unix(self) -> bool {
        matches!(self, Self::UnixDatagram | Self::UnixStream)
    }
}
