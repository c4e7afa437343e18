//! What the machine allows: bare atomics at the call site, and for the traffic the smallest program with the same
//! result on the wire.

use crate::contestant::{Agent, Contestant, Operation, Setup, level, repeat};
use crate::traffic::{Series, Style, Traffic};
use std::fmt::Write;
use std::hint::black_box;
use std::net::UdpSocket;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const UDP_PACKET: usize = 1432;

#[repr(align(128))]
struct Line([AtomicU64; 2]);

static GAUGE: Line = Line([AtomicU64::new(0), AtomicU64::new(0)]);
/// As many as there are gauges by name.
static GAUGES: [Line; 8] = [const { Line([AtomicU64::new(0), AtomicU64::new(0)]) }; 8];
static COUNTER: Line = Line([AtomicU64::new(0), AtomicU64::new(0)]);
static OCCUPANCY: Line = Line([AtomicU64::new(0), AtomicU64::new(0)]);

struct Floor {
    agent: Option<UdpSocket>,
    collected: Mutex<Option<Collected>>,
}

/// Everything that all threads saw.
#[derive(Default)]
struct Collected {
    packet: String,
    gauges: Vec<(Series, f64)>,
    counters: Vec<(Series, u64)>,
    timings: Vec<(Series, Vec<f64>)>,
}

pub fn build(setup: &Setup) -> Option<Box<dyn Contestant>> {
    let agent = match setup.agent {
        Agent::Udp(agent) => {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
            socket.connect(agent).expect("an address is one");
            Some(socket)
        }
        Agent::Unix(_) => None,
    };
    Some(Box::new(Floor { agent, collected: Mutex::default() }))
}

impl Contestant for Floor {
    fn run(&self, operation: Operation, n: u32) -> bool {
        match operation {
            // A word that nobody reads would not be stored to at all: the compiler must not know which it is.
            Operation::GaugeSet => {
                let gauge = black_box(&GAUGE.0[0]);
                repeat(n, |i| gauge.store(level(i).to_bits(), Ordering::Relaxed))
            }
            // What is left of a call by name when nothing has to be found.
            Operation::GaugeByName => repeat(n, |i| {
                GAUGES[i as usize % GAUGES.len()].0[0].store(level(i).to_bits(), Ordering::Relaxed);
            }),
            Operation::CounterIncrement => repeat(n, |_| {
                COUNTER.0[0].fetch_add(1, Ordering::Relaxed);
            }),
            Operation::Occupancy => repeat(n, |_| {
                for _ in 0..2 {
                    black_box(Instant::now());
                    OCCUPANCY.0[0].fetch_add(1, Ordering::Relaxed);
                    OCCUPANCY.0[1].fetch_add(1, Ordering::Relaxed);
                }
            }),
            _ => false,
        }
    }

    fn replay(&self, style: Style, traffic: &Traffic, updates: Range<u32>) -> bool {
        if style == Style::ByName {
            return false;
        }
        let gauges: Vec<_> = traffic.gauges.iter().map(|_| AtomicU64::new(0)).collect();
        let mut counters = vec![0_u64; traffic.counters.len()];
        let mut timings = vec![Vec::with_capacity(10_000); traffic.timings.len()];
        traffic.replay(
            updates,
            |series, value| gauges[series].store(value.to_bits(), Ordering::Relaxed),
            |series| counters[series] += 1,
            |series, value| timings[series].push(value),
        );
        let levels = gauges.iter().map(|level| f64::from_bits(level.load(Ordering::Relaxed)));
        let mut collected = self.collected.lock().expect("nobody panics");
        collected.get_or_insert_default().take(traffic, levels, counters, timings);
        true
    }

    fn finish(self: Box<Self>) {
        let Some(agent) = &self.agent else { return };
        let collected = self.collected.lock().expect("nobody panics").take();
        if let Some(mut collected) = collected {
            collected.send(agent);
        }
    }
}

impl Collected {
    fn take(
        &mut self,
        traffic: &Traffic,
        levels: impl Iterator<Item = f64>,
        counts: Vec<u64>,
        timings: Vec<Vec<f64>>,
    ) {
        self.gauges.extend(traffic.gauges.iter().cloned().zip(levels));
        self.counters.extend(traffic.counters.iter().cloned().zip(counts));
        self.timings.extend(traffic.timings.iter().cloned().zip(timings));
    }

    fn send(&mut self, agent: &UdpSocket) {
        for (series, level) in std::mem::take(&mut self.gauges) {
            self.line(agent, &series, 'g', ryu::Buffer::new().format(level));
        }
        for (series, count) in std::mem::take(&mut self.counters) {
            self.line(agent, &series, 'c', &count.to_string());
        }
        for (series, values) in std::mem::take(&mut self.timings) {
            self.timings(agent, &series, &values);
        }
        agent.send(self.packet.as_bytes()).expect("the agent is there");
    }

    fn line(&mut self, agent: &UdpSocket, series: &Series, kind: char, values: &str) {
        let Series { name, pool, role } = series;
        let start = self.packet.len();
        let written = writeln!(self.packet, "{name}:{values}|{kind}|#pool:{pool},role:{role},task_id:0042");
        written.expect("a string takes everything");
        if self.packet.len() > UDP_PACKET {
            agent.send(&self.packet.as_bytes()[..start]).expect("the agent is there");
            self.packet.drain(..start);
        }
    }

    /// As many values in a line as a packet takes.
    fn timings(&mut self, agent: &UdpSocket, series: &Series, values: &[f64]) {
        const ROOM: usize = UDP_PACKET - 100;
        let mut joined = String::with_capacity(UDP_PACKET);
        let mut buffer = ryu::Buffer::new();
        for value in values {
            let value = buffer.format(*value);
            if joined.len() + value.len() > ROOM {
                self.line(agent, series, 'd', &joined);
                joined.clear();
            }
            if !joined.is_empty() {
                joined.push(':');
            }
            joined.push_str(value);
        }
        if !joined.is_empty() {
            self.line(agent, series, 'd', &joined);
        }
    }
}
