//! What a flush costs the worker, beside formatting the same numbers alone.
//!
//! `cargo bench --bench flush --features testing`. A row's argument is the number of contexts.

use divan::{Bencher, black_box};
use std::io::Write;
use std::net::UdpSocket;
use std::time::Duration;
use tasktag::testing::Capture;
use tasktag::{Client, ClientBuilder, Counter, Distribution, Gauge, Guard};

const TIMEOUT: Duration = Duration::from_secs(10);
const CONTEXTS: [usize; 2] = [1_000, 10_000];

fn start(builder: ClientBuilder) -> Guard {
    let builder = builder
        .telemetry(false)
        .prefix("bench")
        .tag("service", "shop")
        .context_limit(200_000)
        .metric_context_limit(200_000);
    builder.flush_interval(Duration::from_secs(3600)).build().expect("a client")
}

fn in_memory() -> (Guard, Capture) {
    let capture = Capture::new();
    (start(Client::builder().capture(&capture)), capture)
}

fn gauges(guard: &Guard, count: usize) -> Vec<Gauge> {
    let register = |n: usize| guard.client().gauge("gauge").tag("n", &n.to_string()).register();
    (0..count).map(register).collect()
}

fn counters(guard: &Guard, count: usize) -> Vec<Counter> {
    let register = |n: usize| guard.client().counter("counter").tag("n", &n.to_string()).register();
    (0..count).map(register).collect()
}

fn level(n: usize) -> f64 {
    n as f64 / 7.0
}

fn flush(guard: &Guard) {
    guard.client().flush(TIMEOUT).expect("the worker answers");
}

/// The floor: nothing but the numbers.
#[divan::bench(args = CONTEXTS)]
fn numbers_alone(bencher: Bencher, contexts: usize) {
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        for n in 0..contexts {
            out.extend_from_slice(ryu::Buffer::new().format(black_box(level(n))).as_bytes());
        }
        black_box(&out);
    });
}

/// Another floor: whole lines with `write!`.
#[divan::bench(args = CONTEXTS)]
fn lines_with_std(bencher: Bencher, contexts: usize) {
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        for n in 0..contexts {
            let value = black_box(level(n));
            writeln!(out, "bench.gauge:{value}|g|#n:{n},service:shop,task_id:0042").expect("memory");
        }
        black_box(&out);
    });
}

#[divan::bench(args = CONTEXTS)]
fn gauges_to_memory(bencher: Bencher, contexts: usize) {
    let (guard, capture) = in_memory();
    let gauges = gauges(&guard, contexts);
    gauges.iter().enumerate().for_each(|(n, gauge)| gauge.set(level(n)));
    bencher.with_inputs(|| drop(capture.take_packets())).bench_local_refs(|()| flush(&guard));
}

#[divan::bench(args = CONTEXTS)]
fn gauges_over_udp(bencher: Bencher, contexts: usize) {
    // Read by nobody: the kernel takes the packets and drops them when the socket's buffer is full.
    let agent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = format!("udp://{}", agent.local_addr().expect("bound"));
    let guard = start(Client::builder().agent(address));
    let gauges = gauges(&guard, contexts);
    gauges.iter().enumerate().for_each(|(n, gauge)| gauge.set(level(n)));
    bencher.bench_local(|| flush(&guard));
}

#[divan::bench(args = CONTEXTS)]
fn busy_counters(bencher: Bencher, contexts: usize) {
    let (guard, capture) = in_memory();
    let counters = counters(&guard, contexts);
    let inputs = || {
        drop(capture.take_packets());
        for counter in &counters {
            counter.increment(3);
        }
    };
    bencher.with_inputs(inputs).bench_local_refs(|()| flush(&guard));
}

#[divan::bench(args = [100_000])]
fn idle_counters(bencher: Bencher, contexts: usize) {
    let (guard, _capture) = in_memory();
    let _counters = counters(&guard, contexts);
    bencher.bench_local(|| flush(&guard));
}

/// Each with 400 values in about as many buckets.
#[divan::bench(args = [20, 200])]
fn timings(bencher: Bencher, contexts: usize) {
    timings_with(bencher, contexts, || (0..400).map(|n| 1.01_f64.powi(n)));
}

#[divan::bench(args = CONTEXTS)]
fn timings_of_20_values(bencher: Bencher, contexts: usize) {
    timings_with(bencher, contexts, || (0..20).map(|n| 1.4_f64.powi(n)));
}

fn timings_with<V: Iterator<Item = f64>>(bencher: Bencher, contexts: usize, values: impl Fn() -> V + Sync) {
    let (guard, capture) = in_memory();
    let register = |n: usize| guard.client().timing("timing").tag("n", &n.to_string()).register();
    let timings: Vec<Distribution> = (0..contexts).map(register).collect();
    let inputs = || {
        drop(capture.take_packets());
        for timing in &timings {
            values().for_each(|value| timing.record(value));
        }
    };
    bencher.with_inputs(inputs).bench_local_refs(|()| flush(&guard));
}

fn main() {
    divan::main();
}
