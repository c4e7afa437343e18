//! The oldest of an occupancy is the age of the unit that has been in use for the longest time, exact for up to 128
//! units.

mod support;

use arbtest::arbitrary::{Result as Arbitrary, Unstructured};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{Client, Guard, Occupancy, OwnedOccupied};

/// The number of units whose ages are known.
const KNOWN: usize = 128;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn started() -> (Guard, Capture, ManualClock) {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = support::builder().capture(&capture).clock(&clock).build().unwrap();
    (guard, capture, clock)
}

fn jobs(guard: &Guard) -> Occupancy {
    guard.client().occupancy("jobs", 0).oldest().register()
}

fn flushed(guard: &Guard, capture: &Capture) -> Vec<ParsedMetric> {
    guard.client().flush(PATIENCE).unwrap();
    capture.take_metrics().unwrap()
}

fn text(guard: &Guard, capture: &Capture) -> String {
    guard.client().flush(PATIENCE).unwrap();
    String::from_utf8(capture.take_packets().concat()).unwrap()
}

fn value(metrics: &[ParsedMetric], name: &str) -> Option<f64> {
    let mut found = metrics.iter().filter(|metric| metric.name == name);
    let value = found.next().and_then(|metric| metric.value.number());
    assert!(found.next().is_none(), "{name} is reported once");
    value
}

/// What `jobs.oldest_seconds` says at a flush.
fn oldest(guard: &Guard, capture: &Capture) -> Option<f64> {
    value(&flushed(guard, capture), "jobs.oldest_seconds")
}

#[test]
fn it_is_a_gauge_beside_the_others() {
    let (guard, capture, clock) = started();
    let jobs = guard.client().occupancy("jobs", 4).tag("queue", "mail").oldest().register();
    let unit = jobs.acquire();
    clock.advance(Duration::from_millis(1500));
    assert_eq!(
        text(&guard, &capture),
        "jobs.in_use:1|g|#queue:mail,task_id:0042\njobs.in_use.max:1|g|#queue:mail,task_id:0042\n\
         jobs.utilization:0.25|g|#queue:mail,task_id:0042\njobs.oldest_seconds:1.5|g|#queue:mail,task_id:0042\n"
    );
    drop(unit);
}

#[test]
fn only_an_occupancy_that_was_asked_for_it_reports_it() {
    let (guard, capture, clock) = started();
    let jobs = guard.client().occupancy("jobs", 0).register();
    let unit = jobs.acquire();
    clock.advance(seconds(1));
    assert_eq!(text(&guard, &capture), "jobs.in_use:1|g|#task_id:0042\njobs.in_use.max:1|g|#task_id:0042\n");
    assert_eq!(jobs.untracked(), 0);
    drop(unit);
}

#[test]
fn of_many_units_it_is_the_age_of_the_one_that_is_held_longest_and_then_of_the_next() {
    let (guard, capture, clock) = started();
    let jobs = jobs(&guard);
    let mut units = Vec::new();
    for _ in 0..10 {
        units.push(jobs.acquire());
        clock.advance(seconds(1));
    }
    // One from the middle makes no difference.
    drop(units.remove(5));
    for expected in [10.0, 9.0, 8.0, 7.0, 6.0, 4.0, 3.0, 2.0, 1.0] {
        assert_eq!(oldest(&guard, &capture), Some(expected));
        drop(units.remove(0));
    }
}

#[test]
fn it_is_0_while_nothing_is_held() {
    let (guard, capture, clock) = started();
    let jobs = jobs(&guard);
    clock.advance(seconds(5));
    assert_eq!(oldest(&guard, &capture), Some(0.0));
    let unit = jobs.acquire();
    clock.advance(seconds(5));
    drop(unit);
    clock.advance(seconds(5));
    assert_eq!(oldest(&guard, &capture), Some(0.0));
}

#[test]
fn a_unit_that_leaks_stays_the_oldest_however_many_come_after_it() {
    let (guard, capture, clock) = started();
    let jobs = jobs(&guard);
    std::mem::forget(jobs.acquire());
    for _ in 0..10 * KNOWN {
        let crowd = [jobs.acquire(), jobs.acquire(), jobs.acquire()];
        clock.advance(Duration::from_millis(125));
        drop(crowd);
    }
    assert_eq!(oldest(&guard, &capture), Some(160.0));
    assert_eq!(jobs.untracked(), 0);
}

#[test]
fn a_unit_may_be_given_back_on_another_thread_or_in_a_panic() {
    let (guard, capture, clock) = started();
    let jobs = jobs(&guard);
    let moved = jobs.acquire_owned();
    clock.advance(seconds(1));
    let panicked = catch_unwind(|| {
        let _units = (jobs.acquire(), jobs.acquire_owned());
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    let last = jobs.acquire();
    clock.advance(seconds(1));
    assert_eq!(oldest(&guard, &capture), Some(2.0));
    thread::spawn(move || drop(moved)).join().unwrap();
    assert_eq!(oldest(&guard, &capture), Some(1.0), "those of the panic are given back too");
    drop(last);
    assert_eq!(oldest(&guard, &capture), Some(0.0));
}

#[test]
fn every_member_of_a_family_has_its_own() {
    tasktag::tags! {
        enum Queue: "queue" { Mail, Reports }
    }
    let (guard, capture, clock) = started();
    let closed = guard.client().occupancy("jobs", 0).oldest().register_family::<Queue>();
    let bounded = guard.client().occupancy("requests", 0).oldest().bounded("route", 1).register();
    let mut units = Vec::<OwnedOccupied>::new();
    for occupancy in [closed.at(Queue::Reports), bounded.at("/cart"), bounded.at("/pay")] {
        units.push(occupancy.acquire_owned());
        clock.advance(seconds(1));
    }
    let metrics = flushed(&guard, &capture);
    let of = |name: &str, key: &str, tag: &str| {
        let found: Vec<_> = metrics.iter().filter(|metric| metric.name == name).collect();
        assert_eq!(found.len(), 2);
        found.iter().find(|metric| metric.tag(key) == Some(tag)).and_then(|metric| metric.value.number())
    };
    let jobs = ["mail", "reports"].map(|queue| of("jobs.oldest_seconds", "queue", queue));
    assert_eq!(jobs, [Some(0.0), Some(3.0)]);
    let requests = ["/cart", "other"].map(|route| of("requests.oldest_seconds", "route", route));
    assert_eq!(requests, [Some(2.0), Some(1.0)]);
}

#[test]
fn units_beyond_128_are_counted_and_the_age_is_that_of_the_oldest_of_the_others() {
    let (guard, capture, clock) = started();
    let jobs = jobs(&guard);
    let mut known: Vec<_> = (0..KNOWN).map(|_| jobs.acquire()).collect();
    clock.advance(seconds(1));
    let further: Vec<_> = (0..3).map(|_| jobs.acquire_owned()).collect();
    clock.advance(seconds(1));
    assert_eq!((jobs.untracked(), oldest(&guard, &capture)), (3, Some(2.0)));
    // A place that is free again is another unit's.
    known.pop();
    let last = jobs.acquire();
    known.clear();
    clock.advance(seconds(1));
    assert_eq!((jobs.untracked(), oldest(&guard, &capture)), (3, Some(1.0)), "those of 2 s are not known");
    drop(further);
    assert_eq!((jobs.untracked(), oldest(&guard, &capture)), (0, Some(1.0)));
    drop(last);
    let metrics = flushed(&guard, &capture);
    let names = ["jobs.in_use", "jobs.oldest_seconds"];
    assert_eq!(names.map(|name| value(&metrics, name)), [Some(0.0), Some(0.0)]);
}

#[test]
fn the_peak_is_the_same_as_without_it() {
    let (guard, capture, clock) = started();
    let jobs = jobs(&guard);
    let peak = || value(&flushed(&guard, &capture), "jobs.in_use.max");
    let first = jobs.acquire();
    drop([jobs.acquire(), jobs.acquire(), jobs.acquire()]);
    clock.advance(seconds(1));
    assert_eq!([peak(), peak()], [Some(4.0), Some(1.0)], "each is of its own interval");
    drop([jobs.acquire(), jobs.acquire()]);
    drop(first);
    assert_eq!([peak(), peak(), peak()], [Some(3.0), Some(0.0), Some(0.0)]);
}

#[test]
fn an_occupancy_that_is_in_use_already_may_be_asked_for_it() {
    let (guard, capture, clock) = started();
    let early = guard.client().occupancy("jobs", 0).register();
    let before = (early.acquire(), early.acquire());
    clock.advance(seconds(1));
    assert_eq!(oldest(&guard, &capture), None);
    drop([early.acquire(), early.acquire()]);
    let late = jobs(&guard);
    // It is above neither the peak so far nor what is in use.
    drop(before.1);
    let after = early.acquire();
    clock.advance(seconds(2));
    let metrics = flushed(&guard, &capture);
    assert_eq!(value(&metrics, "jobs.in_use.max"), Some(4.0), "the peak is that of the whole interval");
    assert_eq!(value(&metrics, "jobs.oldest_seconds"), Some(2.0), "the age is of those that came after");
    drop((before.0, after));
    let metrics = flushed(&guard, &capture);
    let names = ["jobs.in_use", "jobs.oldest_seconds"];
    assert_eq!(names.map(|name| value(&metrics, name)), [Some(0.0), Some(0.0)]);
    drop(late);
}

#[test]
fn what_a_holder_holds_has_its_age_there_alone() {
    let (guard, capture, clock) = started();
    let client = guard.client();
    let checkout = client.holders("primary", 1).of("checkout");
    let tags = [("pool", "primary"), ("holder", "checkout")];
    let held = client.occupancy("pool.held", 0).tags(&tags).oldest().register();
    // More than there is room for.
    (0..2 * KNOWN).for_each(|_| drop(checkout.hold(())));
    let _hold = checkout.hold(());
    clock.advance(seconds(3600));
    let metrics = flushed(&guard, &capture);
    let of = |name: &str| {
        let found =
            metrics.iter().find(|metric| metric.name == name && metric.tag("holder") == Some("checkout"));
        found.and_then(|metric| metric.value.number())
    };
    let names =
        ["pool.oldest_hold_seconds", "pool.held.oldest_seconds", "pool.held.in_use", "pool.held.in_use.max"];
    assert_eq!(names.map(of), [Some(3600.0), Some(0.0), Some(1.0), Some(1.0)]);
    assert_eq!(held.untracked(), 0);
}

#[test]
fn a_disabled_client_reports_none() {
    let jobs = Client::disabled().occupancy("jobs", 0).oldest().register();
    let units: Vec<_> = (0..2 * KNOWN).map(|_| jobs.acquire()).collect();
    drop(units);
    assert_eq!((jobs.untracked(), Occupancy::default().untracked()), (0, 0));
}

/// Any sequence of acquiring, giving back and waiting, beside a list of the same units.
fn compare(u: &mut Unstructured<'_>) -> Arbitrary<()> {
    let (guard, capture, clock) = started();
    let jobs = jobs(&guard);
    let mut now = 0;
    let mut units = Vec::new();
    for _ in 0..u.int_in_range(0..=40)? {
        match u.int_in_range(0..=4_u8)? {
            0 | 1 => {
                let count = u.int_in_range(1..=20)?;
                let room = KNOWN - units.len();
                units.extend((0..count.min(room)).map(|_| (now, jobs.acquire_owned())));
            }
            2 if !units.is_empty() => drop(units.swap_remove(u.choose_index(units.len())?)),
            3 if !units.is_empty() => {
                let kept = u.choose_index(units.len())?;
                units.truncate(kept);
            }
            _ => {
                let nanos = u.int_in_range(0..=30_000_000_000)?;
                clock.advance(Duration::from_nanos(nanos));
                now += nanos;
            }
        }
        let age = units.iter().map(|(since, _)| now - since).max().unwrap_or(0);
        assert_eq!(oldest(&guard, &capture), Some(Duration::from_nanos(age).as_secs_f64()));
        assert_eq!(jobs.untracked(), 0);
    }
    Ok(())
}

#[test]
fn it_is_exact_in_any_sequence_of_up_to_128_units() {
    arbtest::arbtest(compare).size_min(256).budget_ms(2_000);
}

#[test]
fn threads_that_come_and_go_neither_hide_nor_make_an_old_unit() {
    const THREADS: usize = 4;
    let (guard, capture, clock) = started();
    let jobs = jobs(&guard);
    let unit = jobs.acquire();
    clock.advance(seconds(100));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    drop([(); 8].map(|()| jobs.acquire()));
                    drop([(); 3].map(|()| jobs.acquire_owned()));
                }
            });
        }
        for _ in 0..1_000 {
            assert_eq!(oldest(&guard, &capture), Some(100.0));
            assert_eq!(jobs.untracked(), 0);
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(unit);
    clock.advance(seconds(100));
    assert_eq!(oldest(&guard, &capture), Some(0.0));
}
