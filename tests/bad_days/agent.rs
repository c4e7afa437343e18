//! An agent at one address, to which everything happens that happens to agents.

use super::names;
use super::transport::Transport;
use super::writer::Writer;
use crate::support::stream_agent::{Mood, StreamAgent, unframed};
use crate::support::{Agent as DatagramAgent, TempDir, unix_address, wait_until};
use std::fs;
use std::net::SocketAddr;
use tasktag::ClientBuilder;
use tasktag::testing::Capture;

const FILE: &str = "agent";

#[derive(Debug)]
pub(crate) struct Agent {
    transport: Transport,
    place: Place,
    live: Live,
    // What agents got that are gone.
    packets: Vec<Vec<u8>>,
}

/// Where every agent of the day is.
#[derive(Debug)]
enum Place {
    Address(SocketAddr),
    /// A socket file there.
    Directory(TempDir),
    Memory,
}

#[derive(Debug)]
enum Live {
    Nobody,
    Datagrams(DatagramAgent),
    Stream(StreamAgent),
    Writer(Writer),
    Capture(Capture),
}

impl Agent {
    pub(crate) fn new(transport: Transport) -> Self {
        let mut agent = Self { transport, place: Place::Memory, live: Live::Nobody, packets: Vec::new() };
        if transport.is_unix() {
            agent.place = Place::Directory(TempDir::new());
        } else if transport.is_socket() {
            let host = if transport == Transport::Udp6 { "[::1]:0" } else { "127.0.0.1:0" };
            agent.place = Place::Address(host.parse().expect("an address"));
        }
        agent.start();
        if let Place::Address(address) = &mut agent.place {
            let bound = match &agent.live {
                Live::Datagrams(live) => live.address(),
                Live::Stream(live) => live.address(),
                _ => unreachable!("an agent at an address"),
            };
            *address = bound.rsplit('/').next().and_then(|end| end.parse().ok()).expect("an address");
        }
        agent
    }

    /// Has a client send to it, by its name where it has one.
    pub(crate) fn hire(&self, builder: ClientBuilder, by_name: bool) -> ClientBuilder {
        match &self.live {
            Live::Writer(writer) => builder.writer(writer.clone()),
            Live::Capture(capture) => builder.capture(capture),
            _ => builder.agent(self.address(by_name)),
        }
    }

    /// As one of several agents.
    pub(crate) fn description(&self) -> tasktag::Agent {
        tasktag::Agent::at(self.address(false))
    }

    fn address(&self, by_name: bool) -> String {
        let is_stream = self.transport.is_stream();
        let scheme = if is_stream { "tcp" } else { "udp" };
        match &self.place {
            Place::Address(address) if by_name => format!("{scheme}://{}:{}", names::AGENT, address.port()),
            Place::Address(address) => format!("{scheme}://{address}"),
            Place::Directory(directory) if is_stream => {
                format!("unixstream://{}", directory.join(FILE).display())
            }
            Place::Directory(directory) => unix_address(&directory.join(FILE)),
            Place::Memory => unreachable!("it has no address"),
        }
    }

    /// Where there is none, there is one.
    pub(crate) fn start(&mut self) {
        match (&self.place, &self.live) {
            (_, Live::Writer(writer)) => writer.set_failing(false),
            (_, Live::Capture(capture)) => capture.set_away(false),
            (Place::Address(address), Live::Nobody) => {
                let (address, is_stream) = (*address, self.transport.is_stream());
                // A forked child may have the last one's socket for a moment.
                wait_until(|| {
                    self.live = listen(address, is_stream);
                    !matches!(self.live, Live::Nobody)
                });
            }
            (Place::Directory(_), Live::Nobody) => self.move_in(),
            (Place::Memory, Live::Nobody) if self.transport == Transport::Writer => {
                self.live = Live::Writer(Writer::default());
            }
            (Place::Memory, Live::Nobody) => self.live = Live::Capture(Capture::new()),
            (_, Live::Datagrams(_) | Live::Stream(_)) => {}
        }
    }

    /// Another agent takes the path, in one step.
    fn move_in(&mut self) {
        let Place::Directory(directory) = &self.place else { return };
        let beside = directory.join("beside");
        let next = if self.transport.is_stream() {
            Live::Stream(StreamAgent::unix(&beside))
        } else {
            Live::Datagrams(DatagramAgent::unix(&beside))
        };
        fs::rename(beside, directory.join(FILE)).expect("the path is this test's");
        self.retire();
        self.live = next;
    }

    pub(crate) fn kill(&mut self) {
        match &self.live {
            Live::Writer(writer) => writer.set_failing(true),
            Live::Capture(capture) => capture.set_away(true),
            _ => self.end(),
        }
    }

    /// The old one reads what it has before it goes.
    pub(crate) fn replace(&mut self) {
        if self.transport.is_unix() {
            self.move_in();
        } else {
            self.retire();
            self.start();
        }
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        match &self.live {
            Live::Nobody => {}
            Live::Datagrams(agent) => agent.set_mood(mood),
            Live::Stream(agent) => agent.set_mood(mood),
            Live::Writer(writer) => writer.set_mood(mood),
            Live::Capture(capture) => capture.set_stuck(mood == Mood::Deaf),
        }
    }

    /// Closes what is open, in the middle of a packet if there is one.
    pub(crate) fn cut(&self) {
        match &self.live {
            Live::Stream(agent) => agent.reset(),
            Live::Writer(writer) => writer.cut(),
            _ => {}
        }
    }

    pub(crate) fn set_panicking(&self, panicking: bool) {
        match &self.live {
            Live::Writer(writer) => writer.set_panicking(panicking),
            Live::Capture(capture) if panicking => capture.panic_once(),
            _ => {}
        }
    }

    /// Is there, and reads, whatever was done to it.
    pub(crate) fn recover(&mut self) {
        self.start();
        self.set_panicking(false);
        self.set_mood(Mood::Eager);
    }

    /// Whatever came to any agent at the address: the packets, or where there are none the whole lines of a connection.
    pub(crate) fn take_packets(&mut self) -> Vec<Vec<u8>> {
        // What a client gave up is on its way still.
        if let Live::Stream(agent) = &self.live {
            agent.hear_out();
        }
        self.end();
        std::mem::take(&mut self.packets)
    }

    fn retire(&mut self) {
        if let Live::Stream(agent) = &self.live {
            agent.hang_up();
        }
        self.end();
    }

    fn end(&mut self) {
        match std::mem::replace(&mut self.live, Live::Nobody) {
            Live::Nobody => {}
            Live::Datagrams(agent) => self.packets.append(&mut agent.close()),
            Live::Stream(agent) => {
                let received = agent.close();
                let whole = received.iter().flat_map(|bytes| whole_packets(bytes, self.transport));
                self.packets.extend(whole);
            }
            Live::Writer(writer) => self.packets.append(&mut writer.take_packets()),
            Live::Capture(capture) => self.packets.append(&mut capture.take_packets()),
        }
    }
}

fn listen(address: SocketAddr, is_stream: bool) -> Live {
    if is_stream {
        StreamAgent::tcp_at(address).map_or(Live::Nobody, Live::Stream)
    } else {
        DatagramAgent::udp_at(address).map_or(Live::Nobody, Live::Datagrams)
    }
}

/// What a connection brought, without what was cut.
fn whole_packets(bytes: &[u8], transport: Transport) -> Vec<Vec<u8>> {
    if transport == Transport::UnixStream {
        return unframed(bytes).0;
    }
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    if end == 0 { Vec::new() } else { vec![bytes[..end].to_vec()] }
}
