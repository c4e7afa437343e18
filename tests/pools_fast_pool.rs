//! What the formula says of a pool of `fast_pool` is true while it opens connections, checks them and has idle ones.

#[path = "pools/gate.rs"]
mod gate;
mod support;
#[path = "pools/watched.rs"]
mod watched;

use fast_pool::{ConnectionGuard, Manager, Pool};
use gate::Gate;
use std::sync::Arc;
use support::wait_until;
use tasktag::PoolStatus;
use tokio::runtime::{Builder, Runtime};
use watched::Watched;

struct Doors {
    opening: Arc<Gate>,
    checking: Arc<Gate>,
}

impl Manager for Doors {
    type Connection = ();
    type Error = String;

    async fn connect(&self) -> Result<(), String> {
        self.opening.pass().await;
        Ok(())
    }

    async fn check(&self, (): &mut ()) -> Result<(), String> {
        self.checking.pass().await;
        Ok(())
    }
}

struct Stage {
    runtime: Runtime,
    pool: Pool<Doors>,
    watched: Watched,
    opening: Arc<Gate>,
    checking: Arc<Gate>,
}

impl Stage {
    fn new(max: u64, opening: Gate, checking: Gate) -> Self {
        let (opening, checking) = (Arc::new(opening), Arc::new(checking));
        let pool = Pool::new(Doors { opening: Arc::clone(&opening), checking: Arc::clone(&checking) });
        pool.set_max_open(max);
        let watched = Watched::new();
        let seen = pool.clone();
        let status = move || {
            let state = seen.state();
            PoolStatus::from_fast_pool(
                state.max_open,
                state.connections,
                state.in_use,
                state.idle,
                state.waits,
                state.connecting,
                state.checking,
            )
        };
        watched.client().watch_pool("primary", status).detach();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        Self { runtime, pool, watched, opening, checking }
    }

    fn get(&self) -> ConnectionGuard<Doors> {
        self.runtime.block_on(self.pool.get()).unwrap()
    }
}

#[test]
fn a_call_that_opens_a_connection_or_checks_it_lacks_no_slot() {
    let stage = Stage::new(2, Gate::closed(), Gate::closed());
    let call = stage.runtime.spawn({
        let pool = stage.pool.clone();
        async move { pool.get().await.unwrap() }
    });
    wait_until(|| stage.pool.state().connecting == 1);
    assert_eq!(stage.pool.state().waits, 1, "it seems to wait");
    let taken = [("pool.in_use", Some(1.0)), ("pool.utilization", Some(0.5)), ("pool.waiting", Some(0.0))];
    let flushed = stage.watched.flush();
    flushed.assert(&taken);
    flushed.assert(&[("pool.opening", Some(1.0)), ("pool.open", Some(0.0)), ("pool.held_units", Some(0.0))]);

    stage.opening.let_through(1);
    wait_until(|| stage.pool.state().checking == 1);
    let flushed = stage.watched.flush();
    flushed.assert(&taken);
    flushed.assert(&[("pool.opening", Some(0.0)), ("pool.open", Some(1.0)), ("pool.held_units", Some(0.0))]);

    stage.checking.let_through(1);
    let held = stage.runtime.block_on(call).unwrap();
    let flushed = stage.watched.flush();
    flushed.assert(&taken);
    flushed.assert(&[("pool.opening", Some(0.0)), ("pool.open", Some(1.0)), ("pool.held_units", Some(1.0))]);
    drop(held);
}

#[test]
fn a_pool_that_opened_all_for_a_load_of_one_is_not_full() {
    let stage = Stage::new(3, Gate::open(), Gate::open());
    for _ in 0..3 {
        drop(stage.get());
    }
    let seen = stage.pool.state();
    assert_eq!((seen.connections, seen.max_open), (3, 3), "100 % open");
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.utilization", Some(0.0)), ("pool.idle", Some(3.0))]);
}

#[test]
fn callers_that_lack_a_slot_wait_and_those_that_gave_up_do_not() {
    let stage = Stage::new(2, Gate::open(), Gate::open());
    let _held = [stage.get(), stage.get()];
    let call = stage.runtime.spawn({
        let pool = stage.pool.clone();
        async move { pool.get().await.map(drop) }
    });
    wait_until(|| stage.pool.state().waits == 1);
    let flushed = stage.watched.flush();
    flushed.assert(&[
        ("pool.in_use", Some(2.0)),
        ("pool.utilization", Some(1.0)),
        ("pool.waiting", Some(1.0)),
    ]);
    flushed.assert(&[("pool.held_units", Some(2.0)), ("pool.idle", Some(0.0)), ("pool.closed", None)]);
    call.abort();
    wait_until(|| stage.pool.state().waits == 0);
    stage.watched.flush().assert(&[("pool.in_use", Some(2.0)), ("pool.waiting", Some(0.0))]);
}
