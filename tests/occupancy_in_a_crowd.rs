//! An occupancy that threads never leave alone is reported at every flush, and what is reported adds up to what was
//! held.
//!
//! Some seconds. The long form of the last test, with its figures:
//!
//! ```sh
//! TASKTAG_OCCUPANCY_SECONDS=120 cargo test --release --features testing --test occupancy_in_a_crowd -- --nocapture 20000_of_100000
//! ```

use std::env;
use std::hint;
use std::mem;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{Client, Occupancy};

const PATIENCE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const NEVER: Duration = Duration::from_secs(3600);

fn number(metrics: &[ParsedMetric], name: &str) -> Option<f64> {
    metrics.iter().find(|metric| metric.name == name).and_then(|metric| metric.value.number())
}

/// Ends the threads also when the test fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Flushes while `threads` acquire and release units, each of which is held for `work`, and between which nothing is
/// done.
fn assert_reported_at_every_flush(threads: u32, work: impl Fn() + Sync) {
    const FLUSHES: usize = 100;
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).flush_interval(NEVER).build().unwrap();
    let busy = guard.client().occupancy("busy", threads).register();
    let done = AtomicBool::new(false);
    let reports: Vec<_> = thread::scope(|scope| {
        let _stop = StopAtEnd(&done);
        for _ in 0..threads {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _unit = busy.acquire();
                    work();
                }
            });
        }
        let flush = || {
            guard.client().flush(PATIENCE).unwrap();
            let metrics = capture.take_metrics().unwrap();
            ["busy.in_use", "busy.in_use.max", "busy.utilization"].map(|name| number(&metrics, name))
        };
        (0..FLUSHES).map(|_| flush()).collect()
    });
    let silent = reports.iter().filter(|report| report.iter().any(Option::is_none)).count();
    assert_eq!(silent, 0, "of {FLUSHES} flushes: {reports:?}");
    for [in_use, max, utilization] in reports.iter().map(|report| report.map(Option::unwrap)) {
        assert!(0.0 <= in_use && in_use <= max && max <= f64::from(threads), "{in_use}, {max}");
        let most = max / f64::from(threads);
        assert!((0.0..=most).contains(&utilization), "{utilization} with {max} in use");
    }
    assert!(reports.iter().any(|[.., utilization]| *utilization > Some(0.0)));
}

#[test]
fn sixty_four_threads_that_do_nothing_else_are_reported_at_every_flush() {
    assert_reported_at_every_flush(64, || ());
}

#[test]
fn two_hundred_threads_with_units_of_microseconds_are_reported_at_every_flush() {
    assert_reported_at_every_flush(200, || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(5) {
            hint::spin_loop();
        }
    });
}

fn seconds() -> Duration {
    let seconds = env::var("TASKTAG_OCCUPANCY_SECONDS").ok();
    Duration::from_secs(seconds.map_or(3, |seconds| seconds.parse().expect("a number of seconds")))
}

/// What was reported of one occupancy.
struct Seen {
    utilization: RangeInclusive<f64>,
    sum: f64,
    reports: u32,
}

impl Seen {
    fn add(&mut self, utilization: f64) {
        self.utilization =
            self.utilization.start().min(utilization)..=self.utilization.end().max(utilization);
        self.sum += utilization;
        self.reports += 1;
    }

    fn average(&self) -> f64 {
        self.sum / f64::from(self.reports)
    }
}

#[test]
fn a_pool_with_20000_of_100000_in_use_averages_that_at_every_moment() {
    const CALLERS: usize = 3;
    const EACH: usize = 100;
    const CAPACITY: u32 = 100_000;
    const HELD: f64 = 0.2;
    const MOST: f64 = 0.203;
    let (capture, clock, done) = (Capture::new(), ManualClock::new(), AtomicBool::new(false));
    let guard = Client::builder()
        .capture(&capture)
        .clock(&clock)
        .telemetry(false)
        .flush_interval(SECOND)
        .build()
        .unwrap();
    let register = |n: usize| guard.client().occupancy("pool", CAPACITY).tag("n", &n.to_string()).register();
    let pools: Vec<Occupancy> = (0..50).map(register).collect();
    for pool in &pools {
        (0..20_000).for_each(|_| mem::forget(pool.acquire()));
    }
    let nothing = || Seen { utilization: 1.0..=0.0, sum: 0.0, reports: 0 };
    let mut seen: Vec<Seen> = pools.iter().map(|_| nothing()).collect();
    thread::scope(|scope| {
        let _stop = StopAtEnd(&done);
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for pool in &pools {
                        let units = [(); EACH].map(|()| pool.acquire());
                        drop(units);
                    }
                }
            });
        }
        let start = Instant::now();
        while start.elapsed() < seconds() {
            clock.advance(SECOND);
            for metric in capture.take_metrics().unwrap() {
                let value = metric.value.number().unwrap();
                if metric.name != "pool.utilization" {
                    assert!((20_000.0..=20_300.0).contains(&value), "{metric:?}");
                    continue;
                }
                let n = metric.tags.iter().find_map(|(key, value)| (key == "n").then_some(value)).unwrap();
                let seen = &mut seen[n.parse::<usize>().unwrap()];
                seen.add(value);
                assert!((0.0..=MOST).contains(&value), "{metric:?}");
                // An operation that its thread began some flushes ago counts against what is reported now, and not
                // twice.
                let average = seen.average();
                assert!((HELD - 1e-9..=MOST + 1e-9).contains(&average), "{average} after {metric:?}");
            }
        }
    });
    let reports: u32 = seen.iter().map(|seen| seen.reports).sum();
    assert!(seen.iter().all(|pool| pool.reports == seen[0].reports && pool.reports > 0));
    let lowest = seen.iter().map(|seen| *seen.utilization.start()).fold(1.0, f64::min);
    let highest = seen.iter().map(|seen| *seen.utilization.end()).fold(0.0, f64::max);
    println!("{reports} utilizations, from {lowest} to {highest}");
}
