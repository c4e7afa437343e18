//! [mysql_async](https://docs.rs/mysql_async) 0.37.1: watches pools.
//!
//! ```
//! use mysql_async::{Opts, Pool};
//!
//! # fn watch(client: &tasktag::Client) -> Result<(), mysql_async::UrlError> {
//! let opts = Opts::from_url("mysql://shop@localhost/shop?pool_min=0&pool_max=10")?;
//! let pool = Pool::new(opts.clone());
//! client.watch_mysql_async("primary", &pool, opts.pool_opts().constraints().max()).detach();
//! # Ok(())
//! # }
//! ```
//!
//! The client reads the pool's own `metrics()` at every collection, four times a second by default, and never waits.
//! The gauges are those of [`PoolStatus`], by the formula of [`PoolStatus::from_mysql_async`]. The counters have the
//! names that the pool gives them:
//!
//! | metric | meaning |
//! |---|---|
//! | `pool.max` | the maximum that you pass, because a pool does not tell it; 100 by default |
//! | `pool.idle` | connections in the pool |
//! | `pool.held_units` | connections that callers hold |
//! | `pool.in_use` | slots that are taken: by connections that are held, being opened, checked or reset |
//! | `pool.utilization` | `in_use` divided by `max` |
//! | `pool.waiting` | callers that wait |
//! | `pool.create_failed` | a counter: failed connects, and also cancelled ones, idle connections that turned out to be dead, and panics of those that held one |
//! | `pool.connection_returned_to_pool` | a counter |
//! | `pool.resetting_connection` | a counter: connections that were reset on their return |
//! | `pool.dirty_connection_return` | a counter: connections that were cleaned on their return |
//! | `pool.discarded_superfluous_connection` | a counter: connections beyond the minimum that were closed on their return |
//! | `pool.discarded_unestablished_connection` | a counter: connections that were closed when they came back |
//! | `pool.discarded_expired_connection` | a counter |
//! | `pool.discarded_error_during_cleanup` | a counter |
//!
//! The pool has no time-out for a wait, and does not measure how long one takes.
//!
//! # What ends the watch
//!
//! The watch does not keep the pool alive: it ends by itself once the pool and its connections are gone.
//!
//! Extra dependency: `mysql_async` with `minimal-rust`, compression in Rust; with another of its features for
//! compression, that one is used.

use super::counted_pool::{CountedPool, Totals};
use crate::api::client::Client;
use crate::api::watch::{PoolStatus, WatchBuilder};
use crate::callback::probe::Watch;
use mysql_async::{Metrics, Pool};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const COUNTERS: [&str; 8] = [
    "create_failed",
    "connection_returned_to_pool",
    "resetting_connection",
    "dirty_connection_return",
    "discarded_superfluous_connection",
    "discarded_unestablished_connection",
    "discarded_expired_connection",
    "discarded_error_during_cleanup",
];

/// With the feature `mysql_async`.
impl Client {
    /// Watches a pool of `mysql_async` with at most `max` connections under the default names: see
    /// [`integrations::mysql_async`](crate::integrations::mysql_async). To set a prefix or tags, use
    /// [`pool`](Self::pool) and [`WatchBuilder::watch_mysql_async`].
    pub fn watch_mysql_async(&self, name: &str, pool: &Pool, max: usize) -> Watch {
        self.pool(name).watch_mysql_async(pool, max)
    }
}

/// With the feature `mysql_async`.
impl WatchBuilder<'_, PoolStatus> {
    /// Watches a pool of `mysql_async` with at most `max` connections: see
    /// [`integrations::mysql_async`](crate::integrations::mysql_async).
    ///
    /// ```
    /// # use tasktag::{Client, Watch};
    /// fn watch(client: &Client, pool: &mysql_async::Pool) -> Watch {
    ///     client.pool("primary").prefix("db.connections").tag("role", "writer").watch_mysql_async(pool, 10)
    /// }
    /// ```
    pub fn watch_mysql_async(self, pool: &Pool, max: usize) -> Watch {
        let metrics = pool.metrics();
        let mut totals = Totals::new(COUNTERS, totals(&metrics));
        let watched = Arc::downgrade(&metrics);
        self.with_status().watch_while(move || Some(status(&*watched.upgrade()?, max, &mut totals)))
    }
}

type Counted = CountedPool<{ COUNTERS.len() }>;

fn status(metrics: &Metrics, max: usize, last: &mut Totals<{ COUNTERS.len() }>) -> Counted {
    let level = |level: &AtomicUsize| level.load(Ordering::Relaxed);
    let status = PoolStatus::from_mysql_async(
        max,
        level(&metrics.connection_count),
        level(&metrics.connections_in_pool),
        level(&metrics.connections_in_use),
        level(&metrics.active_wait_requests),
    );
    CountedPool { status, counts: last.read(totals(metrics)) }
}

/// In the order of [`COUNTERS`].
fn totals(metrics: &Metrics) -> [u64; COUNTERS.len()] {
    [
        &metrics.create_failed,
        &metrics.connection_returned_to_pool,
        &metrics.resetting_connection,
        &metrics.dirty_connection_return,
        &metrics.discarded_superfluous_connection,
        &metrics.discarded_unestablished_connection,
        &metrics.discarded_expired_connection,
        &metrics.discarded_error_during_cleanup,
    ]
    .map(|total| total.load(Ordering::Relaxed) as u64)
}
