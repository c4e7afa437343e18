//! Two threads beside one.

use super::child::numbers;
use super::score::Score;
use crate::contended;
use crate::contestant::{Operation, Setup};
use crate::peers::{self, OURS};
use crate::receiver::blackhole;
use crate::samples::Summary;
use crate::stopwatch::{alone, calibrate, together};
use std::time::Duration;

const PROCESSES: usize = 5;
const ROUNDS: usize = 9;
/// What a thread is busy for at each turn, at least. It is short, so that some pieces are not interrupted.
const TURN: Duration = Duration::from_millis(6);
/// Longer than it takes, so that nothing flushes but what is told to.
const INTERVAL: Duration = Duration::from_secs(3600);

fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    Summary::of(values).map(|summary| summary.median)
}

/// After its first flush and after each later one, the median of several processes.
pub fn on_one_timing() -> Vec<Score> {
    let runs: Vec<Vec<f64>> = (0..PROCESSES).map(|_| contended::run()).collect();
    let ratio = |run: &Vec<f64>, at: usize| run.get(at).zip(run.first()).map(|(two, one)| two / one);
    let after = |flush: usize| median(runs.iter().filter_map(|run| ratio(run, flush + 1)));
    let score = |flush: usize| {
        let what = format!("timing, 2 threads after flush {flush}, relative to 1 thread");
        Score::new(&what, after(flush), "×", 1.3)
    };
    (1..=contended::FLUSHES).map(score).collect()
}

pub fn by_name() -> Vec<Score> {
    let kinds = [
        (Operation::GaugeByName, "gauge"),
        (Operation::CounterByName, "counter"),
        (Operation::TimingByName, "timing"),
    ];
    let score = |(operation, kind): (Operation, &str)| {
        let runs: Vec<Vec<f64>> = (0..PROCESSES).map(|_| numbers(&["--threads", operation.name()])).collect();
        let column = |at: usize| median(runs.iter().filter_map(|run| run.get(at).copied()));
        let ratio = median(runs.iter().filter_map(|run| Some(run.get(1)? / run.first()?)));
        let what = format!("{kind} by name, 2 threads on the same 8 contexts, relative to 1 thread");
        let ns = [column(0), column(1)].map(|ns| ns.unwrap_or(f64::NAN));
        Score::new(&what, ratio, "×", 1.5).note(format!("{:.1} and {:.1} ns", ns[0], ns[1]))
    };
    kinds.into_iter().map(score).collect()
}

/// The process that [`by_name`] starts: it prints nanoseconds of one thread and of two.
pub fn child(operation: Operation) {
    let (_socket, agent) = blackhole();
    let entry = peers::find(OURS).expect("it is there");
    let contestant = (entry.build)(&Setup { agent, interval: Some(INTERVAL) }).expect("it sends to UDP");
    let n = calibrate(&*contestant, operation, TURN);
    let round = |_| {
        let one = alone(&*contestant, operation, n);
        let two = together(&*contestant, operation, n);
        contestant.flush();
        (one, two)
    };
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(round).collect();
    let one = median(rounds.iter().map(|(one, _)| *one)).unwrap_or(f64::NAN);
    let two = median(rounds.iter().map(|(_, two)| *two)).unwrap_or(f64::NAN);
    println!("{one} {two}");
}
