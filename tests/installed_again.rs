//! After the end of an installed client another may take its place.

#[path = "support/allocations.rs"]
mod allocations;
#[cfg(target_os = "linux")]
mod support;

use allocations::allocations;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ConfigError, Guard, TaskIdPool};

const PATIENCE: Duration = Duration::from_secs(60);

/// The process has one place for a client.
fn place() -> MutexGuard<'static, ()> {
    static PLACE: Mutex<()> = Mutex::new(());
    PLACE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn builder(capture: &Capture) -> tasktag::ClientBuilder {
    let id = TaskIdPool::DEFAULT.id(7).unwrap();
    Client::builder().capture(capture).clock(&ManualClock::new()).task_id(id).telemetry(false)
}

fn installed() -> (Guard, Capture) {
    let capture = Capture::new();
    (builder(&capture).install().unwrap(), capture)
}

fn count() {
    tasktag::counter!("jobs.done").increment(1);
}

fn use_all() {
    count();
    tasktag::gauge!("level").set(3.0);
    tasktag::distribution!("spread").record(1.5);
    drop(tasktag::timing!("took").start());
}

/// The lines of a flush, without the values of times.
fn names(guard: &Guard, capture: &Capture) -> Vec<String> {
    guard.client().flush(PATIENCE).unwrap();
    let mut names: Vec<_> = capture.take_metrics().unwrap().into_iter().map(|metric| metric.name).collect();
    names.sort();
    names
}

const ALL: [&str; 4] = ["jobs.done", "level", "spread", "took"];

#[test]
fn call_sites_follow_the_client_that_is_installed() {
    let _place = place();
    for turn in 1..=4 {
        let (guard, capture) = installed();
        let refused = builder(&Capture::new()).install();
        assert_eq!(refused.unwrap_err(), ConfigError::AlreadyInstalled, "it has not ended, turn {turn}");
        use_all();
        thread::scope(|scope| scope.spawn(count).join().unwrap());
        assert_eq!(names(&guard, &capture), ALL, "turn {turn}");
        assert!(tasktag::client().is_some_and(|client| client.stats() == guard.client().stats()));
        if turn % 2 == 0 {
            guard.shutdown(PATIENCE).unwrap();
        }
    }
}

#[test]
fn a_client_that_could_not_be_built_leaves_the_place_free() {
    let _place = place();
    drop(installed());
    let refused = builder(&Capture::new()).channel_capacity(0).install();
    assert!(matches!(refused, Err(ConfigError::Setting { .. })));
    let (guard, capture) = installed();
    count();
    assert_eq!(names(&guard, &capture), ["jobs.done"]);
}

#[test]
fn between_two_clients_values_are_counted_by_the_one_that_ended() {
    let _place = place();
    let (guard, _) = installed();
    count();
    let client = guard.client().clone();
    drop(guard);
    count();
    assert_eq!(client.stats().dropped(tasktag::DropReason::AfterShutdown).values, 1);
    let (_guard, _) = installed();
    count();
    assert_eq!(client.stats().dropped(tasktag::DropReason::AfterShutdown).values, 1, "it is the next one's");
}

#[test]
fn known_calls_of_a_later_client_allocate_nothing() {
    let _place = place();
    drop(installed());
    let (_guard, _capture) = installed();
    let known = || tasktag::counter!("jobs.done", "queue" => "free").increment(1);
    // The first call makes the context, and the second has the thread remember it.
    known();
    known();
    assert_eq!(allocations(known), 0);
}

/// What a client drops at its end of life shows whether it is held.
fn traced(capture: &Capture) -> (Guard, Weak<()>) {
    let alive = Arc::new(());
    let held = Arc::downgrade(&alive);
    let guard = builder(capture).on_loss(move |_| drop(Arc::clone(&alive))).install().unwrap();
    (guard, held)
}

#[test]
fn later_clients_are_let_go_once_another_is_in_their_place() {
    let _place = place();
    drop(installed());
    let mut held = Vec::new();
    for _ in 0..20 {
        let (guard, trace) = traced(&Capture::new());
        count();
        drop(guard);
        held.push(trace);
    }
    let (_guard, _capture) = installed();
    count();
    assert_eq!(held.iter().filter(|trace| trace.strong_count() > 0).count(), 0);
}

#[test]
fn a_thread_that_used_an_earlier_client_finds_the_next() {
    let _place = place();
    let (first, _) = installed();
    let (to_thread, turns) = std::sync::mpsc::channel();
    let (done, from_thread) = std::sync::mpsc::channel();
    let worker = thread::spawn(move || {
        for () in turns {
            count();
            done.send(()).unwrap();
        }
    });
    let turn = || {
        to_thread.send(()).unwrap();
        from_thread.recv().unwrap();
    };
    turn();
    drop(first);
    for _ in 0..3 {
        let (guard, capture) = installed();
        turn();
        assert_eq!(names(&guard, &capture), ["jobs.done"]);
    }
    drop(to_thread);
    worker.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_uses_the_client_that_was_installed_last_and_may_install_another() {
    use support::fork::holds_in_child;
    let _place = place();
    drop(installed());
    let (guard, capture) = installed();
    count();
    assert!(holds_in_child(|| {
        use_all();
        let own = names(&guard, &capture) == ALL;
        drop(guard);
        let (next, next_capture) = installed();
        count();
        own && names(&next, &next_capture) == ["jobs.done"]
    }));
}
