//! What a context takes of memory, in bytes that are asked of the allocator.

#[path = "support/memory.rs"]
mod memory;

use memory::allocated;
use std::net::UdpSocket;
use std::time::Duration;
use tasktag::{Client, Counter, Distribution, Gauge, Occupancy};

const CONTEXTS: usize = 1000;
/// A word of a counter for each of up to 64 threads, as on a machine with 32 processors.
const WORDS: usize = 64 * 8;

/// The bytes of each of many contexts after two flushes. There are some already, so that nothing counts that is made
/// once.
fn bytes_of<T>(client: &Client, make: impl Fn(&str) -> T) -> usize {
    let flush = || client.flush(Duration::from_secs(60)).unwrap();
    let values: Vec<String> = (0..2 * CONTEXTS).map(|n| format!("{n:06}")).collect();
    let (early, late) = values.split_at(CONTEXTS);
    let _early: Vec<T> = early.iter().map(|value| make(value)).collect();
    flush();
    let mut handles = Vec::with_capacity(CONTEXTS);
    let before = allocated();
    handles.extend(late.iter().map(|value| make(value)));
    flush();
    flush();
    (allocated() - before) / CONTEXTS
}

#[test]
fn a_context_takes_no_more_than_the_guide_says() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let never = Duration::from_secs(3600);
    let builder = Client::builder().agent(format!("udp://{}", agent.local_addr().unwrap())).telemetry(false);
    let builder = builder.context_limit(10_000).metric_context_limit(10_000);
    let guard = builder.flush_interval(never).collect_interval(never).build().unwrap();
    let client = guard.client();
    let gauge = bytes_of(client, |value| {
        let gauge: Gauge = client.gauge("level").tag("worker", value).register();
        gauge.set(1.0);
        gauge
    });
    let counter = bytes_of(client, |value| {
        let counter: Counter = client.counter("done").tag("worker", value).register();
        counter.increment(1);
        counter
    });
    let timing = bytes_of(client, |value| {
        let timing: Distribution = client.timing("took").tag("worker", value).register();
        timing.record(12.5);
        timing
    });
    let occupancy = bytes_of(client, |value| -> Occupancy {
        client.occupancy("workers", 4).tag("worker", value).register()
    });
    let with_oldest = bytes_of(client, |value| -> Occupancy {
        client.occupancy("jobs", 4).tag("worker", value).oldest().register()
    });
    assert!(gauge <= 400, "{gauge}");
    assert!(occupancy <= 512, "{occupancy}");
    // The starts of its holds take 1040 bytes.
    assert!(with_oldest <= 512 + 1040 + 64, "{with_oldest}");
    assert!(counter <= 400 + WORDS, "{counter}");
    // Its smallest table takes 512 bytes.
    assert!(timing <= 512 + 512 + 128, "{timing}");
}
