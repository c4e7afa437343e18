//! What an agent does to its clients over time: it is stopped, started again, replaced by a new socket file, slow,
//! deaf, and resets its connections, every 100 ms. Whatever it does, everything accepted is sent or counted as dropped,
//! the worker is not held for longer than the write timeout, and a calm agent gets everything again.
//!
//! Two seconds a transport. The long form, with the longest stall of each transport:
//!
//! ```sh
//! TASKTAG_OUTAGE_SECONDS=30 cargo test --release --features testing --test outage_long -- --nocapture --test-threads 1
//! ```

#![cfg(unix)]

mod support;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use support::held::Worker;
use support::stream_agent::{Mood, StreamAgent, unframed};
use support::{Agent, PATIENCE, TempDir, assert_conserved, flush_unasked, wait_until};
use tasktag::{DropReason, Gauge, Guard};

const BETWEEN_FAULTS: Duration = Duration::from_millis(100);
/// What a machine that does not go on for a moment may add to the write timeout. Work, and waits for a processor, are
/// not counted.
const BUSY: Duration = Duration::from_millis(400);
const WRITE_TIMEOUT: Duration = Duration::from_millis(200);
/// The faults after which an agent of any kind has lost something.
const ENOUGH_FAULTS: usize = 8;

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
    fn assert_whole(&mut self) -> usize {
        self.keep();
        self.received.iter().map(|bytes| whole_lines(bytes, self.path.is_some())).sum()
    }
}

/// How many lines are in the whole frames of what came over a connection, or in all of it where there are no frames. It
/// may end at any byte: within the length of a frame, within a line, behind a line break.
fn whole_lines(bytes: &[u8], is_framed: bool) -> usize {
    let (packets, cut) = if is_framed {
        let (packets, rest) = unframed(bytes);
        assert!(
            packets.iter().all(|packet| packet.ends_with(b"\n")),
            "no frame that is whole ends within a line"
        );
        (packets, rest.get(size_of::<u32>()..).unwrap_or_default().to_vec())
    } else {
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        (vec![bytes[..end].to_vec()], bytes[end..].to_vec())
    };
    let cut = String::from_utf8(cut).expect("a packet is UTF-8");
    let (before, begun) = cut.rsplit_once('\n').unwrap_or(("", &cut));
    assert!(is_begun(begun), "{begun:?}");
    let lines = support::lines_of(&packets);
    for line in lines.iter().map(String::as_str).chain(before.lines()) {
        assert!(is_whole(line), "{line:?}");
    }
    lines.len()
}

const STARTS: [&str; 3] = ["level.", "calm:", "jobs:"];

/// Whether a line may begin so. The length of a frame has zeros in it.
fn is_begun(start: &str) -> bool {
    !start.contains(char::is_control)
        && STARTS.iter().any(|expected| start.starts_with(expected) || expected.starts_with(start))
}

fn is_whole(line: &str) -> bool {
    is_begun(line)
        && STARTS.iter().any(|start| line.starts_with(start))
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

/// Flushes once, and says how long that held the worker.
fn flush(guard: &Guard, worker: &Worker, gauges: &[Gauge], value: u32) -> Duration {
    for gauge in gauges {
        gauge.set(f64::from(value));
    }
    guard.client().counter("jobs").increment(1);
    let held = worker.held_in(|| flush_unasked(guard.client()));
    let stats = guard.client().stats();
    assert_conserved(&stats);
    assert_eq!(stats.dropped_total(), stats.dropped(DropReason::Transport));
    held
}

/// How long flushes held the worker.
#[derive(Debug, Default)]
struct Stalls {
    longest: Duration,
    too_long: u32,
}

impl Stalls {
    fn note(&mut self, held: Duration) {
        self.longest = self.longest.max(held);
        self.too_long += u32::from(held >= WRITE_TIMEOUT + BUSY);
    }

    /// Nobody says when the whole machine stood still. What holds a flush by itself does so each time that a fault comes
    /// round again.
    fn assert_few(&self, flushes: u32) {
        assert!(self.too_long <= 1 + flushes / 1000, "{self:?} in {flushes} flushes");
    }
}

fn torment(name: &str, victim: &mut dyn Victim) {
    let guard = support::builder().agent(victim.address()).build().unwrap();
    let gauge = |number| guard.client().gauge(&format!("level.{number}")).register();
    let gauges: Vec<Gauge> = (0..1000).map(gauge).collect();
    let worker = Worker::of(&guard);
    flush(&guard, &worker, &gauges, 0);
    let (start, mut last, mut fault) = (Instant::now(), Instant::now(), 0);
    let (mut stalls, mut flushes) = (Stalls::default(), 0);
    while start.elapsed() < duration() || fault < ENOUGH_FAULTS {
        if last.elapsed() >= BETWEEN_FAULTS {
            last = Instant::now();
            victim.suffer(fault);
            fault += 1;
        }
        flushes += 1;
        stalls.note(flush(&guard, &worker, &gauges, flushes));
        thread::sleep(Duration::from_millis(1));
    }
    let stats = guard.client().stats();
    println!("{name}: {flushes} flushes, {fault} faults, {stalls:?}; {stats}");
    assert!(stats.sent.values > 0 && stats.dropped_total().values > 0, "it was both: {stats}");
    stalls.assert_few(flushes);
    victim.recover();
    let start = Instant::now();
    loop {
        guard.client().counter("calm").increment(1);
        flush(&guard, &worker, &[], 0);
        if victim.heard("calm:1|c|#task_id:0042\n") {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the agent is back, and nothing comes");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Frames as they go over a Unix stream, the second of them with a length that begins with a line break.
fn frames() -> [Vec<u8>; 3] {
    let line = |value: u32| format!("level.7:{value}|g|#task_id:0042\n");
    let second = line(1).repeat(9) + &line(1_234_567);
    let packets = [line(1) + "jobs:1|c|#task_id:0042\n", second, line(1)];
    packets.map(|packet| [&u32::try_from(packet.len()).unwrap().to_le_bytes(), packet.as_bytes()].concat())
}

#[test]
fn a_stream_may_be_cut_at_any_byte() {
    let frames = frames();
    assert_eq!(frames[1][0], b'\n');
    let ends = [(frames[0].len(), 2), (frames[0].len() + frames[1].len(), 12), (frames.concat().len(), 13)];
    for end in 0..=frames.concat().len() {
        let expected = ends.iter().rfind(|(whole, _)| *whole <= end).map_or(0, |(_, lines)| *lines);
        assert_eq!(whole_lines(&frames.concat()[..end], true), expected, "cut at {end}");
    }
    // Without frames each line counts that is whole.
    let text: Vec<u8> = frames.iter().flat_map(|frame| &frame[4..]).copied().collect();
    for end in 0..=text.len() {
        let expected = text[..end].split(|byte| *byte == b'\n').count() - 1;
        assert_eq!(whole_lines(&text[..end], false), expected, "cut at {end}");
    }
}

#[test]
fn a_stream_that_goes_on_behind_a_cut_is_noticed() {
    let [first, others @ ..] = frames();
    let is_noticed = |stream: Vec<u8>| std::panic::catch_unwind(|| whole_lines(&stream, true)).is_err();
    for end in 1..first.len() {
        assert!(is_noticed([&first[..end], &others.concat()].concat()), "cut at {end}");
        // Nor is it the rest of a frame whose start went elsewhere.
        assert!(is_noticed([&first[end..], &others.concat()].concat()), "begun at {end}");
    }
    // With less behind the cut than what is left of the frame.
    for end in 4..others[0].len() - first.len() {
        for more in 4..=first.len() {
            assert!(
                is_noticed([&others[0][..end], &first[..more]].concat()),
                "cut at {end}, {more} bytes more"
            );
        }
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
    let worker = Worker::of(&guard);
    flush(&guard, &worker, &gauges, 0);
    let (mut stalls, mut flushes) = (Stalls::default(), 0);
    let was_both = || {
        let stats = guard.client().stats();
        stats.sent.values > 0 && stats.dropped_total().values > 0
    };
    while start.elapsed() < duration() || (!was_both() && start.elapsed() < PATIENCE) {
        flushes += 1;
        stalls.note(flush(&guard, &worker, &gauges, flushes));
        thread::sleep(Duration::from_millis(1));
    }
    println!("writer: {flushes} flushes, {stalls:?}; {}", guard.client().stats());
    assert!(was_both());
    stalls.assert_few(flushes);
}
