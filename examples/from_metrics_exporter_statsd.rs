//! A service that moves from metrics-exporter-statsd to tasktag in two steps. The call sites stay the same.
//!
//! `cargo run --example from_metrics_exporter_statsd --features metrics,metrics-exporter-statsd`

use metrics_exporter_statsd::StatsdBuilder;
use std::error::Error;
use std::net::UdpSocket;
use std::time::Duration;
use tasktag::Client;
use tasktag::integrations::metrics::{HistogramKind, Recorder};
use tasktag::integrations::metrics_exporter_statsd::StatsdBuilderExt;

/// The existing call sites, which stay.
fn serve() {
    let busy = metrics::gauge!("pool.busy");
    for request in 0..60 {
        metrics::counter!("requests", "route" => "cart").increment(1);
        metrics::histogram!("query").record(f64::from(10 + request % 3));
        busy.set(f64::from(request % 10));
    }
    busy.increment(5.0);
}

/// Plays the agent: returns what arrived within the last moments.
fn show(title: &str, agent: &UdpSocket) {
    let (mut buffer, mut lines) = ([0; 8192], Vec::new());
    while let Ok(len) = agent.recv(&mut buffer) {
        lines.extend(String::from_utf8_lossy(&buffer[..len]).lines().map(str::to_owned));
    }
    println!("{title}: {} lines", lines.len());
    lines.iter().take(4).for_each(|line| println!("  {line}"));
}

fn main() -> Result<(), Box<dyn Error>> {
    let agent = UdpSocket::bind("127.0.0.1:0")?;
    agent.set_read_timeout(Some(Duration::from_millis(200)))?;
    let address = agent.local_addr()?;

    // Before: one line per call, and the last lines wait until their packet is full.
    let recorder = StatsdBuilder::from("127.0.0.1", address.port()).build(Some("shop"))?;
    metrics::with_local_recorder(&recorder, serve);
    show("before", &agent);

    // Step one: one more call in the set-up.
    let client = || Client::builder().agent(format!("udp://{address}")).telemetry(false);
    let guard = client().build()?;
    let recorder = StatsdBuilder::from("", 0).with_client(guard.client()).build(Some("shop"))?;
    metrics::with_local_recorder(&recorder, serve);
    drop(guard); // the end of the service flushes, and so does the timer
    show("step one", &agent);

    // Step two: without metrics-exporter-statsd, which lost increments of the gauge. The client has the prefix.
    let guard = client().prefix("shop").build()?;
    let recorder = Recorder::new(guard.client()).histograms_as(HistogramKind::Histogram); // as they were
    metrics::with_local_recorder(&recorder, serve); // in a service: `recorder.install()?`
    drop(guard);
    show("step two", &agent);
    Ok(())
}
