//! A service that is instrumented with cadence, before and after it moves to tasktag. The call sites stay the same.
//!
//! `cargo run --example cadence --features cadence,testing`

use cadence::prelude::*;
use cadence::{SpyMetricSink, StatsdClient};
use std::error::Error;
use std::time::Duration;
use tasktag::Client;
use tasktag::integrations::cadence::{CadenceSink, TaskIdExt};
use tasktag::testing::Capture;

/// The existing call sites, which stay.
fn serve(statsd: &StatsdClient) {
    for request in 0..1000_u64 {
        statsd.count_with_tags("requests", 1).with_tag("route", "cart").send();
        statsd.gauge("pool.busy", request % 10).ok();
        statsd.time("query", 10 + request % 3).ok();
    }
    statsd.gauge("pool.utilization", f64::NAN).ok(); // 0 of 0
}

fn main() -> Result<(), Box<dyn Error>> {
    // One of cadence's own sinks, which writes a line per call. The extension adds the task id.
    let (lines, sink) = SpyMetricSink::new();
    let statsd = StatsdClient::builder("shop", sink).with_task_id().build();
    serve(&statsd);
    let before: Vec<Vec<u8>> = lines.try_iter().collect();
    println!("before, {} lines:", before.len());
    for line in before.iter().take(3).chain(before.last()) {
        println!("  {}", String::from_utf8_lossy(line));
    }

    // Only the sink changes. A real service leaves `capture` out and sets its agent's address.
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).from_env().build()?;
    let statsd = StatsdClient::from_sink("shop", CadenceSink::new(guard.client()));
    serve(&statsd);
    statsd.flush()?; // or the timer, every 2 s
    println!("after, all of it:");
    for line in capture.take_lines() {
        println!("  {line}");
    }
    println!("{}", guard.client().stats());
    assert_eq!(guard.client().stats().unset_gauges, 1);
    guard.shutdown(Duration::from_secs(1))?;
    Ok(())
}
