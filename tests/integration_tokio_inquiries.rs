//! What has to be waited for is asked one question at a time, and absent when nobody has answered for long.

#![cfg(feature = "tokio")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tasktag::integrations::tokio::WatchAsync;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, QueueStatus, Watch};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::yield_now;

const PATIENCE: Duration = Duration::from_secs(60);
const COLLECT_INTERVAL: Duration = Duration::from_millis(250);
const COLLECTIONS_PER_QUESTION: u32 = 4;
const EVERY: Duration = Duration::from_secs(1);

/// A client whose collections come when the clock is moved, and a runtime that runs when it is told to.
struct Bench {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
    runtime: Runtime,
    asked: Arc<Asked>,
}

/// What a test knows of the questions, and the answer that it gives.
#[derive(Default)]
struct Asked {
    begun: AtomicU64,
    /// Those whose futures are alive.
    alive: AtomicU64,
    most: AtomicU64,
    depth: Mutex<Option<u64>>,
    /// Whoever asks waits for it, while the test does not answer at once.
    gate: Mutex<Option<Arc<Notify>>>,
}

/// A question, for as long as its future is alive.
struct Alive(Arc<Asked>);

impl Alive {
    fn new(asked: &Arc<Asked>) -> Self {
        asked.begun.fetch_add(1, Ordering::SeqCst);
        let alive = asked.alive.fetch_add(1, Ordering::SeqCst) + 1;
        asked.most.fetch_max(alive, Ordering::SeqCst);
        Self(Arc::clone(asked))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Bench {
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
        let builder = builder.collect_interval(COLLECT_INTERVAL).flush_interval(Duration::from_secs(3600));
        let runtime = Builder::new_current_thread().build().unwrap();
        Self { guard: builder.build().unwrap(), capture, clock, runtime, asked: Arc::default() }
    }

    fn watch(&self) -> Watch {
        let asked = Arc::clone(&self.asked);
        self.guard.client().queue("jobs").watch_async(self.runtime.handle(), EVERY, move || {
            let alive = Alive::new(&asked);
            async move {
                let gate = alive.0.gate.lock().unwrap().clone();
                if let Some(gate) = gate {
                    gate.notified().await;
                }
                let depth = *alive.0.depth.lock().unwrap();
                QueueStatus::new().depth(depth)
            }
        })
    }

    fn answer(&self, depth: impl Into<Option<u64>>) {
        *self.asked.depth.lock().unwrap() = depth.into();
        if let Some(gate) = self.asked.gate.lock().unwrap().take() {
            gate.notify_waiters();
        }
    }

    fn answer_nothing(&self) {
        *self.asked.gate.lock().unwrap() = Some(Arc::default());
    }

    /// Has everything run that can run.
    fn run(&self) {
        self.runtime.block_on(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
    }

    /// Has one collection after another, and the runtime run after each.
    fn pass(&self, time: Duration) {
        for _ in 0..time.as_millis() / COLLECT_INTERVAL.as_millis() {
            self.clock.advance(COLLECT_INTERVAL);
            self.collect();
        }
    }

    fn collect(&self) {
        self.guard.client().flush(PATIENCE).unwrap();
        self.run();
    }

    /// The depth that a flush reports, which is what was answered before it.
    fn depth(&self) -> Option<f64> {
        drop(self.capture.take_packets());
        self.guard.client().flush(PATIENCE).unwrap();
        let metrics = self.capture.take_metrics().unwrap();
        let found = metrics.iter().find(|metric| metric.name == "queue.depth");
        found.map(|metric| {
            assert_eq!(metric.tag("queue"), Some("jobs"));
            metric.value.number().unwrap()
        })
    }

    fn begun(&self) -> u64 {
        self.asked.begun.load(Ordering::SeqCst)
    }

    fn alive(&self) -> u64 {
        self.asked.alive.load(Ordering::SeqCst)
    }
}

#[test]
fn an_answer_is_reported_until_the_next_one() {
    let bench = Bench::new();
    bench.answer(3);
    let _watch = bench.watch();
    assert_eq!(bench.depth(), None, "it has only been asked");
    bench.run();
    assert_eq!(bench.depth(), Some(3.0));
    bench.answer(4);
    bench.pass(COLLECT_INTERVAL * (COLLECTIONS_PER_QUESTION - 1));
    assert_eq!((bench.depth(), bench.begun()), (Some(3.0), 1));
    bench.pass(COLLECT_INTERVAL);
    assert_eq!((bench.depth(), bench.begun()), (Some(4.0), 2));
    bench.pass(EVERY * 10);
    assert_eq!(bench.begun(), 12);
}

#[test]
fn a_question_without_an_answer_is_given_up_before_the_next_one_is_asked() {
    let bench = Bench::new();
    bench.answer_nothing();
    let _watch = bench.watch();
    bench.collect();
    bench.pass(COLLECT_INTERVAL * (COLLECTIONS_PER_QUESTION - 1));
    assert_eq!((bench.begun(), bench.alive()), (1, 1));
    bench.pass(EVERY * 10);
    // After 1 s it is given up, and the collection after that asks again.
    assert_eq!(bench.begun(), 9);
    assert_eq!(bench.asked.most.load(Ordering::SeqCst), 1, "one at a time");
    bench.answer(7);
    bench.pass(EVERY * 2);
    assert_eq!(bench.depth(), Some(7.0));
}

#[test]
fn a_question_that_can_t_be_given_up_is_not_asked_again() {
    let bench = Bench::new();
    let _watch = bench.watch();
    bench.guard.client().flush(PATIENCE).unwrap();
    // Nothing runs the runtime, as if something held its thread: the future is not even dropped.
    for _ in 0..40 {
        bench.clock.advance(COLLECT_INTERVAL);
        bench.guard.client().flush(PATIENCE).unwrap();
    }
    assert_eq!((bench.begun(), bench.alive()), (1, 1));
    bench.answer(5);
    bench.run();
    assert_eq!(bench.alive(), 0, "it was given up long ago");
    bench.pass(EVERY);
    assert_eq!(bench.depth(), Some(5.0));
}

#[test]
fn an_answer_that_is_too_old_is_absent_until_there_is_another() {
    let bench = Bench::new();
    bench.answer(3);
    let _watch = bench.watch();
    bench.collect();
    bench.answer_nothing();
    bench.pass(COLLECT_INTERVAL * (3 * COLLECTIONS_PER_QUESTION - 1));
    assert_eq!(bench.depth(), Some(3.0), "one question without an answer is bridged");
    bench.pass(COLLECT_INTERVAL);
    assert_eq!(bench.depth(), None);
    bench.answer(4);
    bench.pass(EVERY * 2);
    assert_eq!(bench.depth(), Some(4.0));
}

#[test]
fn a_query_that_fails_makes_its_value_absent_at_once() {
    let bench = Bench::new();
    bench.answer(3);
    let _watch = bench.watch();
    bench.collect();
    assert_eq!(bench.depth(), Some(3.0));
    bench.answer(None);
    bench.pass(EVERY + COLLECT_INTERVAL);
    assert_eq!(bench.depth(), None);
}

#[test]
fn a_question_under_way_ends_with_the_watch() {
    let bench = Bench::new();
    bench.answer_nothing();
    let watch = bench.watch();
    bench.collect();
    assert_eq!((bench.begun(), bench.alive()), (1, 1));
    drop(watch);
    bench.collect();
    assert_eq!(bench.alive(), 0);
    bench.pass(EVERY * 3);
    assert_eq!((bench.begun(), Arc::strong_count(&bench.asked)), (1, 1), "and so did its closure");
}

#[test]
fn a_watch_ends_with_the_runtime() {
    let mut bench = Bench::new();
    bench.answer(3);
    let _watch = bench.watch();
    bench.collect();
    assert_eq!(bench.depth(), Some(3.0));
    bench.runtime = Builder::new_current_thread().build().unwrap();
    bench.pass(EVERY * 2);
    assert_eq!((bench.depth(), Arc::strong_count(&bench.asked)), (None, 1));
}

#[test]
fn a_panic_is_counted_as_that_of_any_watched_closure() {
    let bench = Bench::new();
    let client = bench.guard.client();
    let _watch = client.queue("jobs").watch_async(bench.runtime.handle(), EVERY, || async {
        panic!("of a query");
    });
    bench.pass(EVERY * 2);
    let stats = client.stats();
    assert_eq!((stats.probe_panics, stats.probes_removed), (2, 0));
    assert_eq!(bench.depth(), None);
}
