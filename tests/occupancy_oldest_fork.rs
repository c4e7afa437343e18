//! The oldest of an occupancy in a forked child is that of what the child itself acquired.

#![cfg(target_os = "linux")]

mod support;

use std::time::Duration;
use support::PATIENCE;
use support::fork::{assert_done, fork};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Guard, Occupancy};

fn started() -> (Guard, Capture, ManualClock, Occupancy) {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = support::builder().capture(&capture).clock(&clock).build().unwrap();
    let jobs = guard.client().occupancy("jobs", 0).oldest().register();
    (guard, capture, clock, jobs)
}

/// What is reported: the units in use, the most at once, and the oldest.
fn flushed(guard: &Guard, capture: &Capture) -> [Option<f64>; 3] {
    guard.client().flush(PATIENCE).unwrap();
    let metrics = capture.take_metrics().unwrap();
    ["jobs.in_use", "jobs.in_use.max", "jobs.oldest_seconds"].map(|name| {
        metrics.iter().find(|metric| metric.name == name).and_then(|metric| metric.value.number())
    })
}

#[test]
fn units_before_the_fork_are_the_parents_alone() {
    let (guard, capture, clock, jobs) = started();
    // More than there is room for.
    let mut before: Vec<_> = (0..130).map(|_| jobs.acquire()).collect();
    clock.advance(Duration::from_secs(7));
    assert_done(fork(|| {
        assert_eq!(jobs.untracked(), 0);
        assert_eq!(flushed(&guard, &capture), [Some(0.0); 3]);
        let own = jobs.acquire();
        before.clear();
        clock.advance(Duration::from_secs(2));
        assert_eq!(flushed(&guard, &capture), [Some(1.0), Some(1.0), Some(2.0)]);
        drop(own);
        // All places are the child's.
        let crowd: Vec<_> = (0..128).map(|_| jobs.acquire()).collect();
        assert_eq!(jobs.untracked(), 0);
        drop(crowd);
        flushed(&guard, &capture) == [Some(0.0), Some(128.0), Some(0.0)]
    }));
    assert_eq!(jobs.untracked(), 2);
    assert_eq!(
        flushed(&guard, &capture),
        [Some(130.0), Some(130.0), Some(7.0)],
        "the child's ends are its own"
    );
}

#[test]
fn units_before_a_restore_are_the_originals() {
    let (guard, capture, clock, jobs) = started();
    // In a process of its own, because a restore concerns all clients.
    assert_done(fork(|| {
        let before = jobs.acquire_owned();
        clock.advance(Duration::from_secs(7));
        tasktag::after_restore();
        let own = jobs.acquire();
        clock.advance(Duration::from_secs(2));
        drop(before);
        assert_eq!(flushed(&guard, &capture), [Some(1.0), Some(1.0), Some(2.0)]);
        drop(own);
        flushed(&guard, &capture) == [Some(0.0), Some(1.0), Some(0.0)]
    }));
}
