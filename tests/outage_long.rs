//! What an agent does to its clients over time: it is stopped, started again, replaced by a new socket file, slow, deaf,
//! and resets its connections, every 100 ms. Whatever it does, everything accepted is sent or counted as dropped, the
//! worker is not held for longer than the write timeout, and a calm agent gets everything again.
//!
//! Two seconds a transport. The long form, with the longest stall of each transport:
//!
//! ```sh
//! TASKTAG_OUTAGE_SECONDS=30 cargo test --release --test outage_long -- --nocapture --test-threads 1
//! ```

#![cfg(unix)]

mod support;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use support::stream_agent::{Mood, StreamAgent, unframed};
use support::{Agent, PATIENCE, TempDir, assert_conserved, wait_until};
use tasktag::{DropReason, Gauge, Guard};

const BETWEEN_FAULTS: Duration = Duration::from_millis(100);
/// What a flush may take beyond the 200 ms of the write timeout: the work itself, and a busy machine.
const BUSY: Duration = Duration::from_millis(400);
const WRITE_TIMEOUT: Duration = Duration::from_millis(200);

fn duration() -> Duration {
    let seconds = std::env::var("TASKTAG_OUTAGE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(2, |seconds| seconds.parse().expect("a number of seconds")))
}

/// An agent that can be put through all of it, at one address.
trait Victim {
    fn address(&self) -> String;
    /// Does the next thing to the agent. It is there again once every fault had its turn.
    fn suffer(&mut self, fault: usize);
    /// Is there, and reads.
    fn recover(&mut self);
    /// Bytes of the lines that came so far, where that is known.
    fn heard(&self, line: &str) -> bool;
}

struct Streams {
    // A port, or a path.
    path: Option<PathBuf>,
    address: String,
    agent: Option<StreamAgent>,
    received: Vec<Vec<u8>>,
}

impl Streams {
    fn new(path: Option<&Path>) -> Self {
        let agent = path.map_or_else(StreamAgent::tcp, StreamAgent::unix);
        let address = agent.address();
        Self { path: path.map(Path::to_owned), address, agent: Some(agent), received: Vec::new() }
    }

    fn start(&mut self) {
        if let Some(path) = &self.path {
            // In one step: there is a file at every moment.
            let beside = path.with_extension("beside");
            let agent = StreamAgent::unix(&beside);
            std::fs::rename(beside, path).unwrap();
            self.keep();
            self.agent = Some(agent);
        } else {
            self.keep();
            let address = self.address.trim_start_matches("tcp://").parse().unwrap();
            wait_until(|| {
                self.agent = StreamAgent::tcp_at(address).ok();
                self.agent.is_some()
            });
        }
    }

    fn keep(&mut self) {
        if let Some(agent) = self.agent.take() {
            self.received.extend(agent.received());
        }
    }

    /// What came over all connections: only the last line of one may be cut, and no frame that is whole.
    fn assert_whole(&mut self) -> u64 {
        self.keep();
        let mut lines = 0;
        for bytes in &self.received {
            let (packets, rest) = if self.path.is_some() {
                unframed(bytes)
            } else {
                let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
                (vec![bytes[..end].to_vec()], bytes[end..].to_vec())
            };
            for line in support::lines_of(&packets) {
                assert!(is_whole(&line), "{line:?}");
                lines += 1;
            }
            assert!(!rest.ends_with(b"\n"), "only what is cut is left");
        }
        lines
    }
}

fn is_whole(line: &str) -> bool {
    (line.starts_with("level.") || line.starts_with("calm:") || line.starts_with("jobs:"))
        && line.ends_with("|#task_id:0042")
        && line.matches(':').count() == 2
}

impl Victim for Streams {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn suffer(&mut self, fault: usize) {
        let Some(agent) = &self.agent else { return self.start() };
        match fault % 7 {
            0 | 4 => agent.reset(),
            1 => agent.set_mood(Mood::Slow),
            2 => agent.set_mood(Mood::Deaf),
            3 => self.keep(),
            5 => agent.set_mood(Mood::Eager),
            // Replaced, or stopped and started again.
            _ => self.start(),
        }
    }

    fn recover(&mut self) {
        self.start();
    }

    fn heard(&self, line: &str) -> bool {
        let ends = |bytes: &Vec<u8>| bytes.windows(line.len()).any(|window| window == line.as_bytes());
        self.agent.as_ref().is_some_and(|agent| agent.received().iter().any(ends))
    }
}

/// A datagram agent, which a reader of its own empties.
struct Datagrams {
    path: Option<PathBuf>,
    address: String,
    agent: Option<Agent>,
}

impl Datagrams {
    fn new(path: Option<&Path>) -> Self {
        let agent = path.map_or_else(Agent::udp, Agent::unix);
        Self { path: path.map(Path::to_owned), address: agent.address(), agent: Some(agent) }
    }

    fn start(&mut self) {
        if let Some(path) = &self.path {
            let beside = path.with_extension("beside");
            let agent = Agent::unix(&beside);
            std::fs::rename(beside, path).unwrap();
            self.agent = Some(agent);
        } else {
            self.agent = None;
            let address = self.address.trim_start_matches("udp://").parse().unwrap();
            wait_until(|| {
                self.agent = Agent::udp_at(address).ok();
                self.agent.is_some()
            });
        }
    }
}

impl Victim for Datagrams {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn suffer(&mut self, fault: usize) {
        match (fault % 3, &self.agent) {
            (0, Some(_)) => self.agent = None,
            _ => self.start(),
        }
    }

    fn recover(&mut self) {
        self.start();
    }

    fn heard(&self, line: &str) -> bool {
        self.agent
            .as_ref()
            .is_some_and(|agent| agent.drain().iter().any(|heard| format!("{heard}\n") == line))
    }
}

/// Flushes once, and says how long that took.
fn flush(guard: &Guard, gauges: &[Gauge], value: u32) -> Duration {
    for gauge in gauges {
        gauge.set(f64::from(value));
    }
    guard.client().counter("jobs").increment(1);
    let start = Instant::now();
    guard.client().flush(PATIENCE).unwrap();
    let took = start.elapsed();
    let stats = guard.client().stats();
    assert_conserved(&stats);
    assert_eq!(stats.dropped_total(), stats.dropped(DropReason::Transport));
    took
}

fn torment(name: &str, victim: &mut dyn Victim) {
    let guard = support::builder().agent(victim.address()).build().unwrap();
    let gauge = |number| guard.client().gauge(&format!("level.{number}")).register();
    let gauges: Vec<Gauge> = (0..1000).map(gauge).collect();
    flush(&guard, &gauges, 0);
    let (start, mut last, mut fault, mut longest) = (Instant::now(), Instant::now(), 0, Duration::ZERO);
    let mut flushes = 0;
    while start.elapsed() < duration() {
        if last.elapsed() >= BETWEEN_FAULTS {
            last = Instant::now();
            victim.suffer(fault);
            fault += 1;
        }
        flushes += 1;
        longest = longest.max(flush(&guard, &gauges, flushes));
        thread::sleep(Duration::from_millis(1));
    }
    let stats = guard.client().stats();
    println!("{name}: {flushes} flushes, {fault} faults, the longest stall {longest:?}; {stats}");
    assert!(stats.sent.values > 0 && stats.dropped_total().values > 0, "it was both: {stats}");
    assert!(longest < WRITE_TIMEOUT + BUSY, "{longest:?}");
    victim.recover();
    let start = Instant::now();
    loop {
        guard.client().counter("calm").increment(1);
        flush(&guard, &[], 0);
        if victim.heard("calm:1|c|#task_id:0042\n") {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the agent is back, and nothing comes");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nothing_an_agent_does_over_tcp_loses_count() {
    let mut victim = Streams::new(None);
    torment("tcp", &mut victim);
    assert!(victim.assert_whole() > 0);
}

#[test]
fn nothing_an_agent_does_over_a_unix_stream_loses_count() {
    let directory = TempDir::new();
    let mut victim = Streams::new(Some(&directory.join("agent")));
    torment("unixstream", &mut victim);
    assert!(victim.assert_whole() > 0);
}

#[test]
fn nothing_an_agent_does_over_udp_loses_count() {
    torment("udp", &mut Datagrams::new(None));
}

#[test]
fn nothing_an_agent_does_over_unix_datagrams_loses_count() {
    let directory = TempDir::new();
    torment("unix", &mut Datagrams::new(Some(&directory.join("agent"))));
}

/// A writer that fails, panics and sticks in turn.
struct Moody(Instant);

impl std::io::Write for Moody {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.elapsed().as_millis() / 100 % 4 {
            0 => Ok(bytes.len()),
            1 => Err(std::io::ErrorKind::StorageFull.into()),
            2 => {
                thread::sleep(Duration::from_millis(150));
                Ok(bytes.len())
            }
            _ => std::panic::resume_unwind(Box::new("a writer that panics, without a word")),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_a_writer_does_loses_count() {
    let start = Instant::now();
    let guard = support::builder().writer(Moody(start)).build().unwrap();
    let gauges: Vec<Gauge> =
        (0..1000).map(|number| guard.client().gauge(&format!("level.{number}")).register()).collect();
    flush(&guard, &gauges, 0);
    let (mut longest, mut flushes) = (Duration::ZERO, 0);
    while start.elapsed() < duration() {
        flushes += 1;
        longest = longest.max(flush(&guard, &gauges, flushes));
        thread::sleep(Duration::from_millis(1));
    }
    let stats = guard.client().stats();
    println!("writer: {flushes} flushes, the longest stall {longest:?}; {stats}");
    assert!(stats.sent.values > 0 && stats.dropped_total().values > 0, "it was both: {stats}");
    assert!(longest < WRITE_TIMEOUT + BUSY, "{longest:?}");
}
