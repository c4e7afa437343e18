//! A connection that carries packets in sequence.

use super::backoff::Backoff;
use super::datagram::{is_full, spares_the_connection};
use super::held::{Held, MOST_HELD};
#[cfg(target_os = "linux")]
use super::inherited::Noted;
#[cfg(target_os = "linux")]
use super::system;
use super::wait_budget::WaitBudget;
use super::{Delivery, Failure, MAX_PACKETS, Packets, Transport, Turn};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The size of a write that may wait: no system waits more than once for so little.
const WAITING_WRITE: usize = 8192;

/// The agent's end of a stream: its address, and how packets are delimited.
pub(super) trait Peer: fmt::Debug + Send {
    /// Whether each packet follows its length. Otherwise lines are the only units.
    const HAS_LENGTHS: bool;
    const NAME: &'static str;

    /// Starts a flush. Returns whether the agent has moved.
    fn has_moved(&mut self, wait_budget: &mut WaitBudget) -> bool;

    /// Starts the last flush: attempts that failed recently may be repeated.
    fn hurry(&mut self) {}

    /// A new connection, if there is one by now and an attempt may be made. Otherwise the reason why there is none, or
    /// nothing if no attempt was made.
    fn connect(
        &mut self,
        backoff: &mut Backoff,
        wait_budget: &mut WaitBudget,
    ) -> Result<Connection, Option<Failure>>;
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A non-blocking socket, connected to the agent.
#[derive(Debug)]
pub(super) struct Connection {
    // Dropped first, so that a noted socket is always open.
    #[cfg(target_os = "linux")]
    _noted: Noted,
    socket: Socket,
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// The agent closed it after reading everything that had arrived.
    Closed,
    /// The agent closed it with unread data, or its host does not answer.
    Broke(io::Error),
    /// This side gave it up within a packet. Packets accepted before are still delivered.
    Abandoned,
}

impl Connection {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            _noted: Noted::new(socket.as_fd()),
            socket,
        }
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(stream) => stream.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
    }

    /// Whether the agent closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.hear().is_some()
    }

    /// How it ended, if it did. Data from the agent is discarded: unread bytes would turn the end of the connection
    /// into a reset, which also discards what is on its way to the agent.
    fn hear(&self) -> Option<End> {
        let mut heard = [0; 1024];
        // An agent that keeps sending is still there.
        for _ in 0..16 {
            let read = match &self.socket {
                Socket::Tcp(stream) => (&mut &*stream).read(&mut heard),
                #[cfg(unix)]
                Socket::Unix(stream) => (&mut &*stream).read(&mut heard),
            };
            match read {
                Ok(0) => return Some(End::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) => return None,
                Err(error) => return Some(End::Broke(error)),
            }
        }
        None
    }

    /// The most bytes that it still holds; 0 if the system does not report it.
    #[cfg(target_os = "linux")]
    fn queued(&self) -> usize {
        system::queued(self.socket.as_fd()).unwrap_or_default()
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, reason = "its twin above uses it")]
    fn queued(&self) -> usize {
        0
    }

    /// The most of the last bytes that were lost with it.
    fn lost_with_it(&self, end: &End) -> usize {
        match (end, &self.socket) {
            (End::Abandoned, _) => 0,
            (_, Socket::Tcp(_)) => self.queued(),
            // The kernel discarded the buffer, along with its size. If the agent had read everything, there is no
            // reset.
            #[cfg(unix)]
            (End::Broke(error), Socket::Unix(stream)) => {
                let is_reset = |error: &io::Error| error.kind() == ErrorKind::ConnectionReset;
                let was_reset =
                    is_reset(error) || stream.take_error().ok().flatten().is_some_and(|e| is_reset(&e));
                if was_reset { usize::MAX } else { 0 }
            }
            #[cfg(unix)]
            (End::Closed, Socket::Unix(_)) => 0,
        }
    }

    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.socket {
            Socket::Tcp(stream) => (&mut &*stream).write(bytes),
            #[cfg(target_os = "linux")]
            Socket::Unix(stream) => system::send_stream(stream.as_fd(), bytes),
            #[cfg(all(unix, not(target_os = "linux")))]
            Socket::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn write_waiting(&self, bytes: &[u8], time: Duration) -> io::Result<usize> {
        match &self.socket {
            Socket::Tcp(stream) => stream.set_write_timeout(Some(time))?,
            #[cfg(unix)]
            Socket::Unix(stream) => stream.set_write_timeout(Some(time))?,
        }
        self.set_nonblocking(false)?;
        let written = self.write_some(bytes.get(..WAITING_WRITE).unwrap_or(bytes));
        self.set_nonblocking(true)?;
        written
    }

    /// Writes as much as possible, and returns how much that was and why it was not everything.
    fn write(&self, bytes: &[u8], wait_budget: &mut WaitBudget) -> (usize, io::Result<()>) {
        let mut rest = bytes;
        let result = loop {
            if rest.is_empty() {
                break Ok(());
            }
            let mut result = self.write_some(rest);
            if result.as_ref().is_err_and(is_full) && wait_budget.left().is_some() {
                result = wait_budget.spend(|left| self.write_waiting(rest, left));
                if result.as_ref().is_err_and(is_full) {
                    wait_budget.lose();
                }
            }
            match result {
                Ok(0) => break Err(ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        (bytes.len() - rest.len(), result)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Unread data from the agent would turn the close into a reset.
        let _ = self.is_closed();
    }
}

#[cfg(target_os = "linux")]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// Sends packets over a connection, and reconnects after it broke.
#[derive(Debug)]
pub(super) struct Stream<P> {
    peer: P,
    connection: Option<Connection>,
    backoff: Backoff,
    wait_budget: WaitBudget,
    // Nothing was sent in this flush yet.
    begins: bool,
    // Packets with their lengths, as they are written.
    framed: Vec<u8>,
    // What the connection accepted, and how much of what broken ones accepted is lost.
    held: Held,
    lost_before: usize,
    failure: Option<Failure>,
}

impl<P: Peer> Stream<P> {
    pub(super) fn new(peer: P) -> Self {
        Self {
            peer,
            connection: None,
            backoff: Backoff::default(),
            wait_budget: WaitBudget::new(),
            begins: true,
            framed: Vec::new(),
            held: Held::default(),
            lost_before: 0,
            failure: None,
        }
    }

    fn look_after_connection(&mut self) {
        // A connection that the previous flush left behind accepted all of it, whatever became of it since.
        if std::mem::take(&mut self.begins) && self.connection.is_some() {
            self.backoff.succeed();
        }
        if let Some(connection) = &self.connection {
            // Read first: once a Unix stream is closed, the kernel holds none of its data any more.
            let queued = connection.queued();
            // Bytes that are written after the agent closed would be lost silently.
            match connection.hear() {
                None => self.held.keep(queued),
                Some(end) => self.lost_before += self.give_up(end, 0),
            }
        }
        if self.connection.is_none() {
            self.wait_for_turn();
            match self.peer.connect(&mut self.backoff, &mut self.wait_budget) {
                Ok(connection) => self.connection = Some(connection),
                Err(failure) => self.failure = failure.or(self.failure.take()),
            }
        }
    }

    /// A caller may allow a flush more time than usual. If the agent was slow, that time also covers the pause between
    /// two connections. An agent that refuses is not waited for: otherwise every shutdown without an agent would take
    /// that long.
    fn wait_for_turn(&mut self) {
        let pause = self.backoff.pause();
        let was_slow = matches!(self.failure, Some(Failure::Late(_)));
        let has_time =
            self.wait_budget.is_given() && self.wait_budget.left().is_some_and(|left| pause < left);
        if was_slow && has_time && !pause.is_zero() {
            self.wait_budget.spend(|_| std::thread::sleep(pause));
        }
    }

    /// Ends the connection within a packet, of which it had accepted this many bytes. Returns how many of the packets
    /// accepted before are lost.
    fn give_up(&mut self, end: End, begun: usize) -> usize {
        let Some(connection) = self.connection.take() else { return 0 };
        let queued = connection.lost_with_it(&end);
        let lost = self.held.count(queued.saturating_sub(begun));
        self.held.clear();
        self.failure = Some(
            match end {
                End::Closed => ErrorKind::ConnectionAborted.into(),
                End::Abandoned => ErrorKind::WouldBlock.into(),
                End::Broke(error) => error,
            }
            .into(),
        );
        lost
    }

    fn deliver(&mut self, taken: usize, lost: usize) -> Delivery {
        Delivery { lost, lost_before: std::mem::take(&mut self.lost_before), ..Delivery::taken(taken) }
    }
}

/// How many packets, each preceded by this many bytes, the written bytes contain, and how much of the next one.
fn whole(packets: Packets<'_>, before: usize, written: usize) -> (usize, usize) {
    let (mut count, mut left) = (0, written);
    for packet in packets.iter() {
        let Some(rest) = left.checked_sub(before + packet.len()) else { break };
        (count, left) = (count + 1, rest);
    }
    (count, left)
}

impl<P: Peer> Transport for Stream<P> {
    fn begin(&mut self, turn: Turn) {
        self.wait_budget.renew(turn);
        self.begins = true;
        if turn.is_last {
            self.backoff.reset();
            self.peer.hurry();
        }
        if self.peer.has_moved(&mut self.wait_budget) {
            // An agent that was killed before another took its place took with it what it had not read.
            if let Some(end) = self.connection.as_ref().and_then(Connection::hear) {
                self.lost_before += self.give_up(end, 0);
            }
            self.connection = None;
            self.held.clear();
            self.backoff.reset();
        }
    }

    fn send(&mut self, packets: Packets<'_>) -> Delivery {
        let before = if P::HAS_LENGTHS { size_of::<u32>() } else { 0 };
        // If a connection broke before it accepted anything, a second attempt follows: the agent may be back.
        for _ in 0..2 {
            self.look_after_connection();
            let Some(connection) = &self.connection else { break };
            let mut bytes = packets.as_bytes();
            if P::HAS_LENGTHS {
                frame(packets, &mut self.framed);
                bytes = &self.framed;
            }
            let (written, result) = connection.write(bytes, &mut self.wait_budget);
            let (whole, begun) = whole(packets, before, written);
            packets.iter().take(whole).for_each(|packet| self.held.push(before + packet.len()));
            let Err(error) = result else { return self.deliver(packets.len(), 0) };
            if begun == 0 && spares_the_connection(&error) {
                self.failure = Some(error.into());
                return self.deliver(whole, 1);
            }
            // A partly written packet can't be finished: the next connection begins with a whole one.
            let end = if spares_the_connection(&error) { End::Abandoned } else { End::Broke(error) };
            let lost = self.give_up(end, begun);
            let lost_here = lost.min(whole);
            self.lost_before += lost - lost_here;
            if written > 0 {
                return self.deliver(whole - lost_here, lost_here + usize::from(begun > 0));
            }
        }
        self.deliver(0, packets.len())
    }

    fn most_packets(&self) -> usize {
        MAX_PACKETS
    }

    fn most_held(&self) -> usize {
        MOST_HELD
    }

    fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn name(&self) -> &'static str {
        P::NAME
    }
}

/// Writes each packet after its length, which has four bytes in little-endian order.
fn frame(packets: Packets<'_>, framed: &mut Vec<u8>) {
    framed.clear();
    for packet in packets.iter() {
        // The settings allow no packet that would be too long.
        let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        framed.extend_from_slice(&len.to_le_bytes());
        framed.extend_from_slice(packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_goes_behind_its_length() {
        let mut framed = b"old".to_vec();
        frame(Packets::new(b"a\nbc\n", 0, &[2, 5]), &mut framed);
        assert_eq!(framed, b"\x02\0\0\0a\n\x03\0\0\0bc\n");
        frame(Packets::new(&[b'x'; 300], 0, &[300]), &mut framed);
        assert_eq!((framed.len(), &framed[..4]), (304, [44, 1, 0, 0].as_slice()));
    }

    #[test]
    fn a_packet_is_taken_when_its_last_byte_is() {
        let packets = Packets::new(b"a\nbc\nd\n", 0, &[2, 5, 7]);
        let lines: Vec<_> = (0..=7).map(|written| whole(packets, 0, written)).collect();
        assert_eq!(lines, [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)]);
        assert_eq!(whole(packets, 4, 5), (0, 5));
        assert_eq!(whole(packets, 4, 6), (1, 0));
        assert_eq!(whole(packets, 4, 8), (1, 2));
    }
}
