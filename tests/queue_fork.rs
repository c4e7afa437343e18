//! A forked child's queue starts over, and its parent's goes on.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;
use support::PATIENCE;
use support::fork::{assert_done, fork, holds_in_child};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Guard, Outcome, Promise, QueueDepth};

const SECOND: Duration = Duration::from_secs(1);

fn flushed(guard: &Guard, capture: &Capture) -> BTreeMap<String, f64> {
    guard.client().flush(PATIENCE).unwrap();
    let metrics = capture.take_metrics().unwrap();
    metrics.into_iter().map(|metric| (metric.name, metric.value.number().unwrap())).collect()
}

#[test]
fn a_child_measures_its_own_items_and_reports_them_and_its_parent_keeps_the_others() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = support::builder().capture(&capture).clock(&clock).build().unwrap();
    let queue = guard.client().work_queue("mail").promise(Promise::within(10 * SECOND)).register();
    let (ticket, job) = (queue.enter(), queue.enter().start());
    let (mut inherited_ticket, mut inherited_job) = (Some(queue.enter()), Some(queue.enter().start()));
    clock.advance(SECOND);
    let before = (queue.status().depth, queue.status().running, queue.status().oldest_age);
    assert_eq!(before, (Some(2), Some(2), Some(SECOND)));
    assert_done(fork(|| {
        let empty = queue.status();
        assert_eq!((empty.depth, empty.running, empty.oldest_age), (Some(0), Some(0), Some(Duration::ZERO)));
        let own = queue.enter();
        clock.advance(2 * SECOND);
        let levels = flushed(&guard, &capture);
        assert_eq!([levels["queue.depth"], levels["queue.oldest_age_seconds"]], [1.0, 2.0]);
        assert_eq!([levels["queue.promise_used"], levels["queue.running"]], [0.2, 0.0]);
        // What belongs to the parent is not measured here, whatever becomes of it.
        if let Some(ticket) = inherited_ticket.take() {
            ticket.start().end(Outcome::Ok);
        }
        if let Some(job) = inherited_job.take() {
            job.end(Outcome::Ok);
        }
        assert_eq!(queue.status().depth, Some(1));
        let levels = flushed(&guard, &capture);
        assert!(!levels.contains_key("queue.wait") && !levels.contains_key("queue.duration"), "{levels:#?}");
        own.start().end(Outcome::Ok);
        let levels = flushed(&guard, &capture);
        assert_eq!([levels["queue.wait"], levels["queue.waits_within_promise"]], [2000.0, 1.0]);
        true
    }));
    assert_eq!((queue.status().depth, queue.status().running, queue.status().oldest_age), before);
    ticket.start().end(Outcome::Ok);
    job.end(Outcome::Ok);
    let levels = flushed(&guard, &capture);
    assert_eq!([levels["queue.depth"], levels["queue.running"]], [1.0, 1.0]);
}

#[test]
fn a_childs_child_starts_over_too_and_a_queue_that_is_gone_is_not_reported() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = support::builder().capture(&capture).clock(&clock).build().unwrap();
    let queue = guard.client().work_queue("mail").register();
    drop(guard.client().work_queue("gone").prefix("gone").register());
    let _ticket = queue.enter();
    assert!(holds_in_child(|| {
        let _ticket = (queue.enter(), queue.enter());
        holds_in_child(|| {
            let _ticket = queue.enter();
            let levels = flushed(&guard, &capture);
            levels["queue.depth"] == 1.0 && !levels.contains_key("gone.depth")
        }) && flushed(&guard, &capture)["queue.depth"] == 2.0
    }));
}

#[test]
fn a_depth_without_a_client_starts_over_too() {
    let depth = QueueDepth::default();
    let ticket = depth.enter();
    assert!(holds_in_child(|| {
        let empty = depth.status().depth == Some(0);
        let own = depth.enter();
        let one = depth.status().depth == Some(1);
        drop(own);
        empty && one && depth.status().depth == Some(0)
    }));
    assert_eq!(depth.status().depth, Some(1));
    drop(ticket);
}
