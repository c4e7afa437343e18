//! A forked child ranks a tag's values for itself, whatever its parent was at.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::PATIENCE;
use support::fork::holds_in_child;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Counter, FrequentFamily, Guard};

const HALF_LIFE: Duration = Duration::from_secs(60);

fn ranked(limit: usize) -> (Capture, ManualClock, Guard, FrequentFamily<Counter>) {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = Client::builder().capture(&capture).clock(&clock).telemetry(false).build().unwrap();
    let requests =
        guard.client().counter("ranked").bounded("route", limit).most_frequent(HALF_LIFE).register();
    (capture, clock, guard, requests)
}

fn call(requests: &FrequentFamily<Counter>, calls: &[(&str, usize)]) {
    for &(route, times) in calls {
        (0..times).for_each(|_| requests.at(route).increment(1));
    }
}

fn sums(capture: &Capture, guard: &Guard) -> BTreeMap<String, f64> {
    guard.client().flush(PATIENCE).unwrap();
    let metrics = capture.take_metrics().unwrap();
    let of_route = |metric: &tasktag::testing::ParsedMetric| {
        Some((metric.tag("route")?.to_owned(), metric.value.number()?))
    };
    metrics.iter().filter_map(of_route).fold(BTreeMap::new(), |mut sums, (route, n)| {
        *sums.entry(route).or_default() += n;
        sums
    })
}

#[test]
fn a_child_deals_the_places_by_what_it_sees_itself() {
    let (capture, clock, guard, requests) = ranked(1);
    // In the parent the value is worth a thousand calls, in the child one.
    call(&requests, &[("/old", 1000), ("/new", 20)]);
    assert!(holds_in_child(|| {
        call(&requests, &[("/old", 1), ("/new", 20)]);
        let before = sums(&capture, &guard);
        clock.advance(HALF_LIFE);
        call(&requests, &[("/old", 1), ("/new", 20)]);
        let after = sums(&capture, &guard);
        before == BTreeMap::from([("/old".to_owned(), 1.0), ("other".to_owned(), 20.0)])
            && after == BTreeMap::from([("/new".to_owned(), 20.0), ("other".to_owned(), 1.0)])
    }));
    clock.advance(HALF_LIFE);
    call(&requests, &[("/old", 1)]);
    assert_eq!(sums(&capture, &guard)["/old"], 1001.0, "the parent's place is its own");
}

#[test]
fn a_child_of_a_child_ranks_too_and_one_whose_family_is_gone_does_not() {
    let (capture, clock, guard, requests) = ranked(1);
    drop(guard.client().counter("gone").bounded("route", 1).most_frequent(HALF_LIFE).register());
    call(&requests, &[("/old", 1)]);
    assert!(holds_in_child(|| {
        call(&requests, &[("/old", 50)]);
        holds_in_child(|| {
            call(&requests, &[("/old", 1), ("/new", 20)]);
            clock.advance(HALF_LIFE);
            let _ = sums(&capture, &guard);
            call(&requests, &[("/new", 1)]);
            sums(&capture, &guard) == BTreeMap::from([("/new".to_owned(), 1.0)])
        })
    }));
}

#[test]
fn a_child_that_is_born_while_its_parent_deals_has_places_to_give() {
    let (_capture, clock, guard, requests) = ranked(10_000);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                clock.advance(HALF_LIFE);
            }
        });
        let kept = (0..60).all(|_| {
            holds_in_child(|| {
                let folded = requests.folded();
                call(&requests, &[("/a", 1), ("/b", 1)]);
                requests.folded() == folded && guard.client().flush(PATIENCE).is_ok()
            })
        });
        // Before anything that may panic: the other thread is waited for.
        done.store(true, Ordering::Relaxed);
        assert!(kept);
    });
}

#[test]
fn a_child_gives_no_more_places_than_there_are() {
    let (_capture, clock, _guard, requests) = ranked(100);
    let values: Vec<String> = (0..150).map(|n| format!("/{n}")).collect();
    let calls: Vec<_> = values.iter().map(|value| (value.as_str(), 1)).collect();
    call(&requests, &calls[..60]);
    clock.advance(HALF_LIFE);
    assert!(holds_in_child(|| {
        let folded = requests.folded();
        call(&requests, &calls);
        requests.folded() - folded == 50
    }));
}
