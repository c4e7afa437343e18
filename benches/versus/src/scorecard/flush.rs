//! The time of a flush.

use super::child::numbers;
use super::reference::FLUSH_PER_FORMATTING;
use super::score::Score;
use crate::samples::Summary;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tasktag::testing::Capture;
use tasktag::{Client, Distribution};

const TIMINGS: usize = 10_000;
const ROUNDS: usize = 9;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longer than it takes, so that nothing flushes but what is told to.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Each value in a bucket of its own.
fn values() -> impl Iterator<Item = f64> {
    (0..20).map(|n| 1.4_f64.powi(n))
}

pub fn of_busy_timings() -> Vec<Score> {
    let told = numbers(&["--flush"]);
    let [flush, formatting] = [0, 1].map(|at| told.get(at).copied());
    let ratio = flush.zip(formatting).map(|(flush, formatting)| flush / formatting);
    vec![
        Score::plain("flush of 10,000 busy timings with 20 values each", flush, "ms"),
        Score::plain("… formatting their numbers alone", formatting, "ms"),
        Score::new("… relative to that", ratio, "×", 0.5 * FLUSH_PER_FORMATTING).note("1/2 of 0.1.0"),
    ]
}

/// The process that is measured: prints milliseconds of a flush, and of formatting its numbers.
pub fn child() {
    let capture = Capture::new();
    let builder = Client::builder().capture(&capture).telemetry(false).flush_interval(INTERVAL);
    let guard = builder.context_limit(20_000).metric_context_limit(20_000).build().expect("a client");
    let register = |n: usize| guard.client().timing("timing").tag("n", &n.to_string()).register();
    let timings: Vec<Distribution> = (0..TIMINGS).map(register).collect();
    let round = |_| {
        for timing in &timings {
            values().for_each(|value| timing.record(value));
        }
        drop(capture.take_packets());
        let flush = millis(|| guard.client().flush(TIMEOUT).expect("the worker answers"));
        (flush, millis(format_numbers))
    };
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(round).collect();
    let median = |values: Vec<f64>| Summary::of(values).map_or(f64::NAN, |summary| summary.median);
    println!("{}", median(rounds.iter().map(|(flush, _)| *flush).collect()));
    println!("{}", median(rounds.iter().map(|(_, formatting)| *formatting).collect()));
}

fn format_numbers() {
    let mut out = Vec::new();
    for _ in 0..TIMINGS {
        for value in values() {
            out.extend_from_slice(ryu::Buffer::new().format(black_box(value)).as_bytes());
        }
    }
    black_box(&out);
}

fn millis(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e3
}
