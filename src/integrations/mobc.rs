//! [mobc](https://docs.rs/mobc) 0.9: watches pools.
//!
//! ```
//! # use tasktag::Client;
//! # fn watch<M: mobc::Manager>(client: &Client, manager: M) {
//! let pool = mobc::Pool::builder().max_open(10).build(manager);
//! let _watch = client.watch_mobc("primary", &pool);
//! # }
//! ```
//!
//! The client reads the pool at every collection, four times a second by default. The gauges are those of
//! [`PoolStatus`], by the formula of [`PoolStatus::from_mobc`]:
//!
//! | gauge | meaning |
//! |---|---|
//! | `pool.max` | `max_open` of the builder, where 0 stands for 10,000 |
//! | `pool.open` | open connections, without those that are being opened |
//! | `pool.idle` | connections that wait for a caller |
//! | `pool.in_use` | connections that are held, being checked or being returned; absent while none is open |
//! | `pool.utilization` | `in_use` divided by `max`; absent while none is open |
//!
//! How many callers wait can't be known: `wait_count` of mobc keeps every call that was cancelled or ran into its
//! time-out, for ever. mobc itself reports to the facade of `metrics`, without labels: all pools of a program share
//! those series, and a new pool sets their number of idle connections to 0. These gauges have the pool's name as a tag.
//!
//! `max_idle` is 2 by default, and further connections are closed when they come back. `set_max_open_conns` does not
//! change the limit, and `pool.max` is what it was at the first collection.
//!
//! # What ends the watch
//!
//! mobc has no weak handle and can't be closed. The watch has a clone of the pool, which stays open until the [`Watch`]
//! is dropped: keep the two together, and [detach](Watch::detach) it only if the pool lives as long as the client.
//! Start it in the pool's runtime. If the watch is the last to have the pool, its connections are dropped in that
//! runtime, on the thread `tasktag-probes`.
//!
//! Extra dependencies: `mobc` with `tokio`, and `tokio` with `rt` and `sync`, which mobc needs too.

use super::in_runtime::InRuntime;
use crate::api::client::Client;
use crate::api::watch::{PoolStatus, WatchBuilder};
use crate::callback::probe::Watch;
use mobc::{Manager, Pool, State};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a reading waits for the pool's lock, which the pool takes for a few instructions.
const PATIENCE: Duration = Duration::from_millis(100);

/// With the feature `mobc`.
impl Client {
    /// Watches a pool of mobc under the default names: see [`integrations::mobc`](crate::integrations::mobc). To set a
    /// prefix or tags, use [`pool`](Self::pool) and [`WatchBuilder::watch_mobc`].
    pub fn watch_mobc<M: Manager>(&self, name: &str, pool: &Pool<M>) -> Watch {
        self.pool(name).watch_mobc(pool)
    }
}

/// With the feature `mobc`.
impl WatchBuilder<'_, PoolStatus> {
    /// Watches a pool of mobc: see [`integrations::mobc`](crate::integrations::mobc).
    ///
    /// ```
    /// # use tasktag::{Client, Watch};
    /// fn watch<M: mobc::Manager>(client: &Client, pool: &mobc::Pool<M>) -> Watch {
    ///     client.pool("primary").prefix("db.connections").tag("role", "writer").watch_mobc(pool)
    /// }
    /// ```
    pub fn watch_mobc<M: Manager>(self, pool: &Pool<M>) -> Watch {
        let watched = InRuntime::new(pool.clone());
        let mut max_open = None;
        self.watch_while(move || watched.read(|pool| Some(status(pool, &mut max_open))))
    }
}

/// Nothing is known of a pool that is locked for longer than anybody waits.
fn status<M: Manager>(pool: &Pool<M>, max_open: &mut Option<u64>) -> PoolStatus {
    let Some(state) = state(pool) else { return PoolStatus::new() };
    // What it becomes later is not the limit.
    let max_open = *max_open.get_or_insert(state.max_open);
    PoolStatus::from_mobc(max_open, state.connections, state.idle)
}

fn state<M: Manager>(pool: &Pool<M>) -> Option<State> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut state = pin!(pool.state());
    let start = Instant::now();
    loop {
        if let Poll::Ready(state) = state.as_mut().poll(&mut context) {
            return Some(state);
        }
        let left = PATIENCE.checked_sub(start.elapsed())?;
        thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
