//! A queue's backlog per task changes in inverse proportion to the tasks, and has a target that keeps the promise.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;
use support::PATIENCE;
use tasktag::testing::Capture;
use tasktag::{Promise, QueueStatus};

/// The gauges that a status reports, by name.
fn reported(status: QueueStatus) -> BTreeMap<String, f64> {
    let capture = Capture::new();
    let guard = support::builder().capture(&capture).build().unwrap();
    let _watch = guard.client().watch_queue("mail", move || status);
    guard.client().flush(PATIENCE).unwrap();
    let metrics = capture.take_metrics().unwrap();
    metrics.into_iter().map(|metric| (metric.name, metric.value.number().unwrap())).collect()
}

fn backlog(depth: impl Into<Option<u64>>, tasks: impl Into<Option<u64>>) -> Option<f64> {
    let gauges = reported(QueueStatus::new().depth(depth).tasks(tasks));
    let backlog = gauges.get("queue.backlog_per_task").copied();
    assert_eq!(backlog, gauges.get("queue.backlog_per_task.max").copied());
    backlog
}

#[test]
fn twice_the_tasks_have_half_the_backlog() {
    for tasks in 1..=64_u64 {
        let (once, twice) = (backlog(600, tasks).unwrap(), backlog(600, 2 * tasks).unwrap());
        assert_eq!(once, 2.0 * twice, "{tasks} tasks");
    }
    assert_eq!(backlog(0, 7), Some(0.0));
}

#[test]
fn a_queue_without_a_task_asks_for_one() {
    assert_eq!((backlog(600, 0), backlog(0, 0)), (Some(600.0), Some(0.0)));
}

#[test]
fn what_is_not_known_is_absent() {
    assert_eq!((backlog(600, None), backlog(None, 4)), (None, None));
}

#[test]
fn who_sees_nothing_says_so() {
    let hidden = |status: QueueStatus| reported(status).get("queue.hidden").copied();
    let [new, no, yes] =
        [QueueStatus::new(), QueueStatus::new().hidden(false), QueueStatus::new().hidden(true)];
    assert_eq!([hidden(new), hidden(no), hidden(yes)], [None, Some(0.0), Some(1.0)]);
}

#[test]
fn at_its_target_the_last_item_starts_when_the_promise_ends() {
    let (promise, job) = (Promise::within(Duration::from_secs(300)), Duration::from_secs(2));
    for at_once in [1, 2, 10, 50] {
        let target = promise.backlog_per_task(job, at_once).unwrap();
        // The jobs of a task run in rounds, of which each takes the time of one.
        let rounds = target / f64::from(at_once);
        assert_eq!(job.mul_f64(rounds), promise.duration(), "{at_once} at once");
    }
    assert_eq!(promise.backlog_per_task(Duration::ZERO, 1), None);
    assert_eq!(promise.backlog_per_task(job, 0), Some(0.0));
}
