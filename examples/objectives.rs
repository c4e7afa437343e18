//! A week of a shop's promises in a second, on a clock that is moved by hand: payments within 250 ms, and a queue that is
//! fast enough. There is an outage of three minutes on the third day.
//!
//! `cargo run --example objectives --features testing`

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Objective, Target};

const MINUTE: Duration = Duration::from_secs(60);
const OUTAGE: std::ops::Range<u64> = 3200..3203;
const WEEK: u64 = 7 * 24 * 60;

/// What the shop does in a minute: a hundred payments, of which none succeeds while it is out of order.
fn sell(checkout: &Objective, minute: u64) {
    for payment in 0..100 {
        if OUTAGE.contains(&minute) {
            checkout.record_outcome(false); // bad, however fast it failed
        } else {
            checkout.record(Duration::from_millis(if payment == 7 && minute.is_multiple_of(50) {
                400
            } else {
                180
            }));
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (agent, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder()
        .capture(&agent)
        .clock(&clock)
        .collect_interval(MINUTE)
        .flush_interval(60 * MINUTE)
        .telemetry(false)
        .build()?;
    let client = guard.client();

    let target = Target::within(Duration::from_millis(250));
    let checkout = client.objective("checkout", target, 0.999).period_days(7).slice(MINUTE).register()?;
    let queue = client.time_objective("queue", 0.999).period_days(7).slice(MINUTE).register()?;
    let mut pages = 0;

    // A week and an hour: nobody saw all of the first hour.
    for minute in 0..WEEK + 60 {
        sell(&checkout, minute);
        queue.see(!OUTAGE.contains(&minute));
        clock.advance(MINUTE);
        if minute == OUTAGE.end || minute == OUTAGE.end + 60 {
            client.flush(MINUTE)?;
            let lines = agent.take_lines();
            for line in
                lines.iter().filter(|line| line.contains("window:1h") || line.contains("severity:page"))
            {
                pages += u32::from(line.starts_with("slo.alert:1|"));
                writeln!(stdout(), "minute {minute}: {line}")?;
            }
        }
    }
    writeln!(stdout(), "pages: {pages}")?;
    writeln!(stdout(), "the queue, {}", queue.slices())?;

    let _hourly = agent.take_lines();
    client.flush(MINUTE)?;
    for line in agent.take_lines().iter().filter(|line| line.contains("slo.budget_left")) {
        writeln!(stdout(), "{line}")?;
    }
    Ok(())
}
