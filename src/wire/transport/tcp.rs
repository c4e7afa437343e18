//! TCP: lines in sequence.

use super::Failure;
use super::backoff::Backoff;
use super::resolve::{News, Resolver};
use super::stream::{Connection, Peer, Socket};
use super::wait_budget::WaitBudget;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::time::Duration;

const THREAD_NAME: &str = "tasktag-connect";

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the agent's host may acknowledge nothing before the connection ends. The kernel's own limit is a quarter of
/// an hour.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(10);

type Dialed = io::Result<(Connection, SocketAddr)>;

/// A host and its port.
///
/// Connecting may take longer than the worker may wait. Each connection is therefore made by a thread of its own, one
/// at a time, that tries all of the host's addresses and ends with a connection or an error. The first one starts
/// before there is anything to send.
#[derive(Debug)]
pub(super) struct Tcp {
    resolver: Resolver,
    under_way: Option<Receiver<Dialed>>,
    // Nothing could be sent over the connection being made: it was started when the client was built.
    is_early: bool,
    connected: Option<SocketAddr>,
}

impl Tcp {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self::with(Resolver::new(host, port))
    }

    fn with(mut resolver: Resolver) -> Self {
        let (sender, receiver) = bounded(1);
        let started = resolver.ask_and(THREAD_NAME, move |addresses| drop(sender.send(dial(addresses))));
        Self { resolver, under_way: started.then_some(receiver), is_early: true, connected: None }
    }

    /// Starts a connection, unless one is being made.
    fn start(&mut self, backoff: &mut Backoff) {
        let addresses = self.resolver.addresses();
        if self.under_way.is_some() || addresses.is_empty() || !backoff.take_turn() {
            return;
        }
        let (addresses, (sender, receiver)) = (addresses.to_vec(), bounded(1));
        let started = crate::process::thread::spawn(THREAD_NAME, move || {
            // Nobody receives the connection if the worker ended meanwhile.
            let _ = sender.send(dial(&addresses));
        });
        self.under_way = started.is_ok().then_some(receiver);
    }

    /// The result of the connection being made.
    fn finish(&mut self, wait_budget: &mut WaitBudget) -> Result<Connection, Option<Failure>> {
        let Some(receiver) = &self.under_way else { return Err(self.resolver.failure()) };
        let dialed = match wait_budget.spend(|left| receiver.recv_timeout(left)) {
            Err(RecvTimeoutError::Timeout) => {
                let late = Failure::Late("it did not accept a connection in time");
                let is_unknown = self.resolver.addresses().is_empty();
                return Err(is_unknown.then(|| self.resolver.failure()).flatten().or(Some(late)));
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Ok(dialed) => Some(dialed),
        };
        self.under_way = None;
        match dialed {
            Some(Ok((connection, address))) => {
                self.connected = Some(address);
                Ok(connection)
            }
            Some(Err(error)) => {
                self.resolver.doubt();
                Err(Some(Failure::Refused(error)))
            }
            // There was no address, or no thread.
            None => Err(self.resolver.failure()),
        }
    }
}

fn dial(addresses: &[SocketAddr]) -> Dialed {
    let mut last = ErrorKind::NotFound.into();
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIMEOUT).and_then(ready) {
            Ok(connection) => return Ok((connection, *address)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ready(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nonblocking(true)?;
    // Each write is complete: waiting for more would only delay the end of each flush.
    stream.set_nodelay(true)?;
    // A system without this limit has a longer one.
    #[cfg(target_os = "linux")]
    let _ = super::system::set_user_timeout(stream.as_fd(), USER_TIMEOUT);
    Ok(Connection::new(Socket::Tcp(stream)))
}

impl Peer for Tcp {
    const HAS_LENGTHS: bool = false;
    const NAME: &'static str = "tcp";

    fn has_moved(&mut self, wait_budget: &mut WaitBudget) -> bool {
        let news = wait_budget.spend(|left| self.resolver.refresh(left));
        // New addresses, or another order, are no reason to leave an address that still belongs to the host.
        news == News::Other
            && !self.connected.is_some_and(|address| self.resolver.addresses().contains(&address))
    }

    fn hurry(&mut self) {
        self.resolver.hurry();
    }

    fn connect(
        &mut self,
        backoff: &mut Backoff,
        wait_budget: &mut WaitBudget,
    ) -> Result<Connection, Option<Failure>> {
        self.start(backoff);
        let connected = self.finish(wait_budget);
        let is_of_use = connected.as_ref().is_ok_and(|connection| !connection.is_closed());
        // A connection started early may have ended long ago, which says nothing about the agent now.
        if self.is_early && self.under_way.is_none() {
            self.is_early = false;
            if !is_of_use {
                self.start(backoff);
                let early = connected.err().flatten();
                return self.finish(wait_budget).map_err(|failure| failure.or(early));
            }
        }
        connected
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::Stream;
    use super::super::{Packets, Transport, Turn};
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
            tcp.begin(Turn::default());
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
            let has_moved = tcp.has_moved(&mut WaitBudget::new());
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
