//! A program that is instrumented with the `metrics` facade and reports through tasktag.
//!
//! `cargo run --example metrics --features metrics,testing`

use metrics::{counter, gauge, histogram};
use std::thread;
use std::time::Duration;
use tasktag::Client;
use tasktag::integrations::metrics::Recorder;
use tasktag::testing::Capture;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An agent in memory. A real program leaves this out, or calls `.agent("udp://127.0.0.1:8125")`.
    let agent = Capture::new();

    // The set-up, which is the only change.
    let guard = Client::builder().prefix("shop").capture(&agent).metric_context_limit(3).build()?;
    Recorder::new(guard.client()).install()?;

    // The existing call sites.
    thread::scope(|scope| {
        for queue in ["mail", "billing"] {
            scope.spawn(move || {
                let done = counter!("jobs.done", "queue" => queue); // a handle, for a hot loop
                for job in 0..1000_u16 {
                    gauge!("jobs.in_flight").increment(1.0);
                    histogram!("job.took_ms", "queue" => queue).record(f64::from(job % 50) / 10.0);
                    gauge!("jobs.in_flight").decrement(1.0);
                    done.increment(1);
                }
            });
        }
    });
    // Set to the system's own count: the growth is sent.
    for bytes in [5_000_000, 5_001_500, 5_004_000] {
        counter!("bytes.received").absolute(bytes);
    }
    // A tag of user ids: values beyond the limit are folded, and nothing is lost.
    for user in 0..100 {
        counter!("logins", "user" => user.to_string()).increment(1);
    }
    gauge!("cache.fill").set(f64::NAN);

    guard.client().flush(Duration::from_secs(1))?;
    for line in agent.take_lines().iter().filter(|line| !line.contains("job.took_ms")) {
        println!("{line}");
    }
    let stats = guard.client().stats();
    println!("accepted {}, sent {}", stats.accepted.values, stats.sent.values);
    println!(
        "folded {}, refused (not a number) {}",
        stats.folded_registrations,
        stats.dropped_total().values
    );
    Ok(())
}
