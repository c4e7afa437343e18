//! Instructions of a record, once its timing's tables have grown to what they hold.

use super::child::numbers;
use super::reference::RECORD_INSTRUCTIONS;
use super::score::Score;
use crate::allocations;
use crate::contestant::{Contestant, Operation, Setup};
use crate::instructions::{available, count};
use crate::peers::{self, OURS};
use crate::receiver::blackhole;
use std::time::Duration;

/// Set-up cancels out between the two.
const FEW: u32 = 10_000;
const MANY: u32 = 60_000;
/// Records between two flushes at the start, and how many such times until no table grows any more.
const BUSY: u32 = 45_000;
const SETTLING: u32 = 8;
const INTERVAL: Duration = Duration::from_secs(3600);
const OPERATION: Operation = Operation::TimingRecord;

pub fn of_a_record() -> Vec<Score> {
    let what = "record on a known timing, instructions with the loop";
    let instructions = Score::new(what, per_record(), "", 1.05 * RECORD_INSTRUCTIONS);
    let instructions = if available() {
        instructions.note(format!("1.05 × 0.1.0: {RECORD_INSTRUCTIONS}"))
    } else {
        instructions.note("valgrind is not installed")
    };
    let allocations = numbers(&["--allocations"]).first().copied();
    vec![instructions, Score::new("… allocations", allocations, "", 0.0)]
}

fn per_record() -> Option<f64> {
    let of = |n: u32| count(&["--settled", &n.to_string()]);
    available().then(|| Some((of(MANY)? - of(FEW)?) / f64::from(MANY - FEW)))?
}

/// The process whose instructions are counted.
pub fn child(n: u32) {
    let contestant = settled();
    contestant.run(OPERATION, n);
    std::mem::forget(contestant);
}

/// The process that prints how often a record allocates.
pub fn child_that_counts_allocations() {
    let contestant = settled();
    let allocated = allocations::during(|| _ = contestant.run(OPERATION, FEW));
    println!("{}", allocated as f64 / f64::from(FEW));
}

/// Ours, after flushes between which its timing was busy.
fn settled() -> Box<dyn Contestant> {
    let (_socket, agent) = blackhole();
    let entry = peers::find(OURS).expect("it is there");
    let contestant = (entry.build)(&Setup { agent, interval: Some(INTERVAL) }).expect("it sends to UDP");
    for _ in 0..SETTLING {
        contestant.run(OPERATION, BUSY);
        contestant.flush();
    }
    // What a flush leaves empty is written again.
    contestant.run(OPERATION, BUSY);
    contestant
}
