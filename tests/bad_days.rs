//! Whatever happens to a client, its agent and what it is handed, every value that was accepted is sent or counted as
//! dropped, the agent got no more than was sent, and nothing twice.
//!
//! A day is a client that three threads use in every way that there is, while something goes wrong; its seed says what.
//! Days whose seeds follow each other have each fault with each transport. Five seconds of days are the default; ten
//! minutes are
//!
//! ```sh
//! TASKTAG_STRESS_SECONDS=600 cargo test --all-features --test bad_days -- --nocapture
//! ```
//!
//! A day that fails names its seed; `TASKTAG_STRESS_SEED` has the first day be that of a seed, and
//! `TASKTAG_STRESS_SECONDS=0` has it be the only one.

#![cfg(target_os = "linux")]

#[path = "bad_days/agent.rs"]
mod agent;
#[path = "bad_days/books.rs"]
mod books;
#[path = "bad_days/caller.rs"]
mod caller;
#[path = "bad_days/child.rs"]
mod child;
#[path = "bad_days/day.rs"]
mod day;
#[path = "bad_days/diary.rs"]
mod diary;
#[path = "bad_days/dice.rs"]
mod dice;
#[path = "bad_days/fault.rs"]
mod fault;
#[path = "bad_days/names.rs"]
mod names;
#[path = "bad_days/operation.rs"]
mod operation;
#[path = "bad_days/plan.rs"]
mod plan;
#[path = "bad_days/transport.rs"]
mod transport;
#[path = "bad_days/watched.rs"]
mod watched;
#[path = "bad_days/writer.rs"]
mod writer;

mod support;

use fault::Fault;
use std::panic::{catch_unwind, resume_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transport::Transport;

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

/// One that nobody chose.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Days a second apart are not the same ones.
    u64::try_from(since.as_micros()).unwrap_or_default() % 1_000_000_000_000
}

#[test]
fn nothing_that_happens_on_a_bad_day_loses_count() {
    let duration = Duration::from_secs(number_of("TASKTAG_STRESS_SECONDS").unwrap_or(5));
    let first = number_of("TASKTAG_STRESS_SEED").unwrap_or_else(fresh_seed);
    let pairs = Fault::everywhere(&Transport::available());
    println!("{} faults and transports, from seed {first}", pairs.len());
    let start = Instant::now();
    let (mut days, mut whole, mut all) = (0, 0, books::Books::default());
    for seed in first.. {
        let evening = catch_unwind(|| day::live(seed, &pairs)).unwrap_or_else(|panic| {
            eprintln!("TASKTAG_STRESS_SEED={seed} TASKTAG_STRESS_SECONDS=0 has this day again");
            resume_unwind(panic)
        });
        println!("{evening}");
        all.add(&evening.books);
        days += 1;
        whole += u64::from(evening.is_whole);
        if start.elapsed() >= duration {
            break;
        }
    }
    println!("{days} days, {whole} of them whole, {} operations", all.diary.operations);
    println!("accepted {:?}\nsent     {:?}\ndropped  {:?}", all.accepted, all.sent, all.dropped);
}
