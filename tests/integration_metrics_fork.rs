//! Macros and handles of the `metrics` facade work in a forked child, whatever the parent's threads were at.
#![cfg(all(feature = "metrics", target_os = "linux"))]

mod support;

use metrics::{Key, Level, Metadata, Recorder as _, counter, gauge, histogram, with_local_recorder};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::fork::assert_done;
use support::{Agent, PATIENCE};
use tasktag::integrations::metrics::{Recorder, TaskIdLayer};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, TaskId, TaskIdPool, TaskIdSource};

static METADATA: Metadata<'static> = Metadata::new("test", Level::INFO, None);

const CHILDREN: u32 = 40;

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether `act` is true in a forked child.
#[track_caller]
fn in_a_child(act: impl FnOnce() -> bool) {
    assert_done(support::fork::fork(act));
}

/// So large that no two processes draw the same by chance. One for all tests: a process has one.
fn pool() -> TaskIdPool {
    TaskIdPool::new(TaskIdPool::MAX_SIZE).unwrap()
}

fn flushed(guard: &Guard) -> bool {
    guard.client().flush(PATIENCE).is_ok()
}

#[test]
fn fork() {
    let agent = Agent::udp();
    let never = Duration::from_secs(3600);
    let builder = Client::builder()
        .clock(&ManualClock::new())
        .agent(agent.address())
        .telemetry(false)
        .origin_detection(false);
    let builder = builder.flush_interval(never).collect_interval(never).shutdown_timeout(PATIENCE);
    let guard = builder.task_id_pool(pool()).build().unwrap();
    let recorder = Recorder::new(guard.client());
    with_local_recorder(&recorder, || {
        let (jobs, level) = (counter!("jobs"), gauge!("level"));
        jobs.increment(100);
        level.set(100.0);
        counter!("told").absolute(100);
        histogram!("wait").record(100.0);
        assert!(flushed(&guard));
        let parent = guard.client().task_id().tag().to_owned();
        agent.lines_until(|lines| lines.len() >= 3);
        in_a_child(|| {
            // A handle from before, a known key, a new one, and one that is forgotten again.
            jobs.increment(1);
            counter!("jobs").increment(2);
            counter!("new").increment(4);
            counter!("told").absolute(108);
            histogram!("wait").record(16.0);
            flushed(&guard)
        });
        let mut lines = agent.lines_until(|lines| lines.len() >= 4);
        lines.sort_unstable();
        let values: Vec<&str> = lines.iter().map(|line| line.split_once("|#").unwrap().0).collect();
        assert_eq!(values, ["jobs:3|c", "new:4|c", "told:8|c", "wait:16|d"]);
        assert!(lines.iter().all(|line| !line.contains(&parent)), "{lines:?} under {parent}");
        drop(level);
    });
}

#[test]
fn what_a_child_calls_no_more_is_forgotten_there() {
    let guard = support::builder().capture(&Capture::new()).build().unwrap();
    let recorder = Recorder::new(guard.client());
    with_local_recorder(&recorder, || {
        gauge!("level").set(1.0);
        gauge!("parents").set(1.0);
        counter!("jobs").increment(1);
        in_a_child(|| {
            // A gauge that is set there stays; the parent's is absent, and goes.
            gauge!("level").set(2.0);
            let known = flushed(&guard) && guard.client().stats().contexts == 3;
            known && (0..160).all(|_| flushed(&guard)) && guard.client().stats().contexts == 1
        });
        assert!(flushed(&guard));
        assert_eq!(guard.client().stats().contexts, 3);
    });
}

#[test]
fn what_was_forgotten_before_a_fork_is_a_level_of_the_parents_and_a_count_of_both() {
    let capture = Capture::new();
    let (clock, day) = (ManualClock::new(), Duration::from_secs(24 * 3600));
    let builder = support::builder().capture(&capture).clock(&clock);
    let guard = builder.idle_gauges(day).build().unwrap();
    let recorder = Recorder::new(guard.client());
    with_local_recorder(&recorder, || {
        gauge!("level").set(10.0);
        counter!("told").absolute(100);
        assert!(flushed(&guard));
        clock.advance(day);
        assert!((0..160).all(|_| flushed(&guard)) && guard.client().stats().contexts == 0);
        let _ = capture.take_lines();
        let starts = |expected: [&str; 2]| {
            gauge!("level").increment(1.0);
            counter!("told").absolute(108);
            let mut lines = if flushed(&guard) { capture.take_lines() } else { Vec::new() };
            lines.sort_unstable();
            lines.iter().map(|line| line.split_once("|#").unwrap().0).eq(expected)
        };
        in_a_child(|| starts(["level:1|g", "told:8|c"]));
        assert!(starts(["level:11|g", "told:8|c"]));
    });
}

#[test]
fn threads_that_register_and_forget_meanwhile_leave_no_lock_behind() {
    // Nobody reads it: what is sent is of no interest here. (A capture has a lock of its own, which a fork may cut.)
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let builder = support::builder().agent(format!("udp://{}", agent.local_addr().unwrap()));
    let guard = builder.context_limit(300).build().unwrap();
    let recorder = Recorder::new(guard.client()).timings_by_unit();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // However this ends, the threads do.
        let _stop = StopAtEnd(&stop);
        for thread in 0..2 {
            let (recorder, client, stop) = (&recorder, guard.client(), &stop);
            scope.spawn(move || {
                let mut n = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    with_local_recorder(recorder, || {
                        let label = format!("{thread}-{}", n % 500);
                        counter!("jobs", "n" => label.clone()).increment(1);
                        gauge!("level", "n" => label.clone()).set(1.0);
                        metrics::describe_histogram!(label.clone(), metrics::Unit::Seconds, "");
                        histogram!("wait", "n" => label).record(1.0);
                    });
                    drop(n.is_multiple_of(64).then(|| Recorder::new(client)));
                }
            });
        }
        scope.spawn(|| {
            // What is forgotten is forgotten under the lock too.
            while !stop.load(Ordering::Relaxed) {
                flushed(&guard);
            }
        });
        for child in 0..CHILDREN {
            in_a_child(|| {
                with_local_recorder(&recorder, || {
                    for n in 0..20 {
                        counter!("jobs", "n" => format!("child-{child}-{n}")).increment(1);
                        gauge!("level", "n" => format!("1-{n}")).set(1.0);
                        histogram!("wait", "n" => format!("0-{n}")).record(1.0);
                        metrics::describe_histogram!("born", metrics::Unit::Seconds, "");
                    }
                    flushed(&guard) && flushed(&guard)
                })
            });
        }
    });
}

#[test]
fn threads_that_look_keys_up_meanwhile_leave_no_lock_behind() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let builder = support::builder().agent(format!("udp://{}", agent.local_addr().unwrap()));
    let guard = builder.metric_context_limit(2000).build().unwrap();
    let recorder = Recorder::new(guard.client());
    // More than a thread remembers, so that all are looked up under the lock.
    let keys: Vec<Key> = (0..800).map(|n| Key::from_parts("jobs", &[("n", n.to_string())])).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for key in &keys {
                        recorder.register_counter(key, &METADATA).increment(1);
                    }
                }
            });
        }
        for child in 0..2 * CHILDREN {
            in_a_child(|| {
                let new = Key::from_parts("jobs", &[("child", child.to_string())]);
                recorder.register_counter(&new, &METADATA).increment(1);
                true
            });
        }
    });
}

#[test]
fn a_layer_adds_the_childs_own_task_id() {
    // An error where the other test decided first, which says the same.
    let _ = TaskId::decide(&TaskIdSource::random(), pool());
    let parent = TaskId::current();
    assert_eq!(parent.pool(), pool());
    let noting = Noting::default();
    let layer = TaskIdLayer::new(&noting);
    with_local_recorder(&layer, || {
        in_a_child(|| {
            _ = counter!("jobs");
            let seen = noting.0.lock().unwrap().clone();
            seen == [TaskId::current().as_str()] && TaskId::current() != parent
        });
        _ = counter!("jobs");
    });
    assert_eq!(*noting.0.lock().unwrap(), [parent.as_str()]);
}

/// Notes the task ids that counters are registered with.
#[derive(Default)]
struct Noting(std::sync::Mutex<Vec<String>>);

impl metrics::Recorder for Noting {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        let ids = key.labels().filter(|label| label.key() == "task_id").map(|label| label.value().to_owned());
        self.0.lock().unwrap().extend(ids);
        metrics::Counter::noop()
    }

    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }

    fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}
