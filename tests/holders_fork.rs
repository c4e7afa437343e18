//! A forked child has its parent's holders, and none of its parent's holds and waits.

#![cfg(target_os = "linux")]

mod support;

use std::time::Duration;
use support::PATIENCE;
use support::fork::{assert_done, fork};
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{Client, Guard, Holders};

fn started() -> (Guard, Capture, ManualClock) {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
    (builder.flush_interval(Duration::from_secs(3600)).build().unwrap(), capture, clock)
}

fn flushed(guard: &Guard, capture: &Capture) -> Vec<ParsedMetric> {
    guard.client().flush(PATIENCE).unwrap();
    capture.take_metrics().unwrap()
}

fn value(metrics: &[ParsedMetric], name: &str) -> Option<f64> {
    let is_it = |metric: &&ParsedMetric| metric.name == name && metric.tag("holder") == Some("checkout");
    metrics.iter().find(is_it).and_then(|metric| metric.value.number())
}

fn counts(holders: &Holders) -> (u64, u64) {
    let report = holders.report();
    (report.held(), report.waiting())
}

#[test]
fn holds_and_waits_before_the_fork_are_the_parents_alone() {
    let (guard, capture, clock) = started();
    let holders = guard.client().holders("primary", 10);
    let checkout = holders.of("checkout");
    // More than are remembered one by one.
    let mut before: Vec<_> = (0..130).map(|n| checkout.hold(n)).collect();
    let mut waiting = Vec::from([checkout.wait(), checkout.wait(), checkout.wait()]);
    clock.advance(Duration::from_secs(7));
    assert_done(fork(|| {
        assert_eq!(counts(&holders), (0, 0));
        let report = holders.report();
        assert!(report.holders.iter().all(|holder| holder.oldest.is_none() && holder.untracked == 0));
        let own = checkout.wait().acquired(());
        before.clear();
        waiting.pop().unwrap().timed_out();
        waiting.pop().unwrap().failed();
        waiting.clear();
        assert_eq!(counts(&holders), (1, 0));
        clock.advance(Duration::from_secs(2));
        let metrics = flushed(&guard, &capture);
        assert_eq!(value(&metrics, "pool.held.in_use"), Some(1.0));
        assert_eq!(value(&metrics, "pool.held.in_use.max"), Some(1.0));
        assert_eq!(value(&metrics, "pool.waiting"), Some(0.0));
        assert_eq!(value(&metrics, "pool.oldest_hold_seconds"), Some(2.0));
        for name in ["pool.timeouts", "pool.errors", "pool.hold"] {
            assert_eq!(value(&metrics, name), None, "{name}");
        }
        drop(own);
        value(&flushed(&guard, &capture), "pool.hold") == Some(2000.0)
    }));
    assert_eq!(counts(&holders), (130, 3), "the child's ends are not the parent's");
    let metrics = flushed(&guard, &capture);
    assert_eq!(value(&metrics, "pool.oldest_hold_seconds"), Some(7.0));
}

#[test]
fn a_wait_of_the_parent_becomes_a_hold_of_the_child_without_a_wait() {
    let (guard, capture, _clock) = started();
    let holders = guard.client().holders("primary", 10);
    let mut wait = Some(holders.of("checkout").wait());
    assert_done(fork(|| {
        let held = wait.take().unwrap().acquired(());
        let metrics = flushed(&guard, &capture);
        let of_child = ["pool.held.in_use", "pool.wait"].map(|name| value(&metrics, name));
        drop(held);
        of_child == [Some(1.0), None] && counts(&holders) == (0, 0)
    }));
    assert_eq!(counts(&holders), (0, 1));
}

#[test]
fn a_name_that_is_new_in_the_child_has_a_place_there() {
    let (guard, capture, clock) = started();
    let holders = guard.client().holders("primary", 1);
    assert_done(fork(|| {
        let _held = holders.of("checkout").hold(());
        clock.advance(Duration::from_secs(3));
        value(&flushed(&guard, &capture), "pool.oldest_hold_seconds") == Some(3.0)
    }));
    assert_eq!(holders.of("reports").name(), "reports", "the place is still free in the parent");
}

#[test]
fn holds_and_waits_before_a_restore_are_the_originals() {
    let (guard, capture, _clock) = started();
    let holders = guard.client().holders("primary", 10);
    // In a process of its own, because a restore concerns all clients.
    assert_done(fork(|| {
        let checkout = holders.of("checkout");
        let before = (checkout.hold(()), checkout.wait());
        assert_eq!(counts(&holders), (1, 1));
        tasktag::after_restore();
        assert_eq!(counts(&holders), (0, 0));
        let own = checkout.hold(());
        drop(before);
        assert_eq!(counts(&holders), (1, 0));
        assert_eq!(value(&flushed(&guard, &capture), "pool.held.in_use"), Some(1.0));
        drop(own);
        counts(&holders) == (0, 0)
    }));
}
