//! A contestant's calls timed one by one, in a process of its own.

use super::background::Background;
use crate::contestant::{Agent, Contestant, Operation, Setup};
use crate::peers;
use std::env;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Flushes fall into the measurement.
const INTERVAL: Duration = Duration::from_millis(10);
/// More than a first-level data cache has.
const COLD_BYTES: usize = 128 << 10;
const LINE: usize = 64;

/// Nanoseconds that a call took, its clock reads included.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub middle: f64,
    pub p99: f64,
    pub p99_99: f64,
}

/// How calls follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One after the other, for a while.
    Hot(Duration),
    /// So many, 50 µs apart, with the first-level cache full of other things.
    Cold(u32),
}

impl Pace {
    const APART: Duration = Duration::from_micros(50);

    fn arguments(self) -> [String; 2] {
        match self {
            Self::Hot(time) => ["hot".to_owned(), time.as_millis().to_string()],
            Self::Cold(calls) => ["cold".to_owned(), calls.to_string()],
        }
    }

    pub fn parse(name: &str, amount: &str) -> Option<Self> {
        let amount: u32 = amount.parse().ok()?;
        match name {
            "hot" => Some(Self::Hot(Duration::from_millis(amount.into()))),
            "cold" => Some(Self::Cold(amount)),
            _ => None,
        }
    }
}

/// What a process has around it while its calls are timed.
#[derive(Clone, Debug)]
pub struct Condition {
    pub agent: Agent,
    pub background: Background,
}

impl From<Agent> for Condition {
    fn from(agent: Agent) -> Self {
        Self { agent, background: Background::Bare }
    }
}

/// Times a contestant's calls in a process of its own. `None` where it has no such operation or condition.
pub fn run(contestant: &str, operation: Operation, condition: &Condition, pace: Pace) -> Option<Latency> {
    let output = Command::new(env::current_exe().expect("it runs"))
        .args(["--latency", contestant, operation.name()])
        .args([&condition.agent.to_string(), condition.background.name()])
        .args(pace.arguments())
        .stderr(Stdio::inherit())
        .output()
        .expect("it can be run again");
    let told = String::from_utf8_lossy(&output.stdout);
    let mut told = told.split_whitespace().filter_map(|number| number.parse().ok());
    Some(Latency { middle: told.next()?, p99: told.next()?, p99_99: told.next()? })
}

/// The process that [`run`] starts.
pub fn child(contestant: &str, operation: Operation, condition: Condition, pace: Pace) {
    let entry = peers::find(contestant).expect("a contestant's name");
    let Condition { agent, background } = condition;
    let setup = Setup { agent, interval: Some(INTERVAL) };
    background.prepare();
    let Some(contestant) = (entry.build)(&setup) else { return };
    background.begin();
    if !contestant.run(operation, 1_000) {
        return;
    }
    let mut times = match pace {
        Pace::Hot(time) => hot(&*contestant, operation, time),
        Pace::Cold(calls) => cold(&*contestant, operation, calls),
    };
    times.sort_unstable();
    let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile) as usize];
    println!("{:.1} {} {}", middle(&times), at(0.99), at(0.9999));
    // What is left may have nowhere to go.
    std::mem::forget(contestant);
}

/// What a call usually takes: the mean of the middle nine tenths. The clocks of some processors move in steps of 10 ns,
/// and those would be all that a median shows.
fn middle(sorted: &[u32]) -> f64 {
    let middle = &sorted[sorted.len() / 20..sorted.len() - sorted.len() / 20];
    middle.iter().map(|&time| f64::from(time)).sum::<f64>() / middle.len() as f64
}

fn hot(contestant: &dyn Contestant, operation: Operation, time: Duration) -> Vec<u32> {
    // Written beforehand, so that no page of it is met for the first time below.
    let mut times = vec![u32::MAX; 16 << 20];
    let (mut calls, end) = (0, Instant::now() + time);
    while calls < times.len() {
        let start = Instant::now();
        contestant.run(operation, 1);
        let stop = Instant::now();
        times[calls] = (stop - start).as_nanos() as u32;
        calls += 1;
        if stop >= end {
            break;
        }
    }
    times.truncate(calls);
    times
}

fn cold(contestant: &dyn Contestant, operation: Operation, calls: u32) -> Vec<u32> {
    let other = vec![1_u8; COLD_BYTES];
    let mut next = Instant::now();
    (0..calls)
        .map(|_| {
            next += Pace::APART;
            black_box(other.iter().step_by(LINE).fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
            while Instant::now() < next {}
            let start = Instant::now();
            contestant.run(operation, 1);
            start.elapsed().as_nanos() as u32
        })
        .collect()
}
