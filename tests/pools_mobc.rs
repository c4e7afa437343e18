//! What is said of a pool of mobc is true after its callers gave up, beside other pools, and after its limit was set.
#![cfg(feature = "mobc")]

#[path = "pools/gate.rs"]
mod gate;
mod support;
#[path = "pools/watched.rs"]
mod watched;

use gate::Gate;
use metrics::{
    Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use mobc::{Connection, Manager, Pool};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{PATIENCE, wait_until};
use tasktag::Watch;
use tokio::runtime::{Builder, Runtime};
use watched::Watched;

#[derive(Debug)]
struct Doors {
    gate: Gate,
    // Whoever looks at it knows whether the pool is alive.
    _alive: Arc<()>,
}

#[mobc::async_trait]
impl Manager for Doors {
    type Connection = ();
    type Error = &'static str;

    async fn connect(&self) -> Result<(), &'static str> {
        self.gate.pass().await;
        Ok(())
    }

    async fn check(&self, (): ()) -> Result<(), &'static str> {
        Ok(())
    }
}

struct Stage {
    // In this order, so that connections are dropped in their runtime.
    pool: Pool<Doors>,
    watched: Watched,
    watch: Watch,
    runtime: Runtime,
}

impl Stage {
    fn new(max: u64, gate: Gate) -> Self {
        Self::with_manager(max, Doors { gate, _alive: Arc::new(()) })
    }

    fn with_manager(max: u64, manager: Doors) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let pool = Pool::builder().max_open(max).max_idle(0).build(manager);
        let (watched, entered) = (Watched::new(), runtime.enter());
        let watch = watched.client().watch_mobc("primary", &pool);
        drop(entered);
        Self { pool, watched, watch, runtime }
    }

    fn get(&self) -> Connection<Doors> {
        self.runtime.block_on(self.pool.get()).unwrap()
    }

    /// A connection comes back in a task of its own.
    fn give_back(&self, held: Connection<Doors>) {
        let before = self.idle();
        self.runtime.block_on(async { drop(held) });
        wait_until(|| self.idle() == before + 1);
    }

    fn idle(&self) -> u64 {
        self.runtime.block_on(async {
            tokio::task::yield_now().await;
            self.pool.state().await.idle
        })
    }
}

#[test]
fn calls_that_ran_into_their_timeout_do_not_wait_for_ever() {
    let stage = Stage::new(1, Gate::open());
    let held = stage.get();
    for _ in 0..5 {
        assert!(stage.runtime.block_on(stage.pool.get_timeout(Duration::from_millis(1))).is_err());
    }
    let waiting = || stage.runtime.block_on(stage.pool.state()).wait_count;
    assert_eq!(waiting(), 5, "five seem to wait");
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.utilization", Some(1.0)), ("pool.waiting", None)]);
    stage.give_back(held);
    assert_eq!(waiting(), 5, "and still do, though all is idle");
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(1.0)), ("pool.waiting", None)]);
}

#[test]
fn a_connection_that_is_opened_is_not_an_idle_pool() {
    let stage = Stage::new(2, Gate::closed());
    stage.watched.flush().assert(&[("pool.open", Some(0.0)), ("pool.in_use", None)]);
    let cut = stage.runtime.block_on(stage.pool.get_timeout(Duration::from_millis(1)));
    assert!(cut.is_err());
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.open", Some(0.0)), ("pool.in_use", None), ("pool.utilization", None)]);
}

#[derive(Debug, Default)]
struct Level(Mutex<f64>);

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        *self.0.lock().unwrap() += value;
    }

    fn decrement(&self, value: f64) {
        *self.0.lock().unwrap() -= value;
    }

    fn set(&self, value: f64) {
        *self.0.lock().unwrap() = value;
    }
}

/// Keeps one gauge of the facade: what mobc says of all its pools together.
#[derive(Debug, Default)]
struct IdleOfAll(Arc<Level>);

impl Recorder for IdleOfAll {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let is_idle = key.name() == "mobc_pool_connections_idle";
        if is_idle { Gauge::from_arc(Arc::clone(&self.0)) } else { Gauge::noop() }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_second_pool_changes_nothing_of_the_first() {
    let recorder = IdleOfAll::default();
    let naive = || *recorder.0.0.lock().unwrap();
    with_local_recorder(&recorder, || {
        let stage = Stage::new(2, Gate::open());
        stage.give_back(stage.get());
        assert_eq!(naive(), 1.0);
        let _second = Pool::builder().build(Doors { gate: Gate::open(), _alive: Arc::new(()) });
        assert_eq!(naive(), 0.0, "though the first has one");
        stage.watched.flush().assert(&[("pool.idle", Some(1.0)), ("pool.in_use", Some(0.0))]);
        let held = stage.get();
        assert_eq!(naive(), -1.0);
        stage.watched.flush().assert(&[("pool.idle", Some(0.0)), ("pool.in_use", Some(1.0))]);
        stage.give_back(held);
    });
}

#[test]
fn the_maximum_is_the_limit_and_not_what_was_set_later() {
    let stage = Stage::new(1, Gate::open());
    stage.watched.flush().assert(&[("pool.max", Some(1.0))]);
    stage.runtime.block_on(stage.pool.set_max_open_conns(50));
    let held = stage.get();
    assert!(stage.runtime.block_on(stage.pool.get_timeout(Duration::from_millis(1))).is_err(), "it is 1");
    stage.watched.flush().assert(&[("pool.max", Some(1.0)), ("pool.utilization", Some(1.0))]);
    stage.give_back(held);
    Stage::new(0, Gate::open()).watched.flush().assert(&[("pool.max", Some(10_000.0))]);
}

#[test]
fn a_watch_keeps_a_pool_until_it_is_dropped() {
    let alive = Arc::new(());
    let stage = Stage::with_manager(1, Doors { gate: Gate::open(), _alive: Arc::clone(&alive) });
    stage.give_back(stage.get());
    drop(stage.pool);
    stage.watched.flush().assert(&[("pool.idle", Some(1.0))]);
    drop(stage.watch);
    assert!(stage.watched.flush().is_empty());
    wait_until(|| Arc::strong_count(&alive) == 1);
}

#[test]
fn readings_and_callers_of_a_pool_do_not_hold_each_other_up() {
    let stage = Stage::new(2, Gate::open());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let pool = stage.pool.clone();
            runtime.spawn(async move {
                for _ in 0..500 {
                    let _held = pool.get_timeout(PATIENCE).await.unwrap();
                }
            })
        })
        .collect();
    let mut read = 0;
    while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
        let flushed = stage.watched.flush();
        assert!(flushed.value("pool.in_use").is_none_or(|used| used <= 2.0), "{flushed:?}");
        read += u32::from(flushed.value("pool.max") == Some(2.0));
    }
    assert!(read > 0);
    for call in calls {
        runtime.block_on(call).unwrap();
    }
}
