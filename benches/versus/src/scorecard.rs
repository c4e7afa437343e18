//! Each target of memory and speed with its figure, and whether it is met. What is measured has a process of its own.
//!
//! Figures of 0.1.0 are in `reference`; peers are measured in the same run.

pub mod by_name;
pub mod flush;
pub mod idle;
pub mod instructions;

mod child;
mod compile;
mod contexts;
mod cpu;
mod elf;
mod package;
mod program;
mod reference;
mod score;
mod threads;

use self::score::Score;
use crate::report::{self, Table};

/// A row: the name that `--row` takes, and what measures it.
type Row = (&'static str, fn() -> Vec<Score>);

const ROWS: [Row; 16] = [
    ("timing-1", contexts::timing_of_1_value),
    ("timing-30", contexts::timing_of_30_values),
    ("timing-1000", contexts::timing_of_1000_values),
    ("hot", contexts::hot_timing),
    ("gauge", contexts::gauge),
    ("counter", contexts::counter),
    ("family", contexts::family),
    ("instructions", instructions::of_a_record),
    ("two-threads", threads::on_one_timing),
    ("by-name", by_name::relative_to_one_thread),
    ("cpu", cpu::of_a_million_updates),
    ("program", program::resident_memory),
    ("tls", program::static_thread_local_storage),
    ("idle", idle::wake_ups),
    ("compile", compile::cpu_seconds),
    ("flush", flush::of_busy_timings),
];

/// Prints all rows, or those with a name.
pub fn measure(only: Option<&str>) {
    report::title("Targets of memory and speed");
    let mut table = Table::new(&["row", "figure", "target", ""]);
    for (name, scores) in ROWS.into_iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        eprintln!("{name} …");
        for score in scores() {
            table.row(score.cells());
        }
    }
    table.print();
}

/// Whether there is a row with this name.
pub fn has(row: &str) -> bool {
    ROWS.iter().any(|(name, _)| *name == row)
}

/// The rows' names, for who asks for another.
pub fn names() -> String {
    ROWS.map(|(name, _)| name).join("|")
}
