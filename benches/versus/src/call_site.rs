//! Time at the call site: every contestant once a round, in turns.

use crate::allocations;
use crate::contestant::{Contestant, Entry, Operation, Setup, Sort};
use crate::peers::{self, OURS};
use crate::receiver::blackhole;
use crate::report::{self, Csv, Table, pair, short};
use crate::samples::Samples;
use crate::stopwatch;
use crate::targets::{self, Key};
use std::time::Duration;

/// What a thread is busy for at each turn, at least.
const TURN: Duration = Duration::from_millis(6);
/// Calls before allocations are counted, and while they are.
const CALLS: u32 = 1_000;

/// A contestant and how often it does each operation in a turn.
struct Entrant {
    entry: &'static Entry,
    contestant: Box<dyn Contestant>,
    turns: Vec<(Operation, u32)>,
}

pub fn measure(rounds: usize, csv: &mut Csv) {
    let (_socket, agent) = blackhole();
    let setup = Setup { agent, interval: None };
    let entrants: Vec<Entrant> = peers::ALL.iter().filter_map(|entry| Entrant::new(entry, &setup)).collect();
    let allocations: Vec<_> = entrants.iter().map(Entrant::allocations).collect();
    let mut samples = Samples::new();
    for round in 0..rounds {
        for operation in Operation::ALL {
            for threads in [1, 2] {
                turns(&entrants, operation, threads, round, &mut samples);
            }
        }
    }
    let all: Vec<&Entry> = entrants.iter().map(|entrant| entrant.entry).collect();
    print_table(&all, &samples, &allocations, rounds);
    print_ratios(&samples);
    let ours = entrants.iter().zip(&allocations).find(|(entrant, _)| entrant.entry.name == OURS);
    let by_name = ours.and_then(|(_, counted)| counted.iter().find(|(at, _)| *at == Operation::GaugeByName));
    report::value("allocations gauge-by-name", by_name.map(|&(_, n)| n), "per call", 0.0);
    println!();
    print_fastest_peers(&all, &samples);
    for key @ (name, operation, threads) in samples.keys() {
        if let Some((entry, summary)) = peers::find(name).zip(samples.summary(key)) {
            csv.add("call-site", name, entry.sort.name(), operation.name(), threads, summary);
        }
    }
}

impl Entrant {
    fn new(entry: &'static Entry, setup: &Setup) -> Option<Self> {
        let contestant = (entry.build)(setup)?;
        let turn = |operation| (operation, stopwatch::calibrate(&*contestant, operation, TURN));
        let turns = Operation::ALL.into_iter().map(turn).filter(|&(_, n)| n > 0).collect();
        Some(Self { entry, contestant, turns })
    }

    fn allocations(&self) -> Vec<(Operation, f64)> {
        let count = |&(operation, _): &(Operation, u32)| {
            self.contestant.run(operation, CALLS);
            let counted = allocations::during(|| {
                self.contestant.run(operation, CALLS);
            });
            self.contestant.settle();
            // The counting thread now and then allocates for its channel or buffer, not for a call.
            (operation, (counted as f64 / f64::from(CALLS) * 100.0).round() / 100.0)
        };
        self.turns.iter().map(count).collect()
    }
}

fn turns(entrants: &[Entrant], operation: Operation, threads: u32, round: usize, samples: &mut Samples<Key>) {
    for turn in 0..entrants.len() {
        let entrant = &entrants[(round + turn) % entrants.len()];
        let Some(&(_, n)) = entrant.turns.iter().find(|(at, _)| *at == operation) else { continue };
        let contestant = &*entrant.contestant;
        let nanos = match threads {
            1 => stopwatch::alone(contestant, operation, n),
            _ => stopwatch::together(contestant, operation, n),
        };
        samples.push((entrant.entry.name, operation, threads), nanos);
    }
}

fn print_table(all: &[&Entry], samples: &Samples<Key>, allocations: &[Vec<(Operation, f64)>], rounds: usize) {
    report::title(&format!(
        "Call site: ns per operation, 1 thread / 2 threads at once, median of {rounds} rounds"
    ));
    let mut head = vec!["contestant"];
    head.extend(Operation::ALL.map(Operation::name));
    head.push("allocations handle / by name");
    let mut table = Table::new(&head);
    for (entry, counted) in all.iter().zip(allocations) {
        let mut cells = vec![entry.label()];
        let median = |operation, threads| samples.median((entry.name, operation, threads));
        cells.extend(Operation::ALL.map(|operation| pair(median(operation, 1), median(operation, 2))));
        let allocated = |operation| counted.iter().find(|(at, _)| *at == operation).map(|&(_, n)| n);
        let of = |operation| allocated(operation).map_or_else(|| short(None), |n| format!("{n}"));
        cells.push(format!("{} / {}", of(Operation::GaugeSet), of(Operation::GaugeByName)));
        table.row(cells);
    }
    table.print();
}

fn print_ratios(samples: &Samples<Key>) {
    report::title("Call site: ratios round by round, median (least..most)");
    for target in targets::ALL.iter().chain(&targets::FACADE) {
        let ratio = samples.ratio(target.ours, target.other);
        report::ratio(&target.operation(), &target.over_under(), ratio, Some(target.at_most));
    }
}

/// Every row against the fastest peer of either sort: ahead is below 1.
fn print_fastest_peers(all: &[&Entry], samples: &Samples<Key>) {
    report::title("Call site: against the fastest peer that pushes, and the fastest that is pulled");
    for operation in Operation::ALL {
        for threads in [1, 2] {
            for sort in [Sort::Push, Sort::Pull] {
                let time = |entry: &Entry| samples.median((entry.name, operation, threads));
                let peers = all.iter().filter(|entry| entry.sort == sort);
                let timed = peers.filter_map(|entry| Some((entry.name, time(entry)?)));
                let Some((peer, _)) = timed.min_by(|(_, a), (_, b)| a.total_cmp(b)) else { continue };
                let summary = samples.ratio((OURS, operation, threads), (peer, operation, threads));
                let operation = format!("{}/{threads}", operation.name());
                report::ratio(&operation, &format!("tasktag/{peer}"), summary, Some(1.0));
            }
        }
    }
    println!();
}
