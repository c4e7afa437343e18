//! [deadpool](https://docs.rs/deadpool) 0.13.1: watches managed pools, and those of the crates on top of it.
//!
//! ```
//! # use tasktag::Client;
//! use deadpool::managed::{BuildError, Manager, Pool};
//!
//! # fn watch<M: Manager + 'static>(client: &Client, manager: M) -> Result<(), BuildError> {
//! let pool = Pool::<M>::builder(manager).max_size(10).build()?;
//! client.watch_deadpool("primary", &pool).detach();
//! # Ok(())
//! # }
//! ```
//!
//! The client reads the pool at every collection, four times a second by default. The gauges are those of
//! [`PoolStatus`], by the formula of [`PoolStatus::from_deadpool`] with `pool.closed`:
//!
//! | gauge | meaning |
//! |---|---|
//! | `pool.max` | `max_size`; absent once the pool is closed |
//! | `pool.open` | objects that were created and belong to the pool |
//! | `pool.in_use` | slots that are taken: by callers that hold an object, create one or check one |
//! | `pool.utilization` | `in_use` divided by `max` |
//! | `pool.waiting` | callers that wait for a slot, without those that create an object |
//! | `pool.closed` | 1 from `close()` on |
//!
//! More in use than open, for longer than a connection takes, means that the server does not answer.
//!
//! Time-outs and the time of a wait are known at the call alone: `PoolError::Timeout(TimeoutType::Wait)` is a full
//! pool, `Create` and `Recycle` are the server.
//!
//! # What ends the watch
//!
//! The watch does not keep the pool alive, and ends by itself once the pool is dropped. Start it in the pool's runtime:
//! if the watch happens to be the last to have the pool, its objects are dropped in that runtime.
//!
//! Extra dependencies: `deadpool` with `managed`, and `tokio` with `rt` and `sync`, which deadpool needs too.

use super::in_runtime::InRuntime;
use crate::api::client::Client;
use crate::api::watch::{PoolStatus, WatchBuilder};
use crate::callback::probe::Watch;
use deadpool::managed::{Manager, Object, Pool, WeakPool};

/// With the feature `deadpool`.
impl Client {
    /// Watches a pool of deadpool under the default names: see
    /// [`integrations::deadpool`](crate::integrations::deadpool). To set a prefix or tags, use [`pool`](Self::pool) and
    /// [`WatchBuilder::watch_deadpool`].
    pub fn watch_deadpool<M, W>(&self, name: &str, pool: &Pool<M, W>) -> Watch
    where
        M: Manager + 'static,
        W: From<Object<M>>,
    {
        self.pool(name).watch_deadpool(pool)
    }
}

/// With the feature `deadpool`.
impl WatchBuilder<'_, PoolStatus> {
    /// Watches a pool of deadpool: see [`integrations::deadpool`](crate::integrations::deadpool).
    ///
    /// ```
    /// # use tasktag::{Client, Watch};
    /// use deadpool::managed::{Manager, Pool};
    ///
    /// fn watch<M: Manager + 'static>(client: &Client, pool: &Pool<M>) -> Watch {
    ///     client.pool("primary").prefix("db.connections").tag("role", "writer").watch_deadpool(pool)
    /// }
    /// ```
    pub fn watch_deadpool<M, W>(self, pool: &Pool<M, W>) -> Watch
    where
        M: Manager + 'static,
        W: From<Object<M>>,
    {
        let watched = InRuntime::new(pool.weak());
        self.watch_while(move || watched.read(status))
    }
}

fn status<M: Manager>(watched: &WeakPool<M>) -> Option<PoolStatus> {
    let pool = watched.upgrade()?;
    let status = pool.status();
    let formula = PoolStatus::from_deadpool(status.max_size, status.size, status.available, status.waiting);
    Some(formula.closed(pool.is_closed()))
}
