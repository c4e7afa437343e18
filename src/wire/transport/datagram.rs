//! A connected socket with a limited wait.

use super::Packets;
#[cfg(target_os = "linux")]
use super::system;
use super::wait_budget::{TICK, WaitBudget};
use std::io::{self, ErrorKind};
use std::mem;
use std::net::UdpSocket;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// `EMSGSIZE` and `ENOBUFS`, for which std has no kinds: Winsock's, Linux's, and those of macOS and the BSDs.
const PACKET_ERRORS: [i32; 2] = if cfg!(windows) {
    [10_040, 10_055]
} else if cfg!(any(target_os = "linux", target_os = "android")) {
    [90, 105]
} else {
    [40, 55]
};

#[derive(Debug)]
pub(super) enum Socket {
    Udp(UdpSocket),
    #[cfg(unix)]
    Unix(UnixDatagram),
}

/// A connected socket that sends several packets in one system call if the system supports it.
#[derive(Debug)]
pub(super) struct Datagram {
    socket: Socket,
    // How long the socket waits for room; `None` if it does not.
    waits: Option<Duration>,
    cut_short: bool,
}

impl Datagram {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let datagram = Self { socket, waits: None, cut_short: false };
        datagram.set_nonblocking(true)?;
        Ok(datagram)
    }

    /// Sends the first of the packets, or more of them, and returns how many.
    pub(super) fn send(&mut self, packets: Packets<'_>, wait_budget: &mut WaitBudget) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        if packets.len() > 1 && system::knows_send_datagrams() {
            match system::send_datagrams(self.as_fd(), packets) {
                // One call may wait for each packet, and the waits would add up: it only waits for the first.
                Err(error) if is_full(&error) && wait_budget.left().is_some() => {}
                Err(error) if system::may_be_forbidden(&error) => {
                    let sent = self.send_one(packets.first(), wait_budget);
                    // A firewall refuses the packet in either call; a sandbox only refuses the call for several.
                    if sent.as_ref().err().and_then(io::Error::raw_os_error) != error.raw_os_error() {
                        system::forget_send_datagrams();
                    }
                    return sent.map(|()| 1);
                }
                sent => {
                    self.cut_short =
                        sent.as_ref().is_ok_and(|taken| *taken < packets.len()) && self.has_room();
                    return sent;
                }
            }
        }
        self.send_one(packets.first(), wait_budget).map(|()| 1)
    }

    fn send_one(&mut self, packet: &[u8], wait_budget: &mut WaitBudget) -> io::Result<()> {
        loop {
            self.wait_for(wait_budget.left())?;
            let sent = wait_budget.spend(|_| match &self.socket {
                Socket::Udp(socket) => socket.send(packet),
                #[cfg(unix)]
                Socket::Unix(socket) => socket.send(packet),
            });
            match sent {
                // A signal interrupted the call. The remaining wait budget limits how often this may happen.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A datagram is sent whole or not at all.
                sent => {
                    if sent.as_ref().is_err_and(is_full) {
                        wait_budget.lose();
                    }
                    return sent.map(drop);
                }
            }
        }
    }

    /// Sets how long the socket waits from now on.
    fn wait_for(&mut self, time: Option<Duration>) -> io::Result<()> {
        match (self.waits, time) {
            // The timeout is not updated for each microsecond that a send took.
            (Some(waits), Some(time)) if waits >= time && waits.saturating_sub(time) < TICK => {
                return Ok(());
            }
            (None, None) => return Ok(()),
            (_, Some(time)) => {
                match &self.socket {
                    Socket::Udp(socket) => socket.set_write_timeout(Some(time))?,
                    #[cfg(unix)]
                    Socket::Unix(socket) => socket.set_write_timeout(Some(time))?,
                }
                self.set_nonblocking(false)?;
            }
            (Some(_), None) => self.set_nonblocking(true)?,
        }
        self.waits = time;
        Ok(())
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match &self.socket {
            Socket::Udp(socket) => socket.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Socket::Unix(socket) => socket.set_nonblocking(nonblocking),
        }
    }

    #[cfg(target_os = "linux")]
    fn has_room(&self) -> bool {
        matches!(&self.socket, Socket::Udp(socket) if system::has_room(socket.as_fd()))
    }

    /// Whether the kernel stopped before the next packet for another reason than lack of room.
    pub(super) fn was_cut_short(&mut self) -> bool {
        mem::take(&mut self.cut_short)
    }

    /// The error that the kernel noted since the last call, if any.
    pub(super) fn noted_error(&self) -> Option<io::Error> {
        match &self.socket {
            Socket::Udp(socket) => socket.take_error(),
            #[cfg(unix)]
            Socket::Unix(socket) => socket.take_error(),
        }
        .unwrap_or_else(Some)
    }
}

#[cfg(target_os = "linux")]
impl AsFd for Datagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Udp(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
    }
}

/// Whether there was no room for the packet in time. On systems other than Windows, `TimedOut` means that the peer
/// vanished.
pub(super) fn is_full(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || cfg!(windows) && error.kind() == ErrorKind::TimedOut
}

/// Whether the packet or the moment is at fault, and the connection is sound.
pub(super) fn spares_the_connection(error: &io::Error) -> bool {
    is_full(error) || error.raw_os_error().is_some_and(|code| PACKET_ERRORS.contains(&code))
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::Turn;
    use super::*;

    #[test]
    fn an_agent_that_has_no_room_is_waited_for_once_a_flush() {
        let (from, _to) = UnixDatagram::pair().unwrap();
        from.set_nonblocking(true).unwrap();
        while from.send(b"filler").is_ok() {}
        let mut socket = Datagram::new(Socket::Unix(from)).unwrap();
        let mut wait_budget = WaitBudget::new();
        for packets in [Packets::new(b"ab", 0, &[1]), Packets::new(b"ab", 0, &[1, 2])] {
            wait_budget.renew(Turn::default());
            let full = socket.send(packets, &mut wait_budget).unwrap_err();
            assert!(is_full(&full) && wait_budget.left().is_none(), "{full}");
            let start = std::time::Instant::now();
            assert!((0..100).all(|_| socket.send(packets, &mut wait_budget).is_err()));
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        }
    }
}
