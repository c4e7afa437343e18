//! Instructions per operation, counted by callgrind.

use crate::contestant::{Entry, Operation, Setup};
use crate::peers::{self, OURS};
use crate::receiver::{Directory, blackhole};
use crate::report::{self, Csv, Table};
use crate::samples::{Samples, Summary};
use crate::targets::{self, Key, Target};
use std::process::{Command, Stdio};
use std::{env, fs};

/// Set-up cancels out between the two.
const FEW: u32 = 2_000;
const MANY: u32 = 12_000;

pub fn measure(csv: &mut Csv) {
    if !available() {
        println!("valgrind is not installed: no instructions to count.");
        return;
    }
    let mut samples = Samples::new();
    for entry in peers::ALL {
        for operation in Operation::ALL {
            if let Some(n) = per_operation(entry, operation) {
                samples.push((entry.name, operation, 1), n);
                let exact = Summary { median: n, min: n, max: n };
                csv.add("instructions", entry.name, entry.sort.name(), operation.name(), 1, exact);
            }
        }
    }
    print_table(&samples);
    print_ratios(&samples);
}

fn print_table(samples: &Samples<Key>) {
    report::title("Call site: instructions per operation on the calling thread, its loop included");
    let mut head = vec!["contestant"];
    head.extend(Operation::ALL.map(Operation::name));
    let mut table = Table::new(&head);
    for entry in peers::ALL {
        let cell = |operation| {
            let n = samples.median((entry.name, operation, 1));
            n.map_or_else(|| "–".to_owned(), |n| format!("{n:.0}"))
        };
        let mut cells = vec![entry.label()];
        cells.extend(Operation::ALL.map(cell));
        table.row(cells);
    }
    table.print();
}

fn print_ratios(samples: &Samples<Key>) {
    const GAUGE_SET: f64 = 22.0;
    report::title("Call site: ratios of instructions");
    let of_one_thread = |target: &&Target| target.ours.2 == 1 && target.other.2 == 1;
    for target in targets::ALL.iter().chain(&targets::FACADE).filter(of_one_thread) {
        report::ratio(
            &target.operation(),
            &target.over_under(),
            samples.ratio(target.ours, target.other),
            None,
        );
    }
    report::value(
        "instructions-gauge",
        samples.median((OURS, Operation::GaugeSet, 1)),
        "instructions",
        GAUGE_SET,
    );
}

/// Whether there is a callgrind.
pub fn available() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// What an operation takes on the thread that calls it. `None` where the contestant has none like it.
fn per_operation(entry: &Entry, operation: Operation) -> Option<f64> {
    let of = |n: u32| count(&["--one", entry.name, operation.name(), &n.to_string()]);
    let (few, many) = (of(FEW)?, of(MANY)?);
    Some((many - few) / f64::from(MANY - FEW))
}

/// The instructions of the first thread of this program when it runs with these arguments.
pub fn count(arguments: &[&str]) -> Option<f64> {
    let directory = Directory::new();
    let out = directory.path("callgrind");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes", "-q"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe().expect("it runs"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    if !status.success() {
        return None;
    }
    // The first thread is the one that calls.
    let profile = fs::read_to_string(directory.path("callgrind-01")).ok()?;
    profile.lines().find_map(|line| line.strip_prefix("totals:")?.trim().parse().ok())
}

/// The process that [`per_operation`] starts. Fails where there is nothing to count.
pub fn child(contestant: &str, operation: Operation, n: u32) -> bool {
    let entry = peers::find(contestant).expect("a contestant's name");
    let (_socket, agent) = blackhole();
    let Some(contestant) = (entry.build)(&Setup { agent, interval: None }) else { return false };
    let ran = contestant.run(operation, 8) && contestant.run(operation, n);
    std::mem::forget(contestant);
    ran
}
