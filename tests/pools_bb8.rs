//! What is said of a pool of bb8 is true while its server is down, its connections are opened and its callers give up.
#![cfg(feature = "bb8")]

#[path = "pools/gate.rs"]
mod gate;
mod support;
#[path = "pools/watched.rs"]
mod watched;

use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use gate::Gate;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{PATIENCE, in_time, wait_until};
use tasktag::Watch;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use watched::Watched;

/// What a dropped connection tells: the thread, and whether there was a runtime.
type Farewell = (Option<String>, bool);

#[derive(Debug)]
struct Door {
    farewells: mpsc::UnboundedSender<Farewell>,
    is_broken: bool,
}

impl Drop for Door {
    fn drop(&mut self) {
        let thread = std::thread::current().name().map(str::to_owned);
        let _ = self.farewells.send((thread, Handle::try_current().is_ok()));
    }
}

#[derive(Debug)]
struct Doors {
    gate: Arc<Gate>,
    is_down: Arc<AtomicBool>,
    farewells: mpsc::UnboundedSender<Farewell>,
}

impl ManageConnection for Doors {
    type Connection = Door;
    type Error = &'static str;

    async fn connect(&self) -> Result<Door, &'static str> {
        self.gate.pass().await;
        if self.is_down.load(Ordering::Relaxed) {
            return Err("down");
        }
        Ok(Door { farewells: self.farewells.clone(), is_broken: false })
    }

    async fn is_valid(&self, _: &mut Door) -> Result<(), &'static str> {
        Ok(())
    }

    fn has_broken(&self, door: &mut Door) -> bool {
        door.is_broken
    }
}

struct Stage {
    watched: Watched,
    watch: Watch,
    pool: Pool<Doors>,
    gate: Arc<Gate>,
    is_down: Arc<AtomicBool>,
    farewells: mpsc::UnboundedReceiver<Farewell>,
    runtime: Runtime,
}

impl Stage {
    fn new(max: u32, gate: Gate, patience: Duration) -> Self {
        let (gate, is_down) = (Arc::new(gate), Arc::new(AtomicBool::new(false)));
        let (farewell, farewells) = mpsc::unbounded_channel();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let manager = Doors { gate: Arc::clone(&gate), is_down: Arc::clone(&is_down), farewells: farewell };
        // Without a limit in time there is no task that looks for it.
        let builder = Pool::builder().max_lifetime(None).idle_timeout(None);
        let builder = builder.max_size(max).connection_timeout(patience);
        let (watched, entered) = (Watched::new(), runtime.enter());
        let pool = builder.build_unchecked(manager);
        let watch = watched.client().watch_bb8("primary", &pool);
        drop(entered);
        Self { watched, watch, pool, gate, is_down, farewells, runtime }
    }

    fn get(&self) -> PooledConnection<'_, Doors> {
        self.runtime.block_on(self.pool.get()).unwrap()
    }

    /// A call that is dropped after it was polled.
    fn cut_call(&self) {
        let cut = async { tokio::time::timeout(Duration::ZERO, self.pool.get()).await.is_err() };
        assert!(self.runtime.block_on(cut), "it was cut from outside");
    }
}

#[test]
fn calls_that_were_cut_from_outside_do_not_wait_for_ever() {
    let stage = Stage::new(2, Gate::open(), PATIENCE);
    let (first, second) = (stage.get(), stage.get());
    for _ in 0..5 {
        stage.cut_call();
    }
    assert_eq!(stage.pool.state().statistics.pending_gets(), 5, "five seem to wait");
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(2.0)), ("pool.open", Some(2.0)), ("pool.utilization", Some(1.0))]);
    flushed.assert(&[("pool.waiting", None), ("pool.timeouts", None), ("pool.held_units", None)]);

    drop((first, second));
    assert_eq!(stage.pool.state().statistics.pending_gets(), 5, "and still do, though all is idle");
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(2.0)), ("pool.waiting", None)]);
}

#[test]
fn a_server_that_is_down_is_not_an_idle_pool() {
    let stage = Stage::new(2, Gate::open(), Duration::from_millis(20));
    stage.is_down.store(true, Ordering::Relaxed);
    for calls in [1_u32, 2] {
        for _ in 0..calls {
            let ended = stage.runtime.block_on(stage.pool.get()).map(drop);
            assert!(matches!(ended, Err(RunError::TimedOut)), "it does not say why");
        }
        let seen = stage.pool.state();
        assert_eq!((seen.connections, seen.idle_connections), (0, 0), "0 % in use");
        let flushed = stage.watched.flush();
        flushed.assert(&[
            ("pool.open", Some(0.0)),
            ("pool.max", Some(2.0)),
            ("pool.timeouts", Some(calls.into())),
        ]);
        flushed.assert(&[("pool.in_use", None), ("pool.utilization", None), ("pool.idle", None)]);
    }
    stage.is_down.store(false, Ordering::Relaxed);
    wait_until(|| stage.runtime.block_on(stage.pool.get()).is_ok());
    let flushed = stage.watched.flush();
    assert!(flushed.value("pool.open") >= Some(1.0));
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.utilization", Some(0.0))]);
}

#[test]
fn a_call_that_opens_a_connection_has_not_waited_for_one() {
    let stage = Stage::new(2, Gate::closed(), PATIENCE);
    stage.runtime.block_on(async {
        let opening = async { stage.gate.let_through(1) };
        let (held, ()) = tokio::join!(stage.pool.get(), opening);
        assert_eq!(stage.pool.state().statistics.get_waited, 1, "it seems to have been contended");
        let flushed = stage.watched.flush();
        flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.waiting", None), ("pool.timeouts", None)]);
        drop(held);
    });
}

#[test]
fn what_timed_out_before_the_watch_is_not_counted() {
    let stage = Stage::new(1, Gate::open(), Duration::from_millis(20));
    // A busy machine may take longer than that to open a connection.
    let held = in_time(|| stage.runtime.block_on(stage.pool.get()).ok());
    stage.watched.flush();
    assert!(stage.runtime.block_on(stage.pool.get()).is_err());
    stage.watched.flush().assert(&[("pool.timeouts", Some(1.0)), ("pool.utilization", Some(1.0))]);
    let later = Watched::new();
    let _watch = later.client().watch_bb8("primary", &stage.pool);
    later.flush().assert(&[("pool.timeouts", None), ("pool.in_use", Some(1.0))]);
    drop(held);
}

#[test]
fn a_broken_connection_is_open_no_more() {
    let stage = Stage::new(2, Gate::open(), PATIENCE);
    let mut broken = stage.get();
    let _held = stage.get();
    broken.is_broken = true;
    drop(broken);
    stage.watched.flush().assert(&[("pool.open", Some(1.0)), ("pool.in_use", Some(1.0))]);
}

#[test]
fn the_last_to_have_a_pool_drops_its_connections_in_their_runtime() {
    let mut stage = Stage::new(2, Gate::open(), PATIENCE);
    drop((stage.get(), stage.get()));
    // The tasks that opened the connections have the pool too.
    wait_until(|| stage.runtime.metrics().num_alive_tasks() == 0);
    drop(stage.pool);
    assert!(stage.farewells.try_recv().is_err(), "the watch has the pool");
    stage.watched.flush().assert(&[("pool.open", Some(2.0)), ("pool.idle", Some(2.0))]);
    drop(stage.watch);
    assert!(stage.watched.flush().is_empty());
    for _ in 0..2 {
        assert_eq!(stage.farewells.blocking_recv(), Some((Some("tasktag-probes".to_owned()), true)));
    }
}
