//! Unix datagrams.

use super::datagram::{Datagram, Socket, spares_the_connection};
use super::socket_name::{FileId, SocketName};
use super::wait_budget::WaitBudget;
use super::{Delivery, Failure, MAX_PACKETS, Packets, Transport, Turn};
use std::io;
use std::os::unix::net::UnixDatagram;

/// A connected Unix datagram socket, and the file that it was connected to.
#[derive(Debug)]
pub(super) struct Unix {
    name: SocketName,
    connection: Option<(Datagram, FileId)>,
    // The agent was unreachable in this flush.
    away: bool,
    wait_budget: WaitBudget,
    failure: Option<Failure>,
}

impl Unix {
    pub(super) fn new(name: SocketName) -> Self {
        Self { name, connection: None, away: false, wait_budget: WaitBudget::new(), failure: None }
    }

    /// Sends on the existing socket, or on a new one. `None` if there is no agent.
    fn try_send(&mut self, packets: Packets<'_>) -> Option<io::Result<usize>> {
        if self.connection.is_none() && !self.away {
            match connect(&self.name) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => self.failure = Some(Failure::Refused(error)),
            }
            self.away = self.connection.is_none();
        }
        let (socket, _) = self.connection.as_mut()?;
        Some(socket.send(packets, &mut self.wait_budget))
    }
}

fn connect(name: &SocketName) -> io::Result<(Datagram, FileId)> {
    // Read before connecting: a file that is replaced in between is noticed at the next flush.
    let file = name.file_id()?;
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&name.address()?)?;
    Ok((Datagram::new(Socket::Unix(socket))?, file))
}

impl Transport for Unix {
    fn begin(&mut self, turn: Turn) {
        self.away = false;
        self.wait_budget.renew(turn);
        let name = &self.name;
        self.connection.take_if(|(_, file)| name.file_id().is_ok_and(|now| now != *file));
    }

    fn send(&mut self, packets: Packets<'_>) -> Delivery {
        // If the connection and not the packet was at fault, a second attempt follows: the agent may have a new file.
        for _ in 0..2 {
            match self.try_send(packets) {
                None => return Delivery::lost(packets.len()),
                Some(Ok(taken)) => return Delivery::taken(taken),
                Some(Err(error)) => {
                    let is_sound = spares_the_connection(&error);
                    self.failure = Some(error.into());
                    if is_sound {
                        return Delivery::lost(1);
                    }
                    self.connection = None;
                }
            }
        }
        self.away = true;
        Delivery::lost(packets.len())
    }

    fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn most_packets(&self) -> usize {
        if cfg!(target_os = "linux") { MAX_PACKETS } else { 1 }
    }

    fn name(&self) -> &'static str {
        "uds"
    }
}
