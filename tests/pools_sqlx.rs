//! What is said of a pool of sqlx is true under load, while nothing answers, on a return, after a leak and after its
//! end.
//!
//! Most have a database in memory. Two need a PostgreSQL server, and say on standard error that they were skipped where
//! `TASKTAG_TEST_POSTGRES` does not say where the server's programs are: the folder with `postgres` and `initdb`.
//! `.ci/run` installs it.
#![cfg(all(unix, feature = "sqlx"))]

#[path = "pools/postgres.rs"]
mod postgres;
#[path = "pools/server.rs"]
mod server;
mod support;
#[path = "pools/watched.rs"]
mod watched;

use postgres::Postgres;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Connection, Database, Error, PgConnection, PgPool, Pool, Sqlite, SqlitePool};
use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use support::{PATIENCE, wait_until};
use tokio::runtime::{Builder, Runtime};
use watched::{Flushed, Watched};

// A connection that is dropped outside of its runtime panics, so each test is in its runtime throughout.

/// One that does nothing while the test does something else than waiting for it.
fn still_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn busy_runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

fn sqlite(runtime: &Runtime, max: u32) -> SqlitePool {
    let options = SqlitePoolOptions::new().max_connections(max).acquire_timeout(PATIENCE);
    runtime.block_on(options.connect("sqlite::memory:")).unwrap()
}

/// Has the runtime work until something is so.
fn drive_until(runtime: &Runtime, mut done: impl FnMut() -> bool) {
    wait_until(|| {
        runtime.block_on(tokio::time::sleep(Duration::from_millis(1)));
        done()
    });
}

fn watch<DB: Database>(pool: &Pool<DB>) -> Watched {
    let watched = Watched::new();
    watched.client().watch_sqlx("primary", pool).detach();
    watched
}

/// What a program says that subtracts.
fn naive_in_use<DB: Database>(pool: &Pool<DB>) -> f64 {
    f64::from(pool.size()) - pool.num_idle() as f64
}

/// What sqlx never knows is never said.
#[track_caller]
fn assert_unknown(flushed: &Flushed) {
    let unknown = ["pool.open", "pool.opening", "pool.held_units", "pool.waiting"];
    flushed.assert(&unknown.map(|name| (name, None)));
}

type Acquired = Result<PoolConnection<Sqlite>, Error>;

/// Polls a call at the moment at which it is woken, as a waiting task on another thread may be.
struct Hasty {
    call: Mutex<Option<Pin<Box<dyn Future<Output = Acquired> + Send>>>>,
    look: Box<dyn Fn() + Send + Sync>,
}

impl Wake for Hasty {
    fn wake(self: Arc<Self>) {
        let Some(mut call) = self.call.lock().unwrap().take() else { return };
        // It has taken the connection, and asks whether it still works.
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        (self.look)();
        drop((polled, call));
    }
}

#[test]
fn a_pool_whose_idle_count_wraps_is_full() {
    let runtime = still_runtime();
    let _entered = runtime.enter();
    let pool = sqlite(&runtime, 1);
    let watched = watch(&pool);
    let seen = Arc::new(Mutex::new(None));
    let look = {
        let (pool, seen) = (pool.clone(), Arc::clone(&seen));
        move || *seen.lock().unwrap() = Some((pool.size(), pool.num_idle(), watched.flush()))
    };
    runtime.block_on(async {
        let held = pool.acquire().await.unwrap();
        let mut call = Box::pin(pool.acquire());
        let hasty = Arc::new(Hasty { call: Mutex::default(), look: Box::new(look) });
        let waker = Waker::from(Arc::clone(&hasty));
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        *hasty.call.lock().unwrap() = Some(call);
        drop(held);
    });
    drive_until(&runtime, || seen.lock().unwrap().is_some());
    let (size, idle, flushed) = seen.lock().unwrap().take().unwrap();
    assert_eq!((size, idle), (1, usize::MAX), "it wraps");
    flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.idle", Some(0.0)), ("pool.utilization", Some(1.0))]);
    assert_unknown(&flushed);
}

#[test]
fn nothing_is_open_or_held_where_nobody_listens() {
    let runtime = busy_runtime();
    let _entered = runtime.enter();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("shop");
    let pool = PgPoolOptions::new().max_connections(5).acquire_timeout(PATIENCE);
    let pool = pool.connect_lazy_with(options.ssl_mode(PgSslMode::Disable));
    let watched = watch(&pool);
    watched.flush().assert(&[
        ("pool.in_use", Some(0.0)),
        ("pool.max", Some(5.0)),
        ("pool.closed", Some(0.0)),
    ]);
    let calls: Vec<_> = (0..3).map(|_| runtime.spawn(pool.acquire())).collect();
    wait_until(|| pool.size() == 3);
    assert_eq!(naive_in_use(&pool), 3.0, "though no connection is there");
    let flushed = watched.flush();
    flushed.assert(&[("pool.in_use", Some(3.0)), ("pool.utilization", Some(0.6)), ("pool.idle", Some(0.0))]);
    assert_unknown(&flushed);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    wait_until(|| pool.size() == 0);
    watched.flush().assert(&[("pool.in_use", Some(0.0))]);
}

#[test]
fn a_connection_that_is_being_returned_takes_a_slot_and_is_not_said_to_be_held() {
    let runtime = still_runtime();
    let _entered = runtime.enter();
    let pool = sqlite(&runtime, 2);
    let watched = watch(&pool);
    runtime.block_on(async {
        drop(pool.acquire().await.unwrap());
        assert_eq!(naive_in_use(&pool), 1.0, "though nobody holds it");
        let flushed = watched.flush();
        flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.idle", Some(0.0))]);
        assert_unknown(&flushed);
    });
    drive_until(&runtime, || pool.num_idle() == 1);
    watched.flush().assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(1.0))]);
}

#[test]
fn a_leaked_connection_takes_its_slot_for_ever_also_in_a_closed_pool() {
    let runtime = still_runtime();
    let _entered = runtime.enter();
    let pool = sqlite(&runtime, 2);
    let watched = watch(&pool);
    runtime.block_on(async { drop(pool.acquire().await.unwrap().leak()) });
    assert_eq!(naive_in_use(&pool), 1.0, "though nobody has it");
    watched.flush().assert(&[("pool.in_use", Some(1.0)), ("pool.utilization", Some(0.5))]);
    runtime.block_on(async { tokio::time::timeout(Duration::from_millis(20), pool.close()).await }).ok();
    for _ in 0..3 {
        watched.flush().assert(&[("pool.in_use", Some(1.0)), ("pool.closed", Some(1.0))]);
    }
}

#[test]
fn a_closed_pool_says_so_until_its_last_connection_came_back_and_then_once() {
    let runtime = still_runtime();
    let _entered = runtime.enter();
    let pool = sqlite(&runtime, 3);
    let watched = watch(&pool);
    let held = runtime.block_on(async {
        let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
        let [held, returned] = held;
        drop(returned);
        held
    });
    drive_until(&runtime, || pool.num_idle() == 1);
    watched.flush().assert(&[
        ("pool.in_use", Some(1.0)),
        ("pool.idle", Some(1.0)),
        ("pool.closed", Some(0.0)),
    ]);
    let closing = runtime.spawn({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    drive_until(&runtime, || pool.is_closed());
    assert!(matches!(runtime.block_on(pool.acquire()), Err(Error::PoolClosed)));
    let flushed = watched.flush();
    flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.idle", Some(1.0)), ("pool.closed", Some(1.0))]);

    drop(held);
    drive_until(&runtime, || closing.is_finished());
    let flushed = watched.flush();
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(0.0)), ("pool.closed", Some(1.0))]);
    assert!(watched.flush().is_empty(), "once");
    assert_eq!(watched.client().stats().contexts, 0);
}

/// Calls that take and return as fast as they can, and what is flushed meanwhile.
fn churn<DB: Database>(runtime: &Runtime, pool: &Pool<DB>, max: u32, times: u32)
where
    for<'c> PoolConnection<DB>: Send + 'c,
{
    let watched = watch(pool);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            runtime.spawn(async move {
                loop {
                    drop(pool.acquire().await.unwrap());
                }
            })
        })
        .collect();
    let mut taken = 0.0;
    for _ in 0..times {
        let flushed = watched.flush();
        flushed.assert(&[("pool.max", Some(max.into())), ("pool.closed", Some(0.0))]);
        let used = flushed.value("pool.in_use").unwrap();
        assert!((0.0..=f64::from(max)).contains(&used), "{flushed:?}");
        assert!(flushed.value("pool.idle").unwrap() <= f64::from(max), "{flushed:?}");
        assert_eq!(flushed.value("pool.utilization"), Some(used / f64::from(max)));
        assert_unknown(&flushed);
        taken += used;
    }
    assert!(taken > 0.0);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    wait_until(|| tasks.iter().all(tokio::task::JoinHandle::is_finished));
    wait_until(|| pool.num_idle() == pool.size() as usize);
    let size = f64::from(pool.size());
    watched.flush().assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(size))]);
}

#[test]
fn no_level_is_more_than_there_can_be_while_many_take_and_return() {
    let runtime = busy_runtime();
    let _entered = runtime.enter();
    let pool = sqlite(&runtime, 4);
    churn(&runtime, &pool, 4, 300);
}

fn postgres_pool(runtime: &Runtime, postgres: &Postgres, max: u32, patience: Duration) -> PgPool {
    let options: PoolOptions<_> = PgPoolOptions::new().max_connections(max).acquire_timeout(patience);
    runtime.block_on(options.connect_with(postgres.options())).unwrap()
}

/// How many connections the server has, but for the one that asks.
fn backends(runtime: &Runtime, asker: &mut PgConnection) -> i64 {
    const QUERY: &str = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
    runtime.block_on(sqlx::query_scalar::<_, i64>(QUERY).fetch_one(asker)).unwrap() - 1
}

#[test]
fn what_a_pool_of_a_server_says_is_what_the_server_has() {
    let Some(postgres) = Postgres::start() else { return };
    let runtime = busy_runtime();
    let _entered = runtime.enter();
    let mut asker = runtime.block_on(PgConnection::connect_with(&postgres.options())).unwrap();
    let pool = postgres_pool(&runtime, &postgres, 3, PATIENCE);
    let watched = watch(&pool);
    let held: Vec<_> = (0..3).map(|_| runtime.block_on(pool.acquire()).unwrap()).collect();
    assert_eq!(backends(&runtime, &mut asker), 3);
    watched.flush().assert(&[("pool.in_use", Some(3.0)), ("pool.idle", Some(0.0))]);
    drop(held);
    wait_until(|| pool.num_idle() == 3);
    watched.flush().assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(3.0))]);

    let detached = runtime.block_on(pool.acquire()).unwrap().detach();
    watched.flush().assert(&[("pool.in_use", Some(0.0)), ("pool.idle", Some(2.0))]);
    assert_eq!(backends(&runtime, &mut asker), 3, "it is open, but no more the pool's");
    runtime.block_on(detached.close()).unwrap();
    churn(&runtime, &pool, 3, 300);

    runtime.block_on(pool.close());
    watched.flush().assert(&[("pool.in_use", Some(0.0)), ("pool.closed", Some(1.0))]);
    assert!(watched.flush().is_empty());
    wait_until(|| backends(&runtime, &mut asker) == 0);
}

#[test]
fn a_call_that_the_server_has_no_connection_for_takes_a_slot() {
    let Some(postgres) = Postgres::start_with(&["max_connections=3", "superuser_reserved_connections=0"])
    else {
        return;
    };
    let runtime = busy_runtime();
    let _entered = runtime.enter();
    let _others: Vec<_> =
        (0..3).map(|_| runtime.block_on(PgConnection::connect_with(&postgres.options())).unwrap()).collect();
    let pool = {
        let _entered = runtime.enter();
        PgPoolOptions::new()
            .max_connections(5)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(postgres.options())
    };
    let watched = watch(&pool);
    let refused = runtime.block_on(PgConnection::connect_with(&postgres.options())).unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("53300"));
    // It is refused too, and tries again.
    let call = runtime.spawn(pool.acquire());
    wait_until(|| pool.size() == 1);
    watched.flush().assert(&[("pool.in_use", Some(1.0)), ("pool.utilization", Some(0.2))]);
    call.abort();
    wait_until(|| pool.size() == 0);
    watched.flush().assert(&[("pool.in_use", Some(0.0))]);
}
