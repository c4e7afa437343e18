//! Unix streams in the Agent's framing: each packet follows its length.

use super::Failure;
use super::backoff::Backoff;
use super::socket_name::{FileId, SocketName};
use super::stream::{Connection, Peer, Socket};
use super::wait_budget::WaitBudget;
use std::io;
use std::os::unix::net::UnixStream;

/// A socket's path, and the file that was last seen there.
#[derive(Debug)]
pub(super) struct UnixPeer {
    name: SocketName,
    seen: Option<FileId>,
}

impl UnixPeer {
    pub(super) fn new(name: SocketName) -> Self {
        Self { name, seen: None }
    }
}

fn connect(name: &SocketName) -> io::Result<Connection> {
    #[cfg(target_os = "linux")]
    let stream = super::system::connect_unix(name)?;
    // If an agent's queue of connections is full, other systems refuse instead of waiting.
    #[cfg(not(target_os = "linux"))]
    let stream = UnixStream::connect_addr(&name.address()?)?;
    UnixStream::set_nonblocking(&stream, true)?;
    Ok(Connection::new(Socket::Unix(stream)))
}

impl Peer for UnixPeer {
    const HAS_LENGTHS: bool = true;
    const NAME: &'static str = "uds-stream";

    fn has_moved(&mut self, _: &mut WaitBudget) -> bool {
        // If the file is gone, the old connection is the only one.
        let Ok(now) = self.name.file_id() else { return false };
        // Read before connecting: a file that is replaced in between is noticed at the next flush.
        self.seen.replace(now) != Some(now)
    }

    fn connect(&mut self, backoff: &mut Backoff, _: &mut WaitBudget) -> Result<Connection, Option<Failure>> {
        if !backoff.take_turn() {
            return Err(None);
        }
        // If an agent's queue of connections is full, no time is spent waiting for it.
        connect(&self.name).map_err(|error| Some(Failure::Refused(error)))
    }
}
