//! UDP, over IPv4 and IPv6.

use super::datagram::{Datagram, Socket, is_full};
use super::resolve::Resolver;
use super::{Delivery, Transport, WRITE_TIMEOUT};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A connected UDP socket. Connected, because only then does the kernel report that nobody listens.
#[derive(Debug)]
pub(super) struct Udp {
    resolver: Resolver,
    socket: Option<Datagram>,
    // No socket could be had in this flush.
    away: bool,
}

impl Udp {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self { resolver: Resolver::new(host, port), socket: None, away: false }
    }

    fn open(addresses: &[SocketAddr]) -> io::Result<Datagram> {
        let mut last = ErrorKind::NotFound.into();
        for address in addresses {
            match connect(*address) {
                Ok(socket) => return Datagram::new(Socket::Udp(socket)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn socket(&mut self) -> Option<&mut Datagram> {
        if self.socket.is_none() && !self.away {
            self.socket = Self::open(self.resolver.addresses()).ok();
            self.away = self.socket.is_none();
        }
        self.socket.as_mut()
    }

    /// The connection is of no use: the next flush makes another, perhaps to another address.
    fn give_up(&mut self) -> Delivery {
        self.socket = None;
        self.away = true;
        self.resolver.doubt();
        Delivery::FAILED
    }
}

/// The agent's host answered an earlier packet with "port unreachable". Windows calls that a reset.
fn speaks_of_the_packet_before(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}

fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket)
}

impl Transport for Udp {
    fn begin(&mut self) {
        self.away = false;
        let moved = self.resolver.refresh(WRITE_TIMEOUT);
        let unusable = self.socket.as_mut().is_some_and(|socket| socket.begin().is_err());
        if moved || unusable {
            self.socket = None;
        }
    }

    fn send(&mut self, packet: &[u8]) -> Delivery {
        let Some(socket) = self.socket() else { return self.give_up() };
        match socket.send(packet) {
            Ok(()) => Delivery::TAKEN,
            Err(error) if is_full(&error) => Delivery::FAILED,
            Err(error) if speaks_of_the_packet_before(&error) => {
                // This one was not tried yet, and the agent may be back.
                let taken = socket.send(packet).is_ok();
                self.resolver.doubt();
                Delivery { taken, refused_before: true }
            }
            Err(_) => self.give_up(),
        }
    }

    fn last_was_refused(&mut self) -> bool {
        let refused = self.socket.as_ref().and_then(Datagram::noted_error).is_some();
        if refused {
            self.resolver.doubt();
        }
        refused
    }

    fn name(&self) -> &'static str {
        "udp"
    }
}
