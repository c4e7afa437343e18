//! What is said of a pool of deadpool is true while its connections are opened, and after it was closed or made
//! smaller.
#![cfg(feature = "deadpool")]

#[path = "pools/gate.rs"]
mod gate;
mod support;
#[path = "pools/watched.rs"]
mod watched;

use deadpool::managed::{self, Manager, Metrics, Object, Pool, RecycleResult};
use gate::Gate;
use std::sync::Arc;
use support::wait_until;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use watched::Watched;

#[derive(Clone, Debug)]
struct Doors(Arc<Gate>);

impl Manager for Doors {
    type Type = ();
    type Error = ();

    async fn create(&self) -> Result<(), ()> {
        self.0.pass().await;
        Ok(())
    }

    async fn recycle(&self, (): &mut (), _: &Metrics) -> RecycleResult<()> {
        Ok(())
    }
}

type Call = JoinHandle<Object<Doors>>;

struct Stage {
    runtime: Runtime,
    gate: Arc<Gate>,
    pool: Pool<Doors>,
    watched: Watched,
}

impl Stage {
    fn new(max: usize, gate: Gate) -> Self {
        let gate = Arc::new(gate);
        let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let pool = Pool::builder(Doors(Arc::clone(&gate))).max_size(max).build().unwrap();
        let watched = Watched::new();
        watched.client().watch_deadpool("primary", &pool).detach();
        Self { runtime, gate, pool, watched }
    }

    fn get(&self) -> Object<Doors> {
        self.runtime.block_on(self.pool.get()).unwrap()
    }

    /// Calls that are under way when this returns.
    fn call(&self, calls: usize) -> Vec<Call> {
        let before = users(self.pool.status());
        let spawned = (0..calls).map(|_| {
            let pool = self.pool.clone();
            self.runtime.spawn(async move { pool.get().await.unwrap() })
        });
        let spawned = spawned.collect();
        wait_until(|| users(self.pool.status()) == before + calls);
        spawned
    }

    fn wait_for_users(&self, expected: usize) {
        wait_until(|| users(self.pool.status()) == expected);
    }
}

fn users(status: managed::Status) -> usize {
    status.size - status.available + status.waiting
}

/// What a program says that takes the words of a status for what they seem.
fn naive(status: managed::Status) -> (usize, usize, f64) {
    let in_use = status.size - status.available;
    (in_use, status.waiting, in_use as f64 / status.max_size as f64)
}

#[test]
fn callers_that_open_a_connection_have_a_slot_and_do_not_wait() {
    let stage = Stage::new(4, Gate::closed());
    let mut calls = stage.call(4);
    assert_eq!(naive(stage.pool.status()), (0, 4, 0.0), "nobody uses it, and four wait");
    let full = [("pool.in_use", Some(4.0)), ("pool.max", Some(4.0)), ("pool.utilization", Some(1.0))];
    let flushed = stage.watched.flush();
    flushed.assert(&full);
    flushed.assert(&[("pool.open", Some(0.0)), ("pool.waiting", Some(0.0)), ("pool.closed", Some(0.0))]);
    flushed.assert(&[("pool.idle", None), ("pool.opening", None), ("pool.held_units", None)]);

    calls.extend(stage.call(2));
    let flushed = stage.watched.flush();
    flushed.assert(&full);
    flushed.assert(&[("pool.open", Some(0.0)), ("pool.waiting", Some(2.0))]);

    stage.gate.let_through(3);
    wait_until(|| stage.pool.status().size == 3);
    let flushed = stage.watched.flush();
    flushed.assert(&full);
    flushed.assert(&[("pool.open", Some(3.0)), ("pool.waiting", Some(2.0))]);

    // Whoever gives up leaves no trace.
    calls.pop().unwrap().abort();
    stage.wait_for_users(5);
    stage.watched.flush().assert(&[("pool.in_use", Some(4.0)), ("pool.waiting", Some(1.0))]);

    stage.gate.let_through(1);
    drop(calls);
    // The tasks end, and what they hold comes back.
    stage.wait_for_users(0);
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.waiting", Some(0.0)), ("pool.open", Some(4.0))]);
}

#[test]
fn an_idle_connection_beside_one_that_is_opened_takes_no_slot() {
    let stage = Stage::new(3, Gate::closed());
    stage.gate.let_through(1);
    let first = stage.get();
    let calls = stage.call(1);
    stage.watched.flush().assert(&[("pool.in_use", Some(2.0)), ("pool.open", Some(1.0))]);
    drop(first);
    let status = stage.pool.status();
    assert_eq!((status.size, status.available), (1, 0), "it seems to be in use");
    stage.watched.flush().assert(&[
        ("pool.in_use", Some(1.0)),
        ("pool.open", Some(1.0)),
        ("pool.waiting", Some(0.0)),
        ("pool.idle", None),
    ]);
    drop(calls);
}

#[test]
fn a_closed_pool_is_closed_and_has_no_maximum() {
    let stage = Stage::new(2, Gate::open());
    let held = stage.get();
    stage.pool.close();
    assert_eq!(naive(stage.pool.status()).2, f64::INFINITY);
    let closed = [("pool.closed", Some(1.0)), ("pool.max", None), ("pool.utilization", None)];
    let flushed = stage.watched.flush();
    flushed.assert(&closed);
    flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.open", Some(1.0)), ("pool.waiting", Some(0.0))]);

    drop(held);
    assert!(naive(stage.pool.status()).2.is_nan());
    let flushed = stage.watched.flush();
    flushed.assert(&closed);
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.open", Some(0.0)), ("pool.waiting", Some(0.0))]);
}

#[test]
fn a_pool_that_was_made_smaller_is_full_and_not_fuller() {
    let stage = Stage::new(2, Gate::open());
    let (first, second) = (stage.get(), stage.get());
    let calls = stage.call(1);
    stage.pool.resize(1);
    assert_eq!(naive(stage.pool.status()), (2, 1, 2.0), "200 %");
    stage.watched.flush().assert(&[
        ("pool.in_use", Some(2.0)),
        ("pool.max", Some(1.0)),
        ("pool.utilization", Some(1.0)),
        ("pool.waiting", Some(1.0)),
    ]);
    drop(first);
    stage.watched.flush().assert(&[("pool.in_use", Some(1.0)), ("pool.waiting", Some(1.0))]);
    drop(second);
    wait_until(|| calls.iter().all(JoinHandle::is_finished));
    stage.watched.flush().assert(&[("pool.in_use", Some(1.0)), ("pool.waiting", Some(0.0))]);
}

#[test]
fn what_was_taken_out_of_the_pool_is_no_more_in_it() {
    let stage = Stage::new(2, Gate::open());
    let () = Object::take(stage.get());
    let _held = stage.get();
    stage.watched.flush().assert(&[("pool.in_use", Some(1.0)), ("pool.open", Some(1.0))]);
}

#[test]
fn a_watch_keeps_no_pool_alive_and_ends_with_it() {
    let stage = Stage::new(2, Gate::open());
    let weak = stage.pool.weak();
    let held = stage.get();
    assert!(!stage.watched.flush().is_empty());
    drop(stage.pool);
    assert!(weak.upgrade().is_none());
    assert!(stage.watched.flush().is_empty());
    assert_eq!(stage.watched.client().stats().contexts, 0);
    drop(held);
}
