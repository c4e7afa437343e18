//! A macro of the `metrics` facade that names a known key allocates nothing, and neither does a handle.

#![cfg(feature = "metrics")]

#[path = "support/allocations.rs"]
mod allocations;
mod support;

use allocations::allocations;
use metrics::{
    Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _, counter, gauge, histogram,
    with_local_recorder,
};
use std::thread;
use tasktag::integrations::metrics::Recorder;
use tasktag::testing::Capture;

static METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

fn use_macros() {
    counter!("jobs").increment(1);
    counter!("jobs", "queue" => "mail").increment(1);
    counter!("told", "queue" => "mail").absolute(7);
    gauge!("level", "queue" => "mail", "a" => "1", "b" => "2").set(1.0);
    gauge!("level", "queue" => "mail", "a" => "1", "b" => "2").increment(f64::NAN);
    gauge!("level").decrement(1.0);
    histogram!("wait", "queue" => "mail").record(12.5);
    histogram!("wait").record_many(f64::NAN, 3);
}

#[test]
fn macros_allocate_nothing_for_known_keys() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let recorder = Recorder::new(guard.client());
    let known = || with_local_recorder(&recorder, || allocations(use_macros));
    assert!(known() > 0, "what is new is registered");
    for turn in 0..3 {
        assert_eq!(known(), 0, "turn {turn}");
    }
    // Another thread finds them under a lock and takes note of them, which is no allocation either. What it does on its
    // first use of a metric is done before.
    thread::scope(|scope| {
        scope.spawn(|| {
            with_local_recorder(&recorder, || {
                gauge!("other").set(1.0);
                histogram!("another").record(1.0);
                counter!("third").increment(1);
            });
            assert_eq!([known(), known()], [0; 2]);
        });
    });
}

#[test]
fn keys_of_any_number_of_labels_are_found_without_allocating() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let recorder = Recorder::new(guard.client());
    for len in [0, 1, 2, 3, 7, 8, 9, 16, 17, 40] {
        let labels: Vec<Label> = (0..len).map(|n| Label::new(format!("k{n}"), format!("v{n}"))).collect();
        let mut turned = labels.clone();
        turned.reverse();
        let (key, turned) = (Key::from_parts("jobs", labels), Key::from_parts("jobs", turned));
        recorder.register_counter(&key, &METADATA).increment(1);
        for key in [&key, &turned] {
            let register = || recorder.register_counter(key, &METADATA).increment(1);
            assert_eq!(allocations(register), 0, "{len} labels");
        }
    }
}

#[test]
fn more_keys_than_a_thread_remembers_are_found_without_allocating() {
    let guard = support::builder().capture(&Capture::new()).metric_context_limit(2000).build().unwrap();
    let recorder = Recorder::new(guard.client());
    let keys: Vec<Key> = (0..1500).map(|n| Key::from_parts("jobs", &[("n", n.to_string())])).collect();
    let all = || keys.iter().for_each(|key| recorder.register_counter(key, &METADATA).increment(1));
    all();
    assert_eq!([allocations(all), allocations(all)], [0; 2]);
    assert_eq!(guard.client().stats().contexts, 1500);
}

#[test]
fn what_is_folded_allocates_nothing() {
    let guard = support::builder().capture(&Capture::new()).metric_context_limit(1).build().unwrap();
    let recorder = Recorder::new(guard.client());
    let keys: Vec<Key> = (0..100).map(|n| Key::from_parts("jobs", &[("n", n.to_string())])).collect();
    let fold =
        |keys: &[Key]| keys.iter().for_each(|key| recorder.register_counter(key, &METADATA).increment(1));
    fold(&keys[..2]);
    assert_eq!([allocations(|| fold(&keys)), allocations(|| fold(&keys))], [0; 2]);
}

#[test]
fn handles_allocate_nothing() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let recorder = Recorder::new(guard.client());
    let (jobs, level, wait): (Counter, Gauge, Histogram) =
        with_local_recorder(&recorder, || (counter!("jobs"), gauge!("level"), histogram!("wait")));
    let act = || {
        jobs.increment(1);
        jobs.absolute(5);
        level.set(1.0);
        level.increment(1.0);
        level.decrement(f64::INFINITY);
        wait.record(1.0);
        wait.record(f64::NAN);
        wait.record_many(2.0, 1000);
        drop((jobs.clone(), level.clone(), wait.clone()));
    };
    assert_eq!([allocations(act), allocations(act)], [0; 2]);
}
