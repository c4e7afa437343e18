//! An agent may come late, go away and come back: what is lost is counted, and the next flush after its return arrives.

#![cfg(unix)]

mod support;

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::time::Instant;
use support::{Agent, PATIENCE, TempDir, assert_conserved, lines_of, unix_address, wait_until};
use tasktag::{Client, Counter, DropReason, Guard, Tally};

const LINE: &str = "jobs:1|c|#task_id:0042";

/// A client that is given one value a flush, and how many of them an agent got.
struct Sender {
    guard: Guard,
    jobs: Counter,
}

impl Sender {
    fn to(agent: String) -> Self {
        let guard = support::builder().agent(agent).build().unwrap();
        let jobs = guard.client().counter("jobs").register();
        Self { guard, jobs }
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }

    /// Sends a value.
    fn send(&self) {
        self.jobs.increment(1);
        self.client().flush(PATIENCE).unwrap();
        assert_conserved(&self.client().stats());
    }

    /// Sends a value to an agent that is there.
    #[track_caller]
    fn send_to(&self, agent: &Agent) {
        let sent = self.sent();
        self.send();
        assert_eq!(agent.lines_until(|lines| !lines.is_empty()), [LINE]);
        assert_eq!(self.sent(), sent + 1);
    }

    /// Sends a value to nobody.
    #[track_caller]
    fn send_in_vain(&self) {
        let (sent, dropped) = (self.sent(), self.dropped());
        self.send();
        assert_eq!((self.sent(), self.dropped()), (sent, dropped + 1));
    }

    /// Sends values to nobody until one was refused.
    ///
    /// One mostly does. But the kernel may be interrupted before it has refused a packet, and other systems refuse
    /// none before the flush is over: such a packet looks sent.
    fn send_until_refused(&self) {
        wait_until(|| {
            let dropped = self.dropped();
            self.send();
            self.dropped() > dropped
        });
    }

    fn sent(&self) -> u64 {
        self.client().stats().sent.values
    }

    fn dropped(&self) -> u64 {
        let stats = self.client().stats();
        assert_eq!(stats.dropped(DropReason::Transport), stats.dropped_total());
        stats.dropped_total().values
    }
}

/// A port that nobody gets, and where the kernel refuses what is sent.
struct ClosedPort(UdpSocket);

impl ClosedPort {
    fn new(host: &str) -> Self {
        let socket = UdpSocket::bind((host, 0)).unwrap();
        // Connected to itself it takes packets from nobody else.
        socket.connect(socket.local_addr().unwrap()).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn open(self) -> Agent {
        let address = self.address();
        drop(self);
        agent_at(address)
    }
}

/// An agent at an address that was just given up, by whoever had it.
fn agent_at(address: SocketAddr) -> Agent {
    let mut agent = None;
    wait_until(|| {
        agent = Agent::udp_at(address).ok();
        agent.is_some()
    });
    agent.unwrap()
}

#[test]
fn an_agent_that_comes_late_gets_the_next_flush_over_udp() {
    let port = ClosedPort::new("127.0.0.1");
    let sender = Sender::to(format!("udp://{}", port.address()));
    for _ in 0..3 {
        sender.send_until_refused();
    }
    let agent = port.open();
    for _ in 0..3 {
        sender.send_to(&agent);
    }
}

#[test]
fn an_agent_that_comes_late_gets_the_next_flush_over_a_unix_socket() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let sender = Sender::to(unix_address(&path));
    for _ in 0..3 {
        sender.send_in_vain();
    }
    let agent = Agent::unix(&path);
    for _ in 0..3 {
        sender.send_to(&agent);
    }
    assert_eq!((sender.sent(), sender.dropped()), (3, 3));
}

#[test]
fn an_agents_directory_may_come_late_too() {
    let directory = TempDir::new();
    let path = directory.join("run").join("agent");
    let sender = Sender::to(unix_address(&path));
    sender.send_in_vain();
    fs::create_dir(path.parent().unwrap()).unwrap();
    sender.send_in_vain();
    let agent = Agent::unix(&path);
    sender.send_to(&agent);
}

#[test]
fn an_agent_that_is_killed_and_comes_back_costs_the_flushes_between_over_udp() {
    let mut agent = Agent::udp();
    let address = SocketAddr::from(([127, 0, 0, 1], agent.port()));
    let sender = Sender::to(agent.address());
    for round in 1..=10 {
        sender.send_to(&agent);
        drop(agent);
        for _ in 0..2 {
            sender.send_until_refused();
        }
        agent = agent_at(address);
        sender.send_to(&agent);
        assert!(sender.sent() >= 2 * round && sender.dropped() >= 2 * round);
    }
}

#[test]
fn an_agent_that_is_killed_and_comes_back_costs_the_flushes_between_over_a_unix_socket() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let mut agent = Agent::unix(&path);
    let sender = Sender::to(agent.address());
    for round in 1..=10 {
        sender.send_to(&agent);
        drop(agent);
        // A killed agent leaves its file, one that ends in order takes it along.
        if round % 2 == 0 {
            fs::remove_file(&path).unwrap();
        }
        for _ in 0..2 {
            sender.send_in_vain();
        }
        let _ = fs::remove_file(&path);
        agent = Agent::unix(&path);
        sender.send_to(&agent);
        assert_eq!((sender.sent(), sender.dropped()), (2 * round, 2 * round));
    }
}

#[test]
fn an_agent_that_is_back_before_the_next_flush_costs_nothing() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let (mut unix, mut udp) = (Agent::unix(&path), Agent::udp());
    let address = SocketAddr::from(([127, 0, 0, 1], udp.port()));
    let (to_unix, to_udp) = (Sender::to(unix.address()), Sender::to(udp.address()));
    for _ in 0..10 {
        to_unix.send_to(&unix);
        to_udp.send_to(&udp);
        drop((unix, udp));
        fs::remove_file(&path).unwrap();
        (unix, udp) = (Agent::unix(&path), agent_at(address));
    }
    assert_eq!((to_unix.dropped(), to_udp.dropped()), (0, 0));
}

#[test]
fn a_new_file_at_the_path_is_another_agent_though_the_old_one_still_listens() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let mut old = Agent::unix(&path);
    let sender = Sender::to(old.address());
    sender.send_to(&old);
    let replace: [fn(&Path, &Path) -> Agent; 2] = [
        |path, _| {
            fs::remove_file(path).unwrap();
            Agent::unix(path)
        },
        // In one step: there is a file at every moment.
        |path, beside| {
            let agent = Agent::unix(beside);
            fs::rename(beside, path).unwrap();
            agent
        },
    ];
    for replace in replace.into_iter().cycle().take(6) {
        let new = replace(&path, &directory.join("beside"));
        sender.send_to(&new);
        sender.send_to(&new);
        assert_eq!(old.drain(), [""; 0], "the old one gets no more");
        old = new;
    }
    assert_eq!(sender.dropped(), 0);
}

#[test]
fn a_file_that_is_no_socket_is_an_agent_that_is_away() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    fs::write(&path, "not a socket").unwrap();
    let sender = Sender::to(unix_address(&path));
    sender.send_in_vain();
    fs::remove_file(&path).unwrap();
    let agent = Agent::unix(&path);
    sender.send_to(&agent);
}

#[test]
fn an_agent_is_found_by_name_at_whichever_of_its_addresses_it_listens() {
    let addresses: Vec<SocketAddr> = ("localhost", 0).to_socket_addrs().unwrap().collect();
    for address in addresses {
        let agent = Agent::udp_at(address).unwrap();
        let sender = Sender::to(format!("udp://localhost:{}", agent.port()));
        // The name is looked up elsewhere, and the first address may be the other one.
        let start = Instant::now();
        while agent.drain().is_empty() {
            assert!(start.elapsed() < PATIENCE, "nothing came to {address}: {:#?}", sender.client().stats());
            sender.send();
        }
        sender.send_to(&agent);
    }
}

#[test]
fn an_agent_on_ipv6_is_an_agent() {
    let agent = match Agent::udp6() {
        Ok(agent) => agent,
        Err(error) => return println!("this machine has no IPv6 loopback: {error}"),
    };
    assert!(agent.address().starts_with("udp://[::1]:"));
    let sender = Sender::to(agent.address());
    sender.send_to(&agent);
    let address = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], agent.port()));
    drop(agent);
    sender.send_until_refused();
    sender.send_to(&agent_at(address));
    let late = ClosedPort::new("::1");
    let sender = Sender::to(format!("udp://{}", late.address()));
    sender.send_until_refused();
    sender.send_to(&late.open());
}

#[test]
fn all_of_a_long_flush_is_booked_as_what_became_of_it() {
    let directory = TempDir::new();
    let path = directory.join("agent");
    let guard = support::builder().agent(unix_address(&path)).max_packet_size(100).build().unwrap();
    let client = guard.client();
    let (mut agent, mut received) = (None, Tally::default());
    for flush in 0..40_u64 {
        match flush % 7 {
            2 => agent = Some(Agent::unix(&path)),
            6 => {
                agent = None;
                fs::remove_file(&path).unwrap();
            }
            _ => {}
        }
        // Few enough packets for a Unix socket's queue, which is ten long where nobody set it.
        for number in 0..20 {
            client.counter(&format!("jobs.{number}")).increment(1);
        }
        client.flush(PATIENCE).unwrap();
        for packet in agent.iter().flat_map(Agent::drain_packets) {
            let lines = lines_of(std::slice::from_ref(&packet)).len() as u64;
            received.values += lines;
            received.lines += lines;
            received.packets += 1;
            received.bytes += packet.len() as u64;
        }
        let stats = client.stats();
        assert_conserved(&stats);
        assert_eq!((stats.sent, stats.accepted.values), (received, 20 * (flush + 1)));
        assert_eq!(stats.dropped_total(), stats.dropped(DropReason::Transport));
    }
    assert_eq!(received.values, 20 * 23);
}
