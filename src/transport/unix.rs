//! Unix datagrams.

use super::datagram::{Datagram, Socket, spares_the_connection};
use super::{Delivery, Transport};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// A connected Unix datagram socket, and which file it was connected to.
#[derive(Debug)]
pub(super) struct Unix {
    path: PathBuf,
    connection: Option<(Datagram, FileId)>,
    // The agent was away in this flush.
    away: bool,
}

/// A new file at the same path is another agent.
type FileId = (u64, u64);

impl Unix {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, connection: None, away: false }
    }

    fn socket(&mut self) -> Option<&mut Datagram> {
        if self.connection.is_none() && !self.away {
            self.connection = connect(&self.path).ok();
            self.away = self.connection.is_none();
        }
        self.connection.as_mut().map(|(socket, _)| socket)
    }
}

fn connect(path: &Path) -> io::Result<(Datagram, FileId)> {
    // Asked before: a file that is replaced in between is noticed at the next flush.
    let file = file_id(path)?;
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok((Datagram::new(Socket::Unix(socket))?, file))
}

fn file_id(path: &Path) -> io::Result<FileId> {
    path.metadata().map(|file| (file.dev(), file.ino()))
}

impl Transport for Unix {
    fn begin(&mut self) {
        self.away = false;
        let path = &self.path;
        let unusable = self.connection.as_mut().is_some_and(|(socket, file)| {
            file_id(path).is_ok_and(|now| now != *file) || socket.begin().is_err()
        });
        if unusable {
            self.connection = None;
        }
    }

    fn send(&mut self, packet: &[u8]) -> Delivery {
        // A second try where the connection, not the packet, was at fault: the agent may be back behind a new file.
        for _ in 0..2 {
            let Some(socket) = self.socket() else { return Delivery::FAILED };
            match socket.send(packet) {
                Ok(()) => return Delivery::TAKEN,
                Err(error) if spares_the_connection(&error) => return Delivery::FAILED,
                Err(_) => self.connection = None,
            }
        }
        self.away = true;
        Delivery::FAILED
    }

    fn name(&self) -> &'static str {
        "uds"
    }
}
