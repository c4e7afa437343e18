//! UDP, over IPv4 and IPv6.

use super::datagram::{Datagram, Socket, spares_the_connection};
use super::patience::Patience;
use super::resolve::Resolver;
use super::{Delivery, MAX_PACKETS, Packets, Transport};
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
    patience: Patience,
}

impl Udp {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self::with(Resolver::new(host, port))
    }

    fn with(resolver: Resolver) -> Self {
        Self { resolver, socket: None, place: 0, try_next: false, away: false, patience: Patience::new() }
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

    /// Sends on the socket there is, or on a new one.
    fn try_send(&mut self, packets: Packets<'_>) -> io::Result<usize> {
        if self.socket.is_none() && !self.away {
            self.socket = self.open().ok();
            self.away = self.socket.is_none();
        }
        let Some(socket) = &mut self.socket else { return Err(ErrorKind::NotConnected.into()) };
        socket.send(packets, &mut self.patience)
    }

    /// The connection is of no use: the next flush makes another, perhaps to another address.
    fn give_up(&mut self, packets: Packets<'_>) -> Delivery {
        self.socket = None;
        self.away = true;
        self.doubt();
        Delivery::lost(packets.len())
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
        self.patience.renew();
        let resolver = &mut self.resolver;
        let moved = self.patience.spend(|left| resolver.refresh(left));
        let next = std::mem::take(&mut self.try_next) && self.resolver.addresses().len() > 1;
        if moved {
            self.place = 0;
        } else if next {
            self.place = (self.place + 1) % self.resolver.addresses().len();
        }
        if moved || next {
            self.socket = None;
        }
    }

    /// An error tells of this packet, or that the agent's host refused an earlier one: then this one was not tried yet.
    /// A call that took several packets and not all has swallowed its error. If that spoke of the next packet, it will
    /// be met again; if that is taken at once, the error spoke of an earlier one.
    fn send(&mut self, packets: Packets<'_>) -> Delivery {
        let was_cut_short = self.socket.as_mut().is_some_and(Datagram::was_cut_short);
        let (sent, refused_before) = match self.try_send(packets) {
            Err(error) if speaks_of_the_packet_before(&error) => (self.try_send(packets), true),
            sent => {
                let refused_before = was_cut_short && sent.is_ok();
                (sent, refused_before)
            }
        };
        if refused_before {
            // The agent may be back.
            self.doubt();
        }
        let delivery = match sent {
            Ok(taken) => Delivery::taken(taken),
            Err(error) if refused_before || spares_the_connection(&error) => Delivery::lost(1),
            Err(_) => self.give_up(packets),
        };
        Delivery { refused_before, ..delivery }
    }

    fn last_was_refused(&mut self) -> bool {
        let refused = self.socket.as_ref().and_then(Datagram::noted_error).is_some();
        if refused {
            self.doubt();
        }
        refused
    }

    fn most_packets(&self) -> usize {
        if cfg!(target_os = "linux") { MAX_PACKETS } else { 1 }
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
            udp.send(Packets::new(b"a:1|c\n", 0, &[6]));
            udp.last_was_refused();
        }
        assert_eq!(&buffer[..6], b"a:1|c\n");
    }
}
