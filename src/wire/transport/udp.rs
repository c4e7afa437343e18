//! UDP, over IPv4 and IPv6.

use super::datagram::{Datagram, Socket, spares_the_connection};
use super::resolve::{News, Resolver};
use super::wait_budget::{TICK, WaitBudget};
use super::{Delivery, Failure, MAX_PACKETS, Packets, Transport, Turn};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;

/// A connected UDP socket. It is connected, because only then does the kernel report that nobody listens.
///
/// A new socket is made after a refusal and with each answer of the resolver, for an IP address too. A translation or a
/// balancer on the way may remember a packet's source port and the agent that it chose, for as long as packets
/// continue.
#[derive(Debug)]
pub(super) struct Udp {
    resolver: Resolver,
    socket: Option<Datagram>,
    // The host's address in use, and whether another one should be used. Sends to a wrong address mostly succeed, and
    // only an answer from its host shows that nobody listens.
    address: Option<SocketAddr>,
    try_next: bool,
    // The last address that accepted a packet and did not refuse it.
    proven: Option<SocketAddr>,
    // All addresses were tried in this flush.
    was_tried: bool,
    // No socket could be made in this flush.
    away: bool,
    wait_budget: WaitBudget,
    failure: Option<Failure>,
}

impl Udp {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self::with(Resolver::new(host, port))
    }

    fn with(mut resolver: Resolver) -> Self {
        resolver.ask();
        Self {
            resolver,
            socket: None,
            address: None,
            try_next: false,
            proven: None,
            was_tried: false,
            away: false,
            wait_budget: WaitBudget::new(),
            failure: None,
        }
    }

    /// The index of the address in use among the host's.
    fn place(&self) -> Option<usize> {
        self.resolver.addresses().iter().position(|known| Some(*known) == self.address)
    }

    /// Uses the following address for the next socket.
    fn move_on(&mut self) {
        let next = self.place().map_or(0, |place| place + 1);
        let address = self.resolver.addresses().get(next).or(self.resolver.addresses().first()).copied();
        self.use_address(address);
    }

    fn use_address(&mut self, address: Option<SocketAddr>) {
        self.address = address;
        self.socket = None;
    }

    /// A socket for the address in use, or for the first later one for which a socket can be made.
    fn open(&mut self) {
        for _ in 0..self.resolver.addresses().len() {
            let opened = self.address.ok_or_else(|| ErrorKind::NotFound.into()).and_then(connect);
            match opened {
                Ok(socket) => return self.socket = Some(socket),
                Err(error) => self.failure = Some(error.into()),
            }
            self.move_on();
        }
        if self.resolver.addresses().is_empty() {
            self.failure = self.resolver.failure().or(self.failure.take());
        }
        self.away = true;
    }

    /// Sends on the existing socket, or on a new one. `None` if there is none.
    fn try_send(&mut self, packets: Packets<'_>) -> Option<io::Result<usize>> {
        if self.socket.is_none() && !self.away {
            self.open();
        }
        Some(self.socket.as_mut()?.send(packets, &mut self.wait_budget))
    }

    /// Runs while nobody is known to listen. One packet is sent to each of the host's addresses in turn, until one does
    /// not refuse it. This host's own refusal arrives at once; another host's is seen later, and costs what was sent
    /// meanwhile.
    fn try_out(&mut self, packets: Packets<'_>) -> Delivery {
        self.was_tried = true;
        let packet = packets.just_first();
        // Once even without an address, to report why there is none.
        let addresses = self.resolver.addresses().len().max(1);
        for number in 1..=addresses {
            let sent = self.try_send(packet);
            match (sent, self.answer()) {
                (None, _) => break,
                (Some(Ok(_)), None) => {
                    self.proven = self.address;
                    return Delivery::taken(1);
                }
                (Some(Err(error)), _) if spares_the_connection(&error) => {
                    self.failure = Some(error.into());
                    return Delivery::lost(1);
                }
                (Some(Ok(_)), Some(error)) | (Some(Err(error)), _) => self.failure = Some(error.into()),
            }
            self.doubt();
            if number < addresses {
                self.move_on();
            }
        }
        // The others are tried all the same: the agent may be back.
        Delivery::lost(1)
    }

    /// The answer of the agent's host to the packet that was just sent.
    fn answer(&self) -> Option<io::Error> {
        let noted = || self.socket.as_ref().and_then(Datagram::noted_error);
        noted().or_else(|| {
            // This host answers in the same call, unless it was interrupted.
            self.address.filter(|address| address.ip().is_loopback())?;
            thread::sleep(TICK);
            noted()
        })
    }

    /// Gives the connection up: the next flush makes another one, perhaps to another address.
    fn give_up(&mut self, packets: Packets<'_>) -> Delivery {
        self.socket = None;
        self.away = true;
        self.doubt();
        Delivery::lost(packets.len())
    }

    /// Notes that nobody listens there: the next flush tries the host's next address from a new port, and looks it up
    /// again.
    fn doubt(&mut self) {
        self.try_next = true;
        self.proven = None;
        self.resolver.doubt();
    }
}

/// Whether the agent's host, or a router before it, answered an earlier packet with "unreachable". Windows reports a
/// reset.
fn speaks_of_the_packet_before(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable)
}

fn connect(address: SocketAddr) -> io::Result<Datagram> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Datagram::new(Socket::Udp(socket))
}

impl Transport for Udp {
    fn begin(&mut self, turn: Turn) {
        self.away = false;
        self.was_tried = false;
        self.wait_budget.renew(turn);
        if turn.is_last {
            self.resolver.hurry();
        }
        let resolver = &mut self.resolver;
        let news = self.wait_budget.spend(|left| resolver.refresh(left));
        if self.place().is_none() {
            self.use_address(self.resolver.addresses().first().copied());
        } else if std::mem::take(&mut self.try_next) {
            self.move_on();
        } else if news != News::None {
            // An address that still belongs to the host is kept, whatever its position among the others.
            self.use_address(self.address);
        }
        self.try_next = false;
    }

    /// An error is about this packet, or shows that the agent's host refused an earlier one: then this packet was not
    /// tried yet. A call that sent several packets but not all has swallowed its error. If the error was about the next
    /// packet, it will occur again; if that packet is accepted at once, the error was about an earlier one.
    fn send(&mut self, packets: Packets<'_>) -> Delivery {
        let is_proven = self.proven.is_some() && self.proven == self.address;
        if !is_proven && !self.was_tried {
            return self.try_out(packets);
        }
        let was_cut_short = self.socket.as_mut().is_some_and(Datagram::was_cut_short);
        let (sent, refused_before) = match self.try_send(packets) {
            Some(Err(error)) if speaks_of_the_packet_before(&error) => {
                self.failure = Some(error.into());
                (self.try_send(packets), true)
            }
            sent => {
                let refused_before = was_cut_short && matches!(sent, Some(Ok(_)));
                (sent, refused_before)
            }
        };
        if refused_before {
            // The agent may be back.
            self.doubt();
        }
        let delivery = match sent {
            None => Delivery::lost(packets.len()),
            Some(Ok(taken)) => Delivery::taken(taken),
            Some(Err(error)) => {
                let is_sound = refused_before || spares_the_connection(&error);
                self.failure = Some(error.into());
                if is_sound { Delivery::lost(1) } else { self.give_up(packets) }
            }
        };
        Delivery { refused_before, ..delivery }
    }

    fn last_was_refused(&mut self) -> bool {
        let Some(error) = self.socket.as_ref().and_then(Datagram::noted_error) else { return false };
        self.failure = Some(error.into());
        self.doubt();
        true
    }

    fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
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

    /// Sends a line, and says which agent got it, from which port.
    fn send(udp: &mut Udp, agents: &[UdpSocket]) -> (usize, u16) {
        udp.begin(Turn::default());
        assert_eq!(udp.send(Packets::new(b"a:1|c\n", 0, &[6])).taken, 1);
        assert!(!udp.last_was_refused());
        let mut buffer = [0; 16];
        loop {
            for (place, agent) in agents.iter().enumerate() {
                if let Ok((6, from)) = agent.recv_from(&mut buffer) {
                    return (place, from.port());
                }
            }
        }
    }

    fn agent(host: &str, port: u16) -> io::Result<UdpSocket> {
        let agent = UdpSocket::bind((host, port))?;
        agent.set_read_timeout(Some(Duration::from_millis(5)))?;
        Ok(agent)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_that_still_is_the_hosts_is_kept_and_packets_come_from_a_new_port_once_a_minute() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static ANSWERS: AtomicUsize = AtomicUsize::new(0);
        let first = agent("127.0.0.1", 0).unwrap();
        let port = first.local_addr().unwrap().port();
        let Ok(second) = agent("127.0.0.2", port) else { return };
        let agents = [first, second];
        let resolver = Resolver::with("agent".to_owned(), port, |_, port| {
            let hosts: &[[u8; 4]] = match ANSWERS.fetch_add(1, Ordering::SeqCst) {
                0 | 2 => &[[127, 0, 0, 1], [127, 0, 0, 2]],
                1 | 3 => &[[127, 0, 0, 2], [127, 0, 0, 1]],
                _ => &[[127, 0, 0, 2]],
            };
            Ok(hosts.iter().map(|host| SocketAddr::from((*host, port))).collect())
        });
        let mut udp = Udp::with(resolver);
        let (place, mut port) = send(&mut udp, &agents);
        assert_eq!(place, 0);
        for answer in 1..=4 {
            assert_eq!(send(&mut udp, &agents), (0, port), "the same one until then");
            udp.resolver.grow_old();
            // The answer comes on a thread of its own.
            let (place, new_port) = loop {
                let sent = send(&mut udp, &agents);
                if sent.1 != port {
                    break sent;
                }
            };
            port = new_port;
            assert_eq!(place, usize::from(answer == 4), "the list turns, and then the first is gone");
        }
    }

    #[test]
    fn packets_to_an_ip_address_come_from_a_new_port_once_a_minute() {
        let agents = [agent("127.0.0.1", 0).unwrap()];
        let port = agents[0].local_addr().unwrap().port();
        let mut udp = Udp::new("127.0.0.1".to_owned(), port);
        let (_, before) = send(&mut udp, &agents);
        assert_eq!(send(&mut udp, &agents), (0, before));
        udp.resolver.grow_old();
        assert_ne!(send(&mut udp, &agents), (0, before));
    }

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
            udp.begin(Turn::default());
            udp.send(Packets::new(b"a:1|c\n", 0, &[6]));
            udp.last_was_refused();
        }
        assert_eq!(&buffer[..6], b"a:1|c\n");
    }
}
