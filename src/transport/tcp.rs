//! TCP: lines, one behind the other.

use super::backoff::Backoff;
use super::patience::Patience;
use super::resolve::Resolver;
use super::stream::{Connection, Peer};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

type Dialed = io::Result<(TcpStream, SocketAddr)>;

/// A host and its port.
///
/// An agent may be farther away than the worker may wait. So a connection is made by a thread of its own, one at a
/// time, that ends with it or with an error, and that has tried all of the host's addresses by then.
#[derive(Debug)]
pub(super) struct Tcp {
    resolver: Resolver,
    under_way: Option<Receiver<Dialed>>,
    connected: Option<SocketAddr>,
}

impl Tcp {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self::with(Resolver::new(host, port))
    }

    fn with(resolver: Resolver) -> Self {
        Self { resolver, under_way: None, connected: None }
    }

    fn start(&mut self, backoff: &mut Backoff) {
        let addresses = self.resolver.addresses().to_vec();
        if addresses.is_empty() || !backoff.take_turn() {
            return;
        }
        let (sender, receiver) = bounded(1);
        let started = crate::thread::spawn("tasktag-connect", move || {
            // Nobody listens any more when the worker ended meanwhile.
            let _ = sender.send(dial(&addresses));
        });
        self.under_way = started.is_ok().then_some(receiver);
    }
}

fn dial(addresses: &[SocketAddr]) -> Dialed {
    let mut last = ErrorKind::NotFound.into();
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT).and_then(ready) {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    // What is written at a time is all there is: to wait for more would but delay the end of each flush.
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Peer for Tcp {
    const HAS_LENGTHS: bool = false;
    const NAME: &'static str = "tcp";

    fn has_moved(&mut self, patience: &mut Patience) -> bool {
        let changed = patience.spend(|left| self.resolver.refresh(left));
        // Other addresses, or their order, are no reason to leave one that still is the host's.
        changed && !self.connected.is_some_and(|address| self.resolver.addresses().contains(&address))
    }

    fn connect(&mut self, backoff: &mut Backoff, patience: &mut Patience) -> Option<Connection> {
        if self.under_way.is_none() {
            self.start(backoff);
        }
        let receiver = self.under_way.as_ref()?;
        match patience.spend(|left| receiver.recv_timeout(left)) {
            Ok(Ok((stream, address))) => {
                self.under_way = None;
                self.connected = Some(address);
                return Some(Connection::Tcp(stream));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                self.under_way = None;
                self.resolver.doubt();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::Stream;
    use super::super::{Packets, Transport};
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn a_host_is_reached_at_whichever_of_its_addresses_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Nobody listens on the first one.
        let resolver =
            Resolver::with("agent".to_owned(), listener.local_addr().unwrap().port(), |_, port| {
                Ok(["127.0.0.2", "127.0.0.1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).to_vec())
            });
        let mut tcp = Stream::new(Tcp::with(resolver));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < deadline, "never reached");
            tcp.begin();
            if tcp.send(Packets::new(b"a:1|c\n", 0, &[6])).taken == 1 {
                break;
            }
        }
        let mut line = [0; 6];
        listener.accept().unwrap().0.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"a:1|c\n");
    }

    #[test]
    fn an_agent_that_moved_is_followed_and_one_that_got_a_neighbour_is_kept() {
        use std::sync::atomic::{AtomicU16, Ordering};
        static ANSWERS: AtomicU16 = AtomicU16::new(0);
        let at = |host: u8| SocketAddr::from(([127, 0, 0, host], 9));
        let resolver = Resolver::with("agent".to_owned(), 9, |_, port| {
            let hosts: &[u8] = match ANSWERS.fetch_add(1, Ordering::SeqCst) {
                0 => &[1],
                1 => &[2, 1],
                _ => &[2],
            };
            Ok(hosts.iter().map(|host| SocketAddr::from(([127, 0, 0, *host], port))).collect())
        });
        let mut tcp = Tcp::with(resolver);
        let mut moves = Vec::new();
        let mut known = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        while moves.len() < 3 && Instant::now() < deadline {
            let has_moved = tcp.has_moved(&mut Patience::new());
            tcp.resolver.doubt();
            if tcp.resolver.addresses() != known {
                known = tcp.resolver.addresses().to_vec();
                moves.push(has_moved);
                tcp.connected = Some(at(1));
            }
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(moves, [true, false, true]);
    }
}
