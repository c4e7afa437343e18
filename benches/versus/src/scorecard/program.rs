//! What a whole program takes that has this crate and no other.

use super::child::read;
use super::elf::thread_local_bytes;
use super::package::{Package, tasktag};
use super::reference::PROGRAM_MB;
use super::score::Score;
use crate::receiver::blackhole;
use crate::samples::Summary;
use std::process::Command;

const RUNS: usize = 5;
const WITH: &str = include_str!("program/with.rs");
const WITHOUT: &str = include_str!("program/without.rs");

fn with() -> Option<Package> {
    Package::new("with", &tasktag(), Some(WITH)).ok().filter(Package::build)
}

fn without() -> Option<Package> {
    Package::new("without", "", Some(WITHOUT)).ok().filter(Package::build)
}

/// Of four threads with 50 timings each, beside four threads that only wait.
pub fn resident_memory() -> Vec<Score> {
    let [with, without] = [with(), without()].map(|package| package.as_ref().and_then(resident_mb));
    vec![
        Score::new("program of four threads and 200 timings, resident", with, "MB", 0.2 * PROGRAM_MB)
            .note("0.2 of 0.1.0"),
        Score::plain("… the same program without this crate", without, "MB"),
    ]
}

fn resident_mb(package: &Package) -> Option<f64> {
    let (_socket, agent) = blackhole();
    let run = |_| {
        let output = Command::new(package.program()).arg(agent.to_string()).output().ok()?;
        read(&output.stdout).first().copied().filter(|_| output.status.success())
    };
    Summary::of((0..RUNS).filter_map(run)).map(|bytes| bytes.median / 1e6)
}

/// What each thread of a program has for the crate whether it uses a metric or not.
pub fn static_thread_local_storage() -> Vec<Score> {
    let bytes = |package: Option<Package>| thread_local_bytes(&package?.program()).map(|bytes| bytes as f64);
    let [with, without] = [bytes(with()), bytes(without())];
    vec![
        Score::new("static thread-local storage of a program", with, "B", 2048.0).note("0.1.0: 17 kB"),
        Score::plain("… of the same without this crate", without, "B"),
    ]
}
