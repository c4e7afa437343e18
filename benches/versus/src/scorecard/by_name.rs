//! Two threads that call the same contexts by name, beside one.

use super::child::numbers;
use super::score::Score;
use crate::contended::together_until_a_flush;
use crate::contestant::{Contestant, Operation, Setup, opaque};
use crate::peers::{self, OURS};
use crate::receiver::blackhole;
use crate::samples::median;
use crate::stopwatch::{alone, calibrate, together};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The argument in place of an operation for [`child_that_stores`].
pub const STORES: &str = "stores";
const PROCESSES: usize = 5;
const ROUNDS: usize = 9;
/// What a thread is busy for at each turn, at least. It is short, so that some pieces are not interrupted.
const TURN: Duration = Duration::from_millis(6);
/// Flushes before anything counts.
const SETTLING: u32 = 3;
/// Longer than it takes, so that nothing flushes but what is told to.
const INTERVAL: Duration = Duration::from_secs(3600);

pub fn relative_to_one_thread() -> Vec<Score> {
    let kinds = [
        (Operation::GaugeByName, "gauge"),
        (Operation::CounterByName, "counter"),
        (Operation::TimingByName, "timing"),
    ];
    let of_kind = |(operation, kind): (Operation, &str)| {
        let what = format!("{kind} by name, 2 threads on the same 8 contexts, relative to 1 thread");
        let (ratio, note) = beside_one_thread(operation.name());
        Score::new(&what, ratio, "×", 1.5).note(note)
    };
    let what = "… the same of a store to each of 8 cache lines, and as much work beside it";
    let (ratio, note) = beside_one_thread(STORES);
    let stores = Score::plain(what, ratio, "×").note(note);
    let [gauge, counter, timing] = kinds.map(of_kind);
    vec![gauge, stores, counter, timing]
}

/// The ratio, and the times behind it.
fn beside_one_thread(operation: &str) -> (Option<f64>, String) {
    let runs: Vec<Vec<f64>> = (0..PROCESSES).map(|_| numbers(&["--threads", operation])).collect();
    let column = |at: usize| median(runs.iter().filter_map(|run| run.get(at).copied())).unwrap_or(f64::NAN);
    let ratio = median(runs.iter().filter_map(|run| Some(run.get(1)? / run.first()?)));
    let [one, two, cycle] = [0, 1, 2].map(column);
    (ratio, format!("{one:.1} and {two:.1} ns, {:.0} and {:.0} cycles", one / cycle, two / cycle))
}

/// The process that [`relative_to_one_thread`] starts: it prints nanoseconds of one thread, of two, and of a cycle.
pub fn child(operation: Operation) {
    let (_socket, agent) = blackhole();
    let entry = peers::find(OURS).expect("it is there");
    let contestant = (entry.build)(&Setup { agent, interval: Some(INTERVAL) }).expect("it sends to UDP");
    print_rounds(&*contestant, operation);
}

/// The same for [`STORES`].
pub fn child_that_stores() {
    print_rounds(&Stores, Operation::GaugeByName);
}

fn print_rounds(contestant: &dyn Contestant, operation: Operation) {
    let n = calibrate(contestant, operation, TURN);
    for _ in 0..SETTLING {
        together_until_a_flush(contestant, operation, n);
    }
    let round = |_| {
        let times = [alone(contestant, operation, n), together(contestant, operation, n), cycle()];
        contestant.flush();
        times
    };
    let rounds: Vec<[f64; 3]> = (0..ROUNDS).map(round).collect();
    let [one, two, cycle] =
        [0, 1, 2].map(|at| median(rounds.iter().map(|times| times[at])).unwrap_or(f64::NAN));
    println!("{one} {two} {cycle}");
}

/// A store to each of the cache lines in turn, and beside it as many steps as a gauge by name takes cycles.
struct Stores;

const STEPS: u32 = 28;

#[repr(align(128))]
struct Line(AtomicU64);

static LINES: [Line; 8] = [const { Line(AtomicU64::new(0)) }; 8];

impl Contestant for Stores {
    fn run(&self, _: Operation, n: u32) -> bool {
        let mut sum = 0;
        for (i, line) in (0..n).zip(LINES.iter().cycle()) {
            line.0.store(u64::from(i), Ordering::Relaxed);
            sum = stepped(sum, STEPS);
        }
        black_box(sum);
        true
    }
}

/// Steps of which each waits for the one before: a cycle each. Additions would not do, as new processors make several
/// at once.
#[inline(always)]
#[allow(clippy::inline_always, reason = "a call would take cycles of its own")]
fn stepped(start: u64, steps: u32) -> u64 {
    (0..steps).fold(start, |sum, _| opaque(sum ^ 1))
}

/// The nanoseconds of a cycle.
fn cycle() -> f64 {
    const CYCLES: u32 = 4_000_000;
    let start = Instant::now();
    black_box(stepped(1, black_box(CYCLES)));
    start.elapsed().as_nanos() as f64 / f64::from(CYCLES)
}
