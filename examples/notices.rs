//! Shows what a program's log contains when the agent goes away and comes back. A manual clock makes time pass at once.
//!
//! `cargo run --example notices --features log,testing`

use log::{LevelFilter, Log, Metadata, Record};
use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;
use tasktag::Client;
use tasktag::testing::{Capture, ManualClock};

/// Stands in for `env_logger` or any other logger.
struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let _ = writeln!(stdout(), "{} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    log::set_logger(&Logger).map_err(|error| error.to_string())?;
    log::set_max_level(LevelFilter::Info);
    let (agent, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder()
        .capture(&agent)
        .clock(&clock)
        .on_loss(tasktag::integrations::log::notice) // all that a program adds
        .build()?;
    let jobs = guard.client().counter("jobs.done").register();
    for minute in 0..6 {
        let is_away = (1..4).contains(&minute);
        agent.set_away(is_away);
        writeln!(
            stdout(),
            "minute {minute}: the agent is {}",
            if is_away { "unreachable" } else { "reachable" }
        )?;
        for _ in 0..30 {
            jobs.increment(1);
            clock.advance(Duration::from_secs(2));
        }
    }
    drop(guard);
    Ok(())
}
