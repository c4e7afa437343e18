//! tasktag beside its peers, interleaved in one run, so that ratios hold on a machine that others use too.
//!
//! `cargo run --release --manifest-path benches/versus/Cargo.toml` prints tables, and a line for every target.
//! `-- --quick` takes under a minute, `-- --only SECTION` one of `call-site`, `traffic`, `away`, `cold` and `memory`,
//! `-- --instructions` counts instructions instead of time, and `-- --csv FILE` writes what `chart.py` reads.
//! `-- --scorecard` prints the targets of memory and speed instead, each with its figure, and `-- --row ROW` one of
//! them.

mod allocations;
mod away;
mod call_site;
mod contended;
mod contestant;
mod floor;
mod instructions;
mod memory;
mod peers;
mod pipeline;
mod receiver;
mod report;
mod samples;
mod scorecard;
mod stopwatch;
mod targets;
mod traffic;

use crate::contestant::{Agent, Operation};
use crate::report::Csv;
use crate::traffic::Style;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, thread};

const USAGE: &str =
    "versus [--quick] [--instructions] [--only call-site|traffic|away|cold|memory] [--csv FILE]";

#[derive(Debug, Default)]
struct Options {
    quick: bool,
    instructions: bool,
    only: Option<String>,
    csv: Option<PathBuf>,
    scorecard: bool,
    row: Option<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--instructions" => options.instructions = true,
                "--scorecard" => options.scorecard = true,
                "--row" => options.row = Some(arguments.next().filter(|row| scorecard::has(row))?),
                "--only" => options.only = Some(arguments.next()?),
                "--csv" => options.csv = Some(arguments.next()?.into()),
                _ => return None,
            }
        }
        Some(options)
    }

    fn wants(&self, section: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == section)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(code) = child(&arguments) {
        return code;
    }
    let Some(options) = Options::parse(arguments.into_iter()) else {
        eprintln!("{USAGE}\nversus --scorecard | --row {}", scorecard::names());
        return ExitCode::FAILURE;
    };
    print_machine();
    let mut csv = Csv::new();
    if options.scorecard || options.row.is_some() {
        scorecard::measure(options.row.as_deref());
    } else if options.instructions {
        instructions::measure(&mut csv);
    } else {
        measure(&options, &mut csv);
    }
    if let Some(path) = &options.csv {
        csv.write(path).expect("the file can be written");
    }
    ExitCode::SUCCESS
}

fn measure(options: &Options, csv: &mut Csv) {
    let rounds = |quick, full| if options.quick { quick } else { full };
    if options.wants("call-site") {
        call_site::measure(rounds(3, 40), csv);
    }
    if options.wants("traffic") {
        pipeline::measure(rounds(1, 7), csv);
    }
    if options.wants("away") {
        away::measure(rounds(2, 15), csv);
        away::measure_faults(rounds(2, 15), csv);
    }
    if options.wants("cold") {
        away::measure_cold(rounds(2, 15), csv);
    }
    if options.wants("memory") {
        memory::measure(csv);
        contended::measure();
    }
}

/// This program runs itself for what needs a process of its own.
fn child(arguments: &[String]) -> Option<ExitCode> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--traffic", contestant, style, threads, agent] => {
            pipeline::child(contestant, Style::parse(style)?, threads.parse().ok()?, Agent::parse(agent)?);
        }
        ["--latency", contestant, operation, agent, background, pace, amount] => {
            let background = away::Background::parse(background)?;
            let condition = away::Condition { agent: Agent::parse(agent)?, background };
            let pace = away::Pace::parse(pace, amount)?;
            away::child(contestant, Operation::parse(operation)?, condition, pace);
        }
        ["--contended", agent] => contended::child(Agent::parse(agent)?),
        ["--memory", contestant, row, agent] => memory::child(contestant, row, Agent::parse(agent)?),
        ["--threads", scorecard::by_name::STORES] => scorecard::by_name::child_that_stores(),
        ["--threads", operation] => scorecard::by_name::child(Operation::parse(operation)?),
        ["--settled", n] => scorecard::instructions::child(n.parse().ok()?),
        ["--allocations"] => scorecard::instructions::child_that_counts_allocations(),
        ["--idle"] => scorecard::idle::child(),
        ["--flush"] => scorecard::flush::child(),
        ["--one", contestant, operation, n] => {
            if !instructions::child(contestant, Operation::parse(operation)?, n.parse().ok()?) {
                return Some(ExitCode::FAILURE);
            }
        }
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

fn print_machine() {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        line.split_once(": ").map(|(_, value)| value.to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "unknown processor".to_owned());
    let mhz = field("cpu MHz").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = thread::available_parallelism().map_or(0, usize::from);
    println!("{cpus} x {model} {mhz} MHz, {} {} {}\n", env::consts::OS, kernel.trim(), env::consts::ARCH);
}
