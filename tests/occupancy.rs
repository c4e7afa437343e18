//! An occupancy's utilization is exact: the time that units were in use, divided by the time there was for them.

use arbtest::arbitrary::{Result as Arbitrary, Unstructured};
use std::collections::HashMap;
use std::error::Error;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, Guard, Occupancy, Occupied, OwnedOccupied};

const PATIENCE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A client on a clock that is moved by hand, which flushes when it is told to.
fn quiet(capture: &Capture, clock: &ManualClock) -> ClientBuilder {
    let hour = Duration::from_secs(3600);
    Client::builder().capture(capture).clock(clock).flush_interval(hour).telemetry(false)
}

/// What the occupancy `workers` reports at a flush.
#[derive(Debug, PartialEq)]
struct Report {
    in_use: Option<f64>,
    max: Option<f64>,
    utilization: Option<f64>,
}

fn report(in_use: u32, max: u32, utilization: impl Into<Option<f64>>) -> Report {
    Report { in_use: Some(in_use.into()), max: Some(max.into()), utilization: utilization.into() }
}

fn flushed(guard: &Guard, capture: &Capture) -> Report {
    guard.client().flush(PATIENCE).unwrap();
    let metrics = capture.take_metrics().unwrap();
    let mut found: HashMap<_, _> = metrics
        .iter()
        .filter_map(|metric| metric.name.strip_prefix("workers.").zip(metric.value.number()))
        .collect();
    let mut take = |name| found.remove(name);
    let report = Report { in_use: take("in_use"), max: take("in_use.max"), utilization: take("utilization") };
    assert_eq!(found, HashMap::new(), "nothing else is reported, and nothing twice");
    assert!(metrics.iter().all(|metric| metric.code == "g"));
    report
}

#[derive(Debug)]
#[expect(dead_code, reason = "a unit is held, not read")]
enum Unit<'a> {
    Borrowed(Occupied<'a>),
    Owned(OwnedOccupied),
}

/// The same books in whole nanoseconds, kept the simple way: what passes is added up at every step.
struct Reference {
    capacity: u32,
    in_use: u32,
    max: u32,
    busy: u64,
    elapsed: u64,
}

impl Reference {
    fn pass(&mut self, nanos: u64) {
        self.busy += nanos * u64::from(self.in_use);
        self.elapsed += nanos;
    }

    fn set_in_use(&mut self, in_use: usize) {
        self.in_use = u32::try_from(in_use).unwrap();
        self.max = self.max.max(self.in_use);
    }

    fn flush(&mut self) -> Report {
        let room = self.elapsed * u64::from(self.capacity);
        let utilization = (room > 0).then(|| self.busy as f64 / room as f64);
        let report = report(self.in_use, self.max, utilization);
        (self.busy, self.elapsed, self.max) = (0, 0, self.in_use);
        report
    }
}

fn random_capacity(u: &mut Unstructured<'_>) -> Arbitrary<u32> {
    u.int_in_range(0..=20)
}

/// Any sequence of operations on one occupancy, and its reference beside it.
fn compare(u: &mut Unstructured<'_>) -> Arbitrary<()> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build().unwrap();
    // Up to 95 years, in whole intervals: the next flush of the grid comes after all that follows.
    clock.advance(Duration::from_secs(3600 * u.int_in_range(0..=833_333)?));
    let capacity = random_capacity(u)?;
    let occupancy = guard.client().occupancy("workers", capacity).register();
    let mut reference = Reference { capacity, in_use: 0, max: 0, busy: 0, elapsed: 0 };
    let mut units = Vec::new();
    for _ in 0..u.int_in_range(0..=60)? {
        match u.int_in_range(0..=8_u8)? {
            0 | 1 => units.push(Unit::Borrowed(occupancy.acquire())),
            2 => units.push(Unit::Owned(occupancy.acquire_owned())),
            3 | 4 if !units.is_empty() => drop(units.swap_remove(u.choose_index(units.len())?)),
            5 => {
                reference.capacity = random_capacity(u)?;
                occupancy.set_capacity(reference.capacity);
            }
            6 => assert_eq!(flushed(&guard, &capture), reference.flush()),
            _ => {
                let nanos = u.int_in_range(0..=30_000_000_000)?;
                clock.advance(Duration::from_nanos(nanos));
                reference.pass(nanos);
            }
        }
        reference.set_in_use(units.len());
    }
    assert_eq!(flushed(&guard, &capture), reference.flush());
    Ok(())
}

#[test]
fn any_sequence_of_operations_is_reported_exactly() {
    arbtest::arbtest(compare).size_min(256).budget_ms(2_000);
}

#[test]
fn two_units_of_four_for_half_the_time_are_a_quarter() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    let workers = guard.client().occupancy("workers", 4).register();
    let units = (workers.acquire(), workers.acquire());
    clock.advance(SECOND);
    drop(units);
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(0, 2, 0.25));
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(0, 0, 0.0), "the peak was of the last interval");
    Ok(())
}

#[test]
fn a_unit_held_for_a_microsecond_counts_for_a_microsecond() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    let workers = guard.client().occupancy("workers", 1).register();
    clock.advance(SECOND / 2);
    let unit = workers.acquire();
    clock.advance(Duration::from_micros(1));
    drop(unit);
    clock.advance(Duration::from_micros(499_999));
    assert_eq!(flushed(&guard, &capture), report(0, 1, 1e-6));
    Ok(())
}

#[test]
fn a_unit_is_given_back_in_a_panic() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    let workers = guard.client().occupancy("workers", 2).register();
    let panicked = catch_unwind(|| {
        let _units = (workers.acquire(), workers.acquire_owned());
        clock.advance(SECOND);
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(0, 2, 0.5));
    Ok(())
}

#[test]
fn an_owned_unit_moves_to_another_thread() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    let workers = guard.client().occupancy("workers", 1).register();
    let (release, released) = mpsc::channel();
    let unit = workers.acquire_owned();
    let holder = thread::spawn(move || {
        let _unit = unit;
        released.recv()
    });
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(1, 1, 1.0));
    release.send(())?;
    holder.join().unwrap()?;
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(0, 1, 0.0));
    Ok(())
}

#[test]
fn the_first_interval_begins_at_the_registration() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    clock.advance(Duration::from_secs(1000));
    let workers = guard.client().occupancy("workers", 1).register();
    let unit = workers.acquire();
    clock.advance(SECOND);
    drop(unit);
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(0, 1, 0.5));
    Ok(())
}

#[test]
fn without_a_capacity_there_is_no_utilization() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    let workers = guard.client().occupancy("workers", 0).register();
    let unit = workers.acquire();
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(1, 1, None));
    workers.set_capacity(2);
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(1, 1, 0.5));
    drop(unit);
    Ok(())
}

#[test]
fn more_units_than_the_capacity_are_more_than_all_of_it() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    let workers = guard.client().occupancy("workers", 2).register();
    let units: Vec<_> = (0..5).map(|_| workers.acquire()).collect();
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(5, 5, 2.5));
    drop(units);
    Ok(())
}

#[test]
fn clones_and_registrations_of_the_same_name_share_their_units() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    let first = guard.client().occupancy("workers", 2).register();
    let clone = first.clone();
    // The capacity is the one that was asked for last.
    let second = guard.client().occupancy("workers", 3).register();
    let units = (first.acquire(), clone.acquire(), second.acquire());
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(3, 3, 1.0));
    drop(units);
    Ok(())
}

#[test]
fn it_is_reported_while_a_handle_or_a_unit_is_held() -> Result<(), Box<dyn Error>> {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = quiet(&capture, &clock).build()?;
    let workers = guard.client().occupancy("workers", 1).register();
    let unit = workers.acquire_owned();
    drop(workers);
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), report(1, 1, 1.0));
    drop(unit);
    flushed(&guard, &capture);
    clock.advance(SECOND);
    assert_eq!(flushed(&guard, &capture), Report { in_use: None, max: None, utilization: None });
    assert_eq!(guard.client().stats().contexts, 0);
    Ok(())
}

fn work(workers: &Occupancy, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        drop(workers.acquire());
        drop(workers.acquire_owned());
    }
}

#[test]
fn threads_that_never_hold_more_than_the_capacity_are_never_reported_over_it() -> Result<(), Box<dyn Error>> {
    const THREADS: u32 = 4;
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).build()?;
    let workers = guard.client().occupancy("workers", THREADS).register();
    let done = AtomicBool::new(false);
    let reports: Vec<Report> = thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| work(&workers, &done));
        }
        let reports = (0..5_000).map(|_| flushed(&guard, &capture)).collect();
        done.store(true, Ordering::Relaxed);
        reports
    });
    let over = |report: &&Report| {
        let within = 0.0..=f64::from(THREADS);
        let most = report.max.filter(|max| !within.contains(max));
        let least = report.in_use.filter(|in_use| !within.contains(in_use));
        most.or(least).or(report.utilization.filter(|share| !(0.0..=1.0).contains(share))).is_some()
    };
    assert_eq!(reports.iter().find(over), None);
    assert!(reports.iter().any(|report| report.utilization > Some(0.0)));
    flushed(&guard, &capture);
    let last = flushed(&guard, &capture);
    assert_eq!((last.in_use, last.max), (Some(0.0), Some(0.0)));
    Ok(())
}
