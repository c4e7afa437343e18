//! What the call sites are held against.

use crate::contestant::Operation;
use crate::peers::{CADENCE, CADENCE_BRIDGED, DOGSTATSD, FLOOR, METRICS_BRIDGED, OURS, PROMETHEUS};

/// Contestant, operation, threads.
pub type Key = (&'static str, Operation, u32);

/// Our time at an operation, divided by another.
pub struct Target {
    pub ours: Key,
    /// What the other is, in a word.
    pub against: &'static str,
    pub other: Key,
    pub at_most: f64,
}

impl Target {
    /// What is divided by what.
    pub fn over_under(&self) -> String {
        let (ours, ..) = self.ours;
        format!("{ours}/{}", self.against)
    }

    pub fn operation(&self) -> String {
        let (_, operation, threads) = self.ours;
        format!("{}/{threads}", operation.name())
    }
}

const fn target(
    operation: Operation,
    threads: u32,
    against: &'static str,
    other: Key,
    at_most: f64,
) -> Target {
    Target { ours: (OURS, operation, threads), against, other, at_most }
}

/// Ten nanoseconds where an uncontended `fetch_add` takes 5.9.
const TEN_NANOS: f64 = 10.0 / 5.9;

const STORE: Key = (FLOOR, Operation::GaugeSet, 1);
const STORES: Key = (FLOOR, Operation::GaugeSet, 2);
const FETCH_ADD: Key = (FLOOR, Operation::CounterIncrement, 1);
const OCCUPANCY: Key = (FLOOR, Operation::Occupancy, 1);

const fn ours(operation: Operation) -> Key {
    (OURS, operation, 1)
}

const fn prometheus(operation: Operation, threads: u32) -> Key {
    (PROMETHEUS, operation, threads)
}

/// A peer's call sites with tasktag behind them, beside what they have behind them otherwise.
pub struct Bridge {
    pub bridged: &'static str,
    pub peer: &'static str,
    pub cpu_at_most: f64,
    pub percent_of_bytes_at_most: f64,
}

pub const BRIDGES: [Bridge; 1] =
    [Bridge { bridged: CADENCE_BRIDGED, peer: CADENCE, cpu_at_most: 0.7, percent_of_bytes_at_most: 2.0 }];

use Operation as Op;

pub const ALL: [Target; 23] = [
    target(Op::GaugeSet, 1, "store", STORE, 2.0),
    target(Op::GaugeSet, 2, "two-stores-to-one-line", STORES, 1.3),
    target(Op::GaugeSetPeak, 1, "gauge", ours(Op::GaugeSet), 2.0),
    target(Op::GaugeSetNewPeak, 1, "gauge", ours(Op::GaugeSet), f64::INFINITY),
    target(Op::CounterIncrement, 1, "fetch_add", FETCH_ADD, 0.5),
    target(Op::CounterIncrement, 2, "one-thread", ours(Op::CounterIncrement), 1.3),
    target(Op::TimingRecord, 1, "fetch_add", FETCH_ADD, TEN_NANOS),
    target(Op::TimingRecord, 2, "fetch_add", FETCH_ADD, TEN_NANOS),
    target(Op::TimingRecord, 2, "one-thread", ours(Op::TimingRecord), 1.3),
    target(Op::GaugeByName, 1, "prometheus", prometheus(Op::GaugeByName, 1), 0.6),
    target(Op::GaugeByName, 2, "prometheus", prometheus(Op::GaugeByName, 2), 0.6),
    target(Op::GaugeByName, 2, "one-thread", ours(Op::GaugeByName), 1.5),
    target(Op::GaugeByName, 2, "two-stores-to-each-of-8-lines", (FLOOR, Op::GaugeByName, 2), f64::INFINITY),
    target(Op::CounterByName, 1, "prometheus", prometheus(Op::CounterByName, 1), 0.6),
    target(Op::CounterByName, 2, "prometheus", prometheus(Op::CounterByName, 2), 0.6),
    target(Op::CounterByName, 2, "one-thread", ours(Op::CounterByName), 1.5),
    target(Op::TimingByName, 1, "prometheus", prometheus(Op::TimingByName, 1), 0.6),
    target(Op::TimingByName, 2, "prometheus", prometheus(Op::TimingByName, 2), 0.6),
    target(Op::TimingByName, 2, "one-thread", ours(Op::TimingByName), 1.5),
    target(Op::GaugeLiteral, 1, "handle", ours(Op::GaugeSet), 1.5),
    target(Op::CounterLiteral, 1, "handle", ours(Op::CounterIncrement), 1.5),
    target(Op::Occupancy, 1, "4-fetch_add-and-2-clock-reads", OCCUPANCY, 1.0),
    target(Op::Occupancy, 2, "one-thread", ours(Op::Occupancy), f64::INFINITY),
];

/// The facade of metrics: a handle, and a call site that registers at each call, cost no more than in front of the
/// peer.
pub const FACADE: [Target; 16] = [
    facade(Op::GaugeSet, 1),
    facade(Op::GaugeSet, 2),
    facade(Op::CounterIncrement, 1),
    facade(Op::CounterIncrement, 2),
    facade(Op::TimingRecord, 1),
    facade(Op::TimingRecord, 2),
    facade(Op::GaugeByName, 1),
    facade(Op::GaugeByName, 2),
    facade(Op::CounterByName, 1),
    facade(Op::CounterByName, 2),
    facade(Op::TimingByName, 1),
    facade(Op::TimingByName, 2),
    facade(Op::GaugeLiteral, 1),
    facade(Op::GaugeLiteral, 2),
    facade(Op::CounterLiteral, 1),
    facade(Op::CounterLiteral, 2),
];

const fn facade(operation: Operation, threads: u32) -> Target {
    Target {
        ours: (METRICS_BRIDGED, operation, threads),
        against: DOGSTATSD,
        other: (DOGSTATSD, operation, threads),
        at_most: 1.0,
    }
}
