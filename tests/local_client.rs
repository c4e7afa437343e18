//! A client of a thread's own under the macros.

#[path = "support/allocations.rs"]
mod allocations;
#[cfg(target_os = "linux")]
mod support;

use allocations::allocations;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, TaskIdPool, with_local_client};

const PATIENCE: Duration = Duration::from_secs(60);

fn started() -> (Guard, Capture) {
    let capture = Capture::new();
    (builder(&capture).build().unwrap(), capture)
}

fn builder(capture: &Capture) -> tasktag::ClientBuilder {
    let id = TaskIdPool::DEFAULT.id(7).unwrap();
    Client::builder().capture(capture).clock(&ManualClock::new()).task_id(id).telemetry(false)
}

fn count() {
    tasktag::counter!("jobs.done", "queue" => "mail").increment(1);
}

/// How often the client was counted with, since the last call.
fn counted(guard: &Guard, capture: &Capture) -> f64 {
    guard.client().flush(PATIENCE).unwrap();
    let metrics = capture.take_metrics().unwrap();
    metrics
        .iter()
        .filter(|metric| metric.name == "jobs.done")
        .filter_map(|metric| metric.value.number())
        .sum()
}

/// All verbs of all macros.
fn use_all() {
    count();
    tasktag::gauge!("level").set(3.0);
    tasktag::gauge!("sum").add(2.0);
    tasktag::gauge!("sum").sub(0.5);
    tasktag::distribution!("spread").record(1.5);
    tasktag::timing!("took").record_duration(Duration::from_millis(2));
    if let Some(timer) = tasktag::timing!("waited").start() {
        timer.stop();
    }
    if let Some(timer) = tasktag::timing!("discarded").start() {
        timer.discard();
    }
    drop(tasktag::timing!("dropped").start());
}

fn names(guard: &Guard, capture: &Capture) -> Vec<String> {
    guard.client().flush(PATIENCE).unwrap();
    capture.take_metrics().unwrap().into_iter().map(|metric| metric.name).collect()
}

// One test: the process-wide client is the process's.
#[test]
fn the_local_client_goes_before_the_installed_one_and_leaves_nothing_at_call_sites() {
    let (own, own_capture) = started();
    let all = ["dropped", "jobs.done", "level", "spread", "sum", "took", "waited"];
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    // Before a client is installed.
    with_local_client(own.client(), use_all);
    assert_eq!(sorted(names(&own, &own_capture)), all);
    use_all();
    assert_eq!(own.client().stats().accepted.values, own.client().stats().sent.values);
    assert!(tasktag::client().is_none());

    let installed_capture = Capture::new();
    let installed = builder(&installed_capture).install().unwrap();
    use_all();
    assert_eq!(sorted(names(&installed, &installed_capture)), all);
    // A call site that keeps a handle of the installed one.
    assert_eq!(counted(&own, &own_capture), 0.0);
    with_local_client(own.client(), || {
        count();
        count();
    });
    assert_eq!((counted(&own, &own_capture), counted(&installed, &installed_capture)), (2.0, 0.0));
    count();
    assert_eq!((counted(&own, &own_capture), counted(&installed, &installed_capture)), (0.0, 1.0));

    // What `client` answers is what the macros use.
    let task_id = |client: Option<Client>| client.map(|client| client.is_disabled());
    assert_eq!(task_id(tasktag::client()), Some(false));
    with_local_client(&Client::disabled(), || {
        use_all();
        assert_eq!(task_id(tasktag::client()), Some(true));
    });
    assert_eq!(counted(&installed, &installed_capture), 0.0);

    // Another thread's is not this one's, and the installed one is used there.
    with_local_client(own.client(), || {
        thread::scope(|scope| {
            scope.spawn(count);
            scope.spawn(|| with_local_client(own.client(), count));
        });
    });
    assert_eq!((counted(&own, &own_capture), counted(&installed, &installed_capture)), (1.0, 1.0));

    // A call site that is first met by another thread while this one has a client of its own.
    let first_met = || tasktag::counter!("jobs.done", "queue" => "first").increment(1);
    with_local_client(own.client(), || {
        thread::scope(|scope| scope.spawn(first_met).join().unwrap());
        first_met();
    });
    first_met();
    assert_eq!((counted(&own, &own_capture), counted(&installed, &installed_capture)), (1.0, 2.0));
}

#[test]
fn the_innermost_client_counts_and_a_panic_ends_its_scope() {
    let ((outer, outer_capture), (inner, inner_capture)) = (started(), started());
    with_local_client(outer.client(), || {
        count();
        with_local_client(inner.client(), count);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            with_local_client(inner.client(), || {
                count();
                panic!("in a test");
            });
        }));
        assert!(panicked.is_err());
        count();
        assert_eq!(with_local_client(inner.client(), || 7), 7);
    });
    assert_eq!((counted(&outer, &outer_capture), counted(&inner, &inner_capture)), (2.0, 2.0));
}

#[test]
fn known_calls_allocate_nothing() {
    let (guard, _capture) = started();
    let count_twice = || (0..2).for_each(|_| tasktag::counter!("jobs.done", "queue" => "free").increment(1));
    with_local_client(guard.client(), || {
        count_twice();
        assert_eq!(allocations(count_twice), 0);
    });
}

#[test]
fn many_scopes_on_many_threads_each_have_what_was_counted_in_them() {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for turns in 1..=20_u32 {
                    let (guard, capture) = started();
                    with_local_client(guard.client(), || (0..turns).for_each(|_| count()));
                    assert_eq!(counted(&guard, &capture), f64::from(turns));
                }
            });
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_that_is_forked_inside_goes_on_with_the_client() {
    use support::fork::holds_in_child;
    let (guard, capture) = started();
    with_local_client(guard.client(), || {
        count();
        let held = holds_in_child(|| {
            count();
            count();
            counted(&guard, &capture) == 2.0
        });
        assert!(held, "the child reports what it counted itself");
    });
    assert_eq!(counted(&guard, &capture), 1.0);
}
