//! A connected socket that waits at most once a flush.

use super::WRITE_TIMEOUT;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
#[cfg(unix)]
use std::os::unix::net::UnixDatagram;

/// `EMSGSIZE` and `ENOBUFS`, which std has no kinds for: Winsock's, Linux's, and those of macOS and the BSDs.
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

/// A connected socket that waits for room at most once a flush, for at most [`WRITE_TIMEOUT`].
#[derive(Debug)]
pub(super) struct Datagram {
    socket: Socket,
    // The agent was too slow in this flush: nothing more waits for it.
    stalled: bool,
}

impl Datagram {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        match &socket {
            Socket::Udp(socket) => socket.set_write_timeout(Some(WRITE_TIMEOUT))?,
            #[cfg(unix)]
            Socket::Unix(socket) => socket.set_write_timeout(Some(WRITE_TIMEOUT))?,
        }
        Ok(Self { socket, stalled: false })
    }

    /// A flush begins: the agent gets another chance.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.stalled { self.stall(false) } else { Ok(()) }
    }

    pub(super) fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let sent = match &self.socket {
            Socket::Udp(socket) => socket.send(packet),
            #[cfg(unix)]
            Socket::Unix(socket) => socket.send(packet),
        };
        match sent {
            // A datagram is taken whole or not at all.
            Ok(_) => Ok(()),
            Err(error) => {
                if is_full(&error) && !self.stalled {
                    self.stall(true)?;
                }
                Err(error)
            }
        }
    }

    fn stall(&mut self, stalled: bool) -> io::Result<()> {
        match &self.socket {
            Socket::Udp(socket) => socket.set_nonblocking(stalled)?,
            #[cfg(unix)]
            Socket::Unix(socket) => socket.set_nonblocking(stalled)?,
        }
        self.stalled = stalled;
        Ok(())
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

/// Whether there was no room for the packet in time.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Whether the packet is at fault, or the moment, and the connection is sound.
pub(super) fn spares_the_connection(error: &io::Error) -> bool {
    is_full(error) || error.raw_os_error().is_some_and(|code| PACKET_ERRORS.contains(&code))
}
