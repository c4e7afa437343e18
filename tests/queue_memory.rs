//! A queue's memory does not grow with its items, and no item of it allocates.

#[path = "support/allocations.rs"]
mod allocations;

use allocations::allocations;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Outcome, Promise, QueueDepth, QueueTicket, RunningJob};

const MILLION: usize = 1_000_000;

/// Enters, starts and ends a million items, all of which wait and then run at once.
fn assert_free(clock: &ManualClock, enter: impl Fn() -> QueueTicket) {
    let mut tickets = Vec::with_capacity(MILLION);
    let mut jobs = Vec::<RunningJob>::with_capacity(MILLION);
    for turn in 0..if cfg!(debug_assertions) { 1 } else { 3 } {
        let mut entering = 0;
        for _ in 0..1000 {
            entering += allocations(|| tickets.extend((0..MILLION / 1000).map(|_| enter())));
            // This is the test's own doing, and may allocate.
            clock.advance(Duration::from_millis(1));
        }
        let starting = allocations(|| jobs.extend(tickets.drain(..).map(QueueTicket::start)));
        let ending = allocations(|| jobs.drain(..).for_each(|job| job.end(Outcome::Ok)));
        let abandoning = allocations(|| (0..1000).for_each(|_| drop(enter())));
        assert_eq!([entering, starting, ending, abandoning], [0; 4], "turn {turn}");
    }
}

#[test]
fn a_million_items_of_a_work_queue_allocate_nothing() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let never = Duration::from_secs(3600);
    let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
    let guard = builder.flush_interval(never).collect_interval(never).build().unwrap();
    let promise = Promise::within(Duration::from_millis(500));
    let queue = guard.client().work_queue("mail").promise(promise).register();
    assert_free(&clock, || queue.enter());
    let empty = queue.status();
    assert_eq!((empty.depth, empty.running), (Some(0), Some(0)));
}

#[test]
fn a_million_items_of_a_depth_allocate_nothing_and_are_counted() {
    let depth = QueueDepth::default();
    assert_free(&ManualClock::new(), || depth.enter());
    let mut tickets = Vec::with_capacity(MILLION);
    assert_eq!(allocations(|| tickets.extend((0..MILLION).map(|_| depth.enter()))), 0);
    assert_eq!(depth.status().depth, Some(MILLION as u64));
    drop(tickets);
    assert_eq!(depth.status().depth, Some(0));
}

#[test]
fn a_ticket_and_a_job_have_24_bytes() {
    // A million items that wait take this in their channel, and nothing in the queue's own tables.
    assert!(size_of::<QueueTicket>() <= 24 && size_of::<RunningJob>() <= 24);
}
