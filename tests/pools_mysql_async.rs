//! What is said of a pool of `mysql_async` is true while its connections are opened and reset, and after its end.
//!
//! Most need a MariaDB server, and say on standard error that they were skipped where `TASKTAG_TEST_MARIADB` does not
//! say where the program `mariadbd` is. `.ci/run` installs it.
#![cfg(all(unix, feature = "mysql_async"))]

#[path = "pools/mariadb.rs"]
mod mariadb;
#[path = "pools/server.rs"]
mod server;
mod support;
#[path = "pools/watched.rs"]
mod watched;

use mariadb::{MariaDb, keeping};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Metrics, OptsBuilder, Pool};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::wait_until;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use watched::Watched;

const MAX: usize = 2;

struct Stage {
    watched: Watched,
    pool: Pool,
    runtime: Runtime,
}

impl Stage {
    fn new(options: OptsBuilder) -> Self {
        // Nothing goes on while the test does something else than waiting for it.
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let pool = Pool::new(options.pool_opts(keeping(MAX)));
        let watched = Watched::new();
        watched.client().watch_mysql_async("primary", &pool, MAX).detach();
        Self { watched, pool, runtime }
    }

    fn get(&self) -> Conn {
        self.runtime.block_on(self.pool.get_conn()).unwrap()
    }

    fn call(&self) -> JoinHandle<mysql_async::Result<()>> {
        let call = self.pool.get_conn();
        self.runtime.spawn(async move { call.await.map(drop) })
    }

    /// Has the runtime work until the pool says so.
    fn drive_until(&self, done: impl Fn(&Metrics) -> bool) {
        let metrics = self.pool.metrics();
        wait_until(|| {
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
            done(&metrics)
        });
    }
}

fn level(level: &AtomicUsize) -> usize {
    level.load(Ordering::Relaxed)
}

#[test]
fn a_connection_that_is_reset_takes_a_slot_and_is_not_held() {
    let Some(mariadb) = MariaDb::start() else { return };
    let stage = Stage::new(mariadb.options());
    let (first, second) = (stage.get(), stage.get());
    stage.watched.flush().assert(&[("pool.in_use", Some(2.0)), ("pool.held_units", Some(2.0))]);
    drop(first);
    let metrics = stage.pool.metrics();
    let naive = level(&metrics.connections_in_use) + level(&metrics.connections_in_pool);
    assert_eq!((naive, level(&metrics.connection_count)), (1, 2), "one seems to be gone");
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(2.0)), ("pool.held_units", Some(1.0)), ("pool.idle", Some(0.0))]);
    flushed.assert(&[("pool.max", Some(2.0)), ("pool.utilization", Some(1.0)), ("pool.waiting", Some(0.0))]);
    flushed.assert(&[("pool.open", None), ("pool.opening", None), ("pool.closed", None)]);

    stage.drive_until(|metrics| level(&metrics.connections_in_pool) == 1);
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.held_units", Some(1.0)), ("pool.idle", Some(1.0))]);
    let counted = [("pool.connection_returned_to_pool", Some(1.0)), ("pool.resetting_connection", Some(1.0))];
    flushed.assert(&counted);
    stage.watched.flush().assert(&counted.map(|(name, _)| (name, None)));
    stage.runtime.block_on(async { drop(second) });
    stage.runtime.block_on(stage.pool.disconnect()).unwrap();
}

#[test]
fn callers_wait_until_they_give_up() {
    let Some(mariadb) = MariaDb::start() else { return };
    let stage = Stage::new(mariadb.options());
    let held = [stage.get(), stage.get()];
    let calls: Vec<_> = (0..3).map(|_| stage.call()).collect();
    stage.drive_until(|metrics| level(&metrics.active_wait_requests) == 3);
    stage.watched.flush().assert(&[("pool.waiting", Some(3.0)), ("pool.utilization", Some(1.0))]);
    calls[0].abort();
    stage.drive_until(|metrics| level(&metrics.active_wait_requests) == 2);
    stage.watched.flush().assert(&[("pool.waiting", Some(2.0)), ("pool.in_use", Some(2.0))]);
    stage.runtime.block_on(async { drop(held) });
    stage.drive_until(|metrics| level(&metrics.connections_in_pool) == 2);
    assert!(calls.iter().all(JoinHandle::is_finished));
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.waiting", Some(0.0)), ("pool.in_use", Some(0.0)), ("pool.idle", Some(2.0))]);
    stage.runtime.block_on(stage.pool.disconnect()).unwrap();
}

#[test]
fn what_a_pool_says_is_what_the_server_has() {
    let Some(mariadb) = MariaDb::start() else { return };
    let stage = Stage::new(mariadb.options());
    let mut held = [stage.get(), stage.get()];
    let connections = "select count(*) from information_schema.processlist where user = 'shop'";
    let known: Option<u32> = stage.runtime.block_on(held[0].query_first(connections)).unwrap();
    assert_eq!(known, Some(2));
    stage.watched.flush().assert(&[("pool.in_use", Some(2.0)), ("pool.held_units", Some(2.0))]);
    // A connection that the server closed is not returned.
    let [mut first, mut second] = held;
    stage.runtime.block_on(async {
        let killed = first.id();
        second.query_drop(format!("kill {killed}")).await.unwrap();
        let _ = first.query_drop("select 1").await;
        drop(first);
    });
    stage.drive_until(|metrics| level(&metrics.connection_count) == 1);
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(1.0)), ("pool.held_units", Some(1.0)), ("pool.idle", Some(0.0))]);
    stage.runtime.block_on(async { drop(second) });
    stage.runtime.block_on(stage.pool.disconnect()).unwrap();
}

#[test]
fn a_watch_keeps_no_pool_alive_and_ends_with_it() {
    let Some(mariadb) = MariaDb::start() else { return };
    let stage = Stage::new(mariadb.options());
    drop(stage.get());
    stage.drive_until(|metrics| level(&metrics.connections_in_pool) == 1);
    let alive = std::sync::Arc::downgrade(&stage.pool.metrics());
    stage.watched.flush().assert(&[("pool.idle", Some(1.0))]);
    stage.runtime.block_on(stage.pool.disconnect()).unwrap();
    drop(stage.runtime);
    assert!(alive.upgrade().is_none());
    assert!(stage.watched.flush().is_empty());
    assert_eq!(stage.watched.client().stats().contexts, 0);
}

#[test]
fn a_server_that_is_silent_takes_slots_and_is_held_by_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port);
    let stage = Stage::new(options.prefer_socket(false));
    let calls: Vec<_> = (0..3).map(|_| stage.call()).collect();
    stage.drive_until(|metrics| level(&metrics.active_wait_requests) == 1);
    let metrics = stage.pool.metrics();
    assert_eq!((level(&metrics.connection_count), level(&metrics.connections_in_use)), (2, 0));
    let flushed = stage.watched.flush();
    flushed.assert(&[
        ("pool.in_use", Some(2.0)),
        ("pool.held_units", Some(0.0)),
        ("pool.waiting", Some(1.0)),
    ]);
    flushed.assert(&[("pool.open", None), ("pool.create_failed", None)]);

    calls.iter().for_each(JoinHandle::abort);
    stage.drive_until(|metrics| level(&metrics.connection_count) == 0);
    let failed = level(&metrics.create_failed);
    assert!(failed >= 2, "it also counts what was cancelled: {failed}");
    let flushed = stage.watched.flush();
    flushed.assert(&[("pool.in_use", Some(0.0)), ("pool.waiting", Some(0.0))]);
    assert_eq!(flushed.value("pool.create_failed"), Some(failed as f64));
}
