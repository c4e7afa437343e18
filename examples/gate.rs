//! A database becomes busy and calm again, and then does not answer: a gate sheds jobs that can wait while it is busy,
//! admits a share of them, and says what it does while the load is unknown. A manual clock makes time pass at once.
//!
//! `cargo run --example gate --features testing`

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Admission, Client, Load};

/// The active sessions over the processors, or that the server did not answer. Each holds for eight seconds.
const LOADS: [Option<f64>; 5] = [Some(0.3), Some(1.2), Some(0.7), Some(0.2), None];

fn main() -> Result<(), Box<dyn Error>> {
    match run(&mut stdout()) {
        // A reader like `head` may stop early.
        Err(error) if is_closed(&*error) => Ok(()),
        ended => ended,
    }
}

fn run(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let (agent, clock) = (Capture::new(), ManualClock::new()); // stand in for an agent and for time
    let hour = Duration::from_secs(3600); // so that each counter is one line at the end
    let builder = Client::builder().capture(&agent).clock(&clock).telemetry(false);
    let guard = builder.flush_interval(hour).build()?;

    let database = Arc::new(Mutex::new(None));
    let measured = Arc::clone(&database);
    let gate = guard
        .client()
        .gate("orders")
        .class("within_5_minutes", Admission::below(1.5))
        .class("within_24_hours", Admission::below(0.8).reopen_below(0.6).passing(0.1).when_unknown(0.25))
        .measure(move || Load::of(*measured.lock().unwrap_or_else(PoisonError::into_inner)))?;
    // Registered once, where the worker starts.
    let (soon, nightly) = (gate.class("within_5_minutes"), gate.class("within_24_hours"));

    writeln!(
        out,
        "{:>8} {:>9} {:>9}   of 100 jobs each: within_5_minutes, within_24_hours",
        "measured", "smoothed", "state"
    )?;
    for load in LOADS {
        *database.lock().unwrap_or_else(PoisonError::into_inner) = load;
        for _ in 0..2 {
            for _ in 0..4 {
                clock.advance(Duration::from_secs(1));
            }
            let jobs = [&soon, &nightly].map(|class| (0..100).filter(|_| class.admits()).count());
            let [measured, smoothed] = [gate.load(), gate.status().smoothed()].map(shown);
            let state = format!("{:?}", nightly.state());
            writeln!(out, "{measured:>8} {smoothed:>9} {state:>9} {:>35} {:>16}", jobs[0], jobs[1])?;
        }
    }

    guard.client().flush(Duration::from_secs(1))?;
    writeln!(out, "\nWhat the agent has of it:")?;
    for line in agent.take_lines().iter().filter(|line| line.contains("decision:")) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

fn shown(load: Option<f64>) -> String {
    load.map_or_else(|| "–".to_owned(), |load| format!("{load:.2}"))
}

fn is_closed(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
