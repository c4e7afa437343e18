//! [sqlx](https://docs.rs/sqlx) 0.9: watches pools, and asks servers for their connections and for the
//! jobs of queues.
//!
//! ```no_run
//! # use tasktag::Client;
//! # async fn watch<DB: sqlx::Database>(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
//! let pool = sqlx::Pool::<DB>::connect("postgres://shop@localhost/shop").await?;
//! client.watch_sqlx("primary", &pool).detach();
//! # Ok(())
//! # }
//! ```
//!
//! The client reads the pool at every collection, four times a second by default, and never waits. The gauges are those
//! of
//! [`PoolStatus`], by the formula of [`PoolStatus::from_sqlx`] with `pool.closed`:
//!
//! | gauge | meaning |
//! |---|---|
//! | `pool.max` | `max_connections` |
//! | `pool.in_use` | slots that are taken: connections that are held, being opened or being returned, and leaked ones |
//! | `pool.idle` | connections that wait for a caller |
//! | `pool.utilization` | `in_use` divided by `max` |
//! | `pool.closed` | 1 from `close()` on |
//!
//! How many callers wait can't be known: sqlx counts them nowhere. An `in_use` that stays at the maximum is what tells.
//! The error `PoolTimedOut` does not mean that the pool was full: sqlx also returns it if the server is slow, refuses,
//! or has no connection left (`53300`).
//!
//! What a server says of all its connections is in [`postgres_status`] and [`pgbouncer_status`], how busy it is in
//! [`postgres_load`], and what a database says of the jobs of a queue in [`queue_status`].
//!
//! # What ends the watch
//!
//! sqlx has no weak handle: the watch has a clone of the pool. It ends when it is dropped, or once the pool was closed
//! and has no connection left, which is reported once. A leaked connection keeps a closed pool from ending it. After
//! the watch, the clone is dropped on the thread `tasktag-probes`.
//!
//! Extra dependency: `sqlx` without a database, a runtime or macros. It needs Rust 1.94.

mod queue;
mod row;
mod server;

pub use self::queue::queue_status;
pub use self::server::{pgbouncer_status, postgres_load, postgres_status};

use crate::api::client::Client;
use crate::api::watch::{PoolStatus, WatchBuilder};
use crate::callback::probe::Watch;
use sqlx::{Database, Pool};

/// With the feature `sqlx`.
impl Client {
    /// Watches a pool of sqlx under the default names: see [`integrations::sqlx`](crate::integrations::sqlx). To set a
    /// prefix or tags, use [`pool`](Self::pool) and [`WatchBuilder::watch_sqlx`].
    pub fn watch_sqlx<DB: Database>(&self, name: &str, pool: &Pool<DB>) -> Watch {
        self.pool(name).watch_sqlx(pool)
    }
}

/// With the feature `sqlx`.
impl WatchBuilder<'_, PoolStatus> {
    /// Watches a pool of sqlx: see [`integrations::sqlx`](crate::integrations::sqlx).
    ///
    /// ```
    /// # use tasktag::{Client, Watch};
    /// fn watch<DB: sqlx::Database>(client: &Client, pool: &sqlx::Pool<DB>) -> Watch {
    ///     client.pool("primary").prefix("db.connections").tag("role", "writer").watch_sqlx(pool)
    /// }
    /// ```
    pub fn watch_sqlx<DB: Database>(self, pool: &Pool<DB>) -> Watch {
        let pool = pool.clone();
        let mut is_over = false;
        self.watch_while(move || {
            (!is_over).then(|| {
                let status = status(&pool);
                is_over = is_ended(&status);
                status
            })
        })
    }
}

fn status<DB: Database>(pool: &Pool<DB>) -> PoolStatus {
    // A pool that is closed opens nothing more, so this comes first.
    let is_closed = pool.is_closed();
    PoolStatus::from_sqlx(pool.options().get_max_connections(), pool.size(), pool.num_idle())
        .closed(is_closed)
}

fn is_ended(status: &PoolStatus) -> bool {
    status.closed == Some(true) && status.in_use == Some(0) && status.idle == Some(0)
}
