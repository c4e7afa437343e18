//! A connection that carries one packet behind the other.

use super::backoff::Backoff;
use super::datagram::{is_full, spares_the_connection};
use super::patience::Patience;
use super::{Delivery, MAX_PACKETS, Packets, Transport};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What is written when it may wait: no system waits more than once for so little.
const WAITING_WRITE: usize = 8192;

/// The agent's end: where it is, and how packets are told apart there.
pub(super) trait Peer: fmt::Debug + Send {
    /// Whether the length of a packet goes before it. Otherwise lines are what there is.
    const HAS_LENGTHS: bool;
    const NAME: &'static str;

    /// A flush begins. Whether the agent is elsewhere now than where it was.
    fn has_moved(&mut self, patience: &mut Patience) -> bool;

    /// A new connection, if there is one by now and an attempt may be made.
    fn connect(&mut self, backoff: &mut Backoff, patience: &mut Patience) -> Option<Connection>;
}

#[derive(Debug)]
pub(super) enum Connection {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Connection {
    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
    }

    /// Whether the agent closed it. What the agent says is thrown away: bytes that nobody reads would turn the end of
    /// the connection into a reset, which takes with it what is on its way to the agent.
    fn is_closed(&self) -> bool {
        let mut heard = [0; 1024];
        // An agent that never stops talking is there.
        for _ in 0..16 {
            let read = match self {
                Self::Tcp(stream) => (&mut &*stream).read(&mut heard),
                #[cfg(unix)]
                Self::Unix(stream) => (&mut &*stream).read(&mut heard),
            };
            match read {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return !is_full(&error),
            }
        }
        false
    }

    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write(bytes),
            #[cfg(target_os = "linux")]
            Self::Unix(stream) => super::system::send_stream(std::os::fd::AsFd::as_fd(stream), bytes),
            #[cfg(all(unix, not(target_os = "linux")))]
            Self::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn write_waiting(&self, bytes: &[u8], time: Duration) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(time))?,
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_write_timeout(Some(time))?,
        }
        self.set_nonblocking(false)?;
        let written = self.write_some(bytes.get(..WAITING_WRITE).unwrap_or(bytes));
        self.set_nonblocking(true)?;
        written
    }

    /// Writes what it can, and says how much that was and why it was not all.
    fn write(&self, bytes: &[u8], patience: &mut Patience) -> (usize, io::Result<()>) {
        let mut rest = bytes;
        let result = loop {
            if rest.is_empty() {
                break Ok(());
            }
            let mut result = self.write_some(rest);
            if result.as_ref().is_err_and(is_full) && patience.left().is_some() {
                result = patience.spend(|left| self.write_waiting(rest, left));
                if result.as_ref().is_err_and(is_full) {
                    patience.lose();
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
        // It is heard out.
        let _ = self.is_closed();
    }
}

/// Sends packets over a connection, which is made again when it broke.
#[derive(Debug)]
pub(super) struct Stream<P> {
    peer: P,
    connection: Option<Connection>,
    backoff: Backoff,
    patience: Patience,
    // Nothing was sent in this flush yet.
    begins: bool,
    // Packets with their lengths, as they are written.
    framed: Vec<u8>,
}

impl<P: Peer> Stream<P> {
    pub(super) fn new(peer: P) -> Self {
        Self {
            peer,
            connection: None,
            backoff: Backoff::default(),
            patience: Patience::new(),
            begins: true,
            framed: Vec::new(),
        }
    }

    fn look_after_connection(&mut self) {
        // One that the flush before left behind took all of it, whatever became of it since.
        if std::mem::take(&mut self.begins) && self.connection.is_some() {
            self.backoff.succeed();
        }
        // Bytes that are written after the agent closed would be lost without a word.
        self.connection.take_if(|connection| connection.is_closed());
        if self.connection.is_none() {
            self.connection = self.peer.connect(&mut self.backoff, &mut self.patience);
        }
    }
}

/// How many of the packets, each with so many bytes before it, are in what was written, and how much of the next one.
fn whole(packets: Packets<'_>, before: usize, written: usize) -> (usize, usize) {
    let (mut count, mut left) = (0, written);
    for packet in packets.iter() {
        let Some(rest) = left.checked_sub(before + packet.len()) else { break };
        (count, left) = (count + 1, rest);
    }
    (count, left)
}

impl<P: Peer> Transport for Stream<P> {
    fn begin(&mut self) {
        self.patience.renew();
        self.begins = true;
        if self.peer.has_moved(&mut self.patience) {
            self.connection = None;
            self.backoff.reset();
        }
    }

    fn send(&mut self, packets: Packets<'_>) -> Delivery {
        let before = if P::HAS_LENGTHS { size_of::<u32>() } else { 0 };
        // A second try where a connection broke before it took anything: the agent may be back.
        for _ in 0..2 {
            self.look_after_connection();
            let Some(connection) = &self.connection else { break };
            let mut bytes = packets.as_bytes();
            if P::HAS_LENGTHS {
                frame(packets, &mut self.framed);
                bytes = &self.framed;
            }
            let (written, result) = connection.write(bytes, &mut self.patience);
            let (whole, begun) = whole(packets, before, written);
            let cut = Delivery { lost: 1, ..Delivery::taken(whole) };
            match result {
                Ok(()) => return Delivery::taken(packets.len()),
                Err(error) if begun == 0 && spares_the_connection(&error) => return cut,
                // A packet that was begun can't be ended: the next connection begins with a whole one.
                Err(_) => self.connection = None,
            }
            if begun > 0 {
                return cut;
            }
            if whole > 0 {
                return Delivery::taken(whole);
            }
        }
        Delivery::lost(packets.len())
    }

    fn most_packets(&self) -> usize {
        MAX_PACKETS
    }

    fn name(&self) -> &'static str {
        P::NAME
    }
}

/// Writes each packet behind its length, in four bytes of which the least comes first.
fn frame(packets: Packets<'_>, framed: &mut Vec<u8>) {
    framed.clear();
    for packet in packets.iter() {
        // The settings know no packet that would be too long.
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
