//! [bb8](https://docs.rs/bb8) 0.9.1: watches pools.
//!
//! ```
//! # use tasktag::Client;
//! # async fn watch<M: bb8::ManageConnection>(client: &Client, manager: M) -> Result<(), M::Error> {
//! let pool = bb8::Pool::builder().max_size(10).build(manager).await?;
//! let _watch = client.watch_bb8("primary", &pool);
//! # Ok(())
//! # }
//! ```
//!
//! The client reads the pool at every collection, four times a second by default. The gauges are those of
//! [`PoolStatus`], by the formula of [`PoolStatus::from_bb8`], and there is a counter:
//!
//! | metric | meaning |
//! |---|---|
//! | `pool.max` | `max_size` |
//! | `pool.open` | open connections, without those that are being opened |
//! | `pool.idle` | connections that wait for a caller |
//! | `pool.in_use` | connections that are held or being checked; absent while none is open |
//! | `pool.utilization` | `in_use` divided by `max`; absent while none is open |
//! | `pool.timeouts` | a counter: calls that ended with bb8's own `connection_timeout`, also because the server is down |
//!
//! bb8 does not say how many callers wait, and its errors hide why no connection was opened. Time-outs while
//! `pool.open` is below the maximum mean that the server does not answer; time-outs at the maximum, that the pool is
//! too small or its connections are held for too long. A call that is cut from outside, for example by
//! `tokio::time::timeout`, is counted nowhere.
//!
//! # What ends the watch
//!
//! bb8 has no weak handle and can't be closed. The watch has a clone of the pool, which stays open until the
//! [`Watch`] is dropped: keep the two together, and [detach](Watch::detach) it only if the pool lives as long as the
//! client. Start it in the pool's runtime. If the watch is the last to have the pool, its connections are dropped in
//! that runtime, on the thread `tasktag-probes`.
//!
//! Extra dependencies: `bb8`, and `tokio` with `rt` and `sync`, which bb8 needs too.

use super::counted_pool::{CountedPool, Totals};
use super::in_runtime::InRuntime;
use crate::api::client::Client;
use crate::api::watch::{PoolStatus, WatchBuilder};
use crate::callback::probe::Watch;
use bb8::{ManageConnection, Pool};

/// With the feature `bb8`.
impl Client {
    /// Watches a pool of bb8 under the default names: see [`integrations::bb8`](crate::integrations::bb8). To set a
    /// prefix or tags, use [`pool`](Self::pool) and [`WatchBuilder::watch_bb8`].
    pub fn watch_bb8<M: ManageConnection>(&self, name: &str, pool: &Pool<M>) -> Watch {
        self.pool(name).watch_bb8(pool)
    }
}

/// With the feature `bb8`.
impl WatchBuilder<'_, PoolStatus> {
    /// Watches a pool of bb8: see [`integrations::bb8`](crate::integrations::bb8).
    ///
    /// ```
    /// # use tasktag::{Client, Watch};
    /// fn watch<M: bb8::ManageConnection>(client: &Client, pool: &bb8::Pool<M>) -> Watch {
    ///     client.pool("primary").prefix("db.connections").tag("role", "writer").watch_bb8(pool)
    /// }
    /// ```
    pub fn watch_bb8<M: ManageConnection>(self, pool: &Pool<M>) -> Watch {
        let mut totals = Totals::new(["timeouts"], [pool.state().statistics.get_timed_out]);
        let watched = InRuntime::new(pool.clone());
        self.with_status().watch_while(move || watched.read(|pool| Some(status(pool, &mut totals))))
    }
}

fn status<M: ManageConnection>(pool: &Pool<M>, totals: &mut Totals<1>) -> CountedPool<1> {
    let state = pool.state();
    CountedPool {
        status: PoolStatus::from_bb8(pool.config().max_size, state.connections, state.idle_connections),
        counts: totals.read([state.statistics.get_timed_out]),
    }
}
