//! Two threads that record into one timing, before and after its first flushes, in a process of its own.

use crate::contestant::{Agent, Contestant, Operation, Setup};
use crate::peers::{self, OURS};
use crate::receiver::blackhole;
use crate::report::{self, Table};
use crate::stopwatch::{alone, calibrate, together};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, iter};

/// Longer than it takes, so that nothing flushes but what is told to.
const INTERVAL: Duration = Duration::from_secs(3600);
/// The time between two flushes by default. Threads get a table each once they met often enough in one.
const FLUSH: Duration = Duration::from_secs(2);
pub const FLUSHES: usize = 5;
const ROUNDS: usize = 5;

pub fn measure() {
    report::title("Two threads on one timing, ns a record and relative to one thread");
    let after = (1..=FLUSHES).map(|flush| format!("after flush {flush}"));
    let head: Vec<_> =
        ["one thread".to_owned(), "before a flush".to_owned()].into_iter().chain(after).collect();
    let head: Vec<_> = iter::once("process").chain(head.iter().map(String::as_str)).collect();
    let mut table = Table::new(&head);
    for round in 1..=ROUNDS {
        let took = run();
        let one = took.first().copied();
        let ratio = |took: f64| one.map_or(f64::NAN, |one| took / one);
        let cells = took.iter().map(|&took| format!("{took:.1} ({:.2})", ratio(took)));
        if took.len() == FLUSHES + 2 {
            table.row(iter::once(round.to_string()).chain(cells).collect());
        }
    }
    table.print();
}

/// Nanoseconds a record of one thread, of two before a flush, and of two after each flush.
pub fn run() -> Vec<f64> {
    let (_socket, agent) = blackhole();
    let output = Command::new(env::current_exe().expect("it runs"))
        .args(["--contended", &agent.to_string()])
        .output()
        .expect("it can be run again");
    String::from_utf8_lossy(&output.stdout).split_whitespace().filter_map(|took| took.parse().ok()).collect()
}

/// The process that is measured.
pub fn child(agent: Agent) {
    let entry = peers::find(OURS).expect("it is there");
    let contestant = (entry.build)(&Setup { agent, interval: Some(INTERVAL) }).expect("it sends to UDP");
    let n = calibrate(&*contestant, Operation::TimingRecord, Duration::from_millis(6));
    println!("{}", alone(&*contestant, Operation::TimingRecord, n));
    for _ in 0..=FLUSHES {
        println!("{}", together(&*contestant, Operation::TimingRecord, n));
        together_until_a_flush(&*contestant, Operation::TimingRecord, n);
    }
}

/// Has two threads busy for as long as between two flushes, and flushes.
pub fn together_until_a_flush(contestant: &dyn Contestant, operation: Operation, n: u32) {
    let start = Instant::now();
    while start.elapsed() < FLUSH {
        together(contestant, operation, n);
    }
    contestant.flush();
}
