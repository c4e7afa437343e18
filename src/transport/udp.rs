//! UDP, over IPv4 and IPv6.

use super::datagram::{Datagram, Socket, spares_the_connection};
use super::resolve::Resolver;
use super::{Delivery, Transport, WRITE_TIMEOUT};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A connected UDP socket. Connected, because only then does the kernel report that nobody listens.
#[derive(Debug)]
pub(super) struct Udp {
    resolver: Resolver,
    socket: Option<Datagram>,
    // Which of the host's addresses is in use, and whether another one should be: sends to a wrong address succeed
    // for the most part, and only an answer of its host says that nobody listens.
    place: usize,
    try_next: bool,
    // No socket could be had in this flush.
    away: bool,
}

impl Udp {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self::with(Resolver::new(host, port))
    }

    fn with(resolver: Resolver) -> Self {
        Self { resolver, socket: None, place: 0, try_next: false, away: false }
    }

    fn open(&self) -> io::Result<Datagram> {
        let addresses = self.resolver.addresses();
        let mut last = ErrorKind::NotFound.into();
        for address in addresses.iter().cycle().skip(self.place).take(addresses.len()) {
            match connect(*address) {
                Ok(socket) => return Datagram::new(Socket::Udp(socket)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn socket(&mut self) -> Option<&mut Datagram> {
        if self.socket.is_none() && !self.away {
            self.socket = self.open().ok();
            self.away = self.socket.is_none();
        }
        self.socket.as_mut()
    }

    /// The connection is of no use: the next flush makes another, perhaps to another address.
    fn give_up(&mut self) -> Delivery {
        self.socket = None;
        self.away = true;
        self.doubt();
        Delivery::FAILED
    }

    /// Nobody seems to listen there: the next flush tries the host's next address, and asks for others.
    fn doubt(&mut self) {
        self.try_next = true;
        self.resolver.doubt();
    }
}

/// The agent's host, or a router before it, answered an earlier packet with "unreachable". Windows calls that a reset.
fn speaks_of_the_packet_before(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable)
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
        let next = std::mem::take(&mut self.try_next) && self.resolver.addresses().len() > 1;
        let unusable = self.socket.as_mut().is_some_and(|socket| socket.begin().is_err());
        if moved {
            self.place = 0;
        } else if next {
            self.place = (self.place + 1) % self.resolver.addresses().len();
        }
        if moved || next || unusable {
            self.socket = None;
        }
    }

    fn send(&mut self, packet: &[u8]) -> Delivery {
        let Some(socket) = self.socket() else { return self.give_up() };
        match socket.send(packet) {
            Ok(()) => Delivery::TAKEN,
            Err(error) if spares_the_connection(&error) => Delivery::FAILED,
            Err(error) if speaks_of_the_packet_before(&error) => {
                // This one was not tried yet, and the agent may be back.
                let taken = socket.send(packet).is_ok();
                self.doubt();
                Delivery { taken, refused_before: true }
            }
            Err(_) => self.give_up(),
        }
    }

    fn last_was_refused(&mut self) -> bool {
        let refused = self.socket.as_ref().and_then(Datagram::noted_error).is_some();
        if refused {
            self.doubt();
        }
        refused
    }

    fn name(&self) -> &'static str {
        "udp"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_host_is_reached_at_whichever_of_its_addresses_somebody_listens() {
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        agent.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let port = agent.local_addr().unwrap().port();
        // Nobody listens on the first one.
        let resolver = Resolver::with("agent".to_owned(), port, |_, port| {
            Ok(["127.0.0.2", "127.0.0.1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).to_vec())
        });
        let mut udp = Udp::with(resolver);
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut buffer = [0; 16];
        while agent.recv(&mut buffer).is_err() {
            assert!(Instant::now() < deadline, "never reached");
            udp.begin();
            udp.send(b"a:1|c\n");
            udp.last_was_refused();
        }
        assert_eq!(&buffer[..6], b"a:1|c\n");
    }
}
