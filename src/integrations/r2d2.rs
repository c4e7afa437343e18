//! [r2d2](https://docs.rs/r2d2) 0.8.10: watches pools, and times what they do.
//!
//! ```
//! # use tasktag::Client;
//! # fn watch<M: r2d2::ManageConnection>(client: &Client, manager: M) -> Result<(), r2d2::Error> {
//! let pool = r2d2::Pool::builder()
//!     .max_size(10)
//!     .event_handler(Box::new(client.r2d2_events("primary")))
//!     .build(manager)?;
//! let _watch = client.watch_r2d2("primary", &pool);
//! # Ok(())
//! # }
//! ```
//!
//! The client reads the pool at every collection, four times a second by default. The gauges are those of
//! [`PoolStatus`], by the formula of [`PoolStatus::from_r2d2`]. [`PoolEvents`] adds two timings and a counter, which
//! cost the pool's callers as much as any handle.
//!
//! | metric | from | meaning |
//! |---|---|---|
//! | `pool.max` | the watch | `max_size` |
//! | `pool.open` | the watch | open connections, without those that are being opened |
//! | `pool.idle` | the watch | connections that wait for a caller |
//! | `pool.in_use` | the watch | connections that are held or being checked; absent while none is open |
//! | `pool.utilization` | the watch | `in_use` divided by `max`; absent while none is open |
//! | `pool.wait` | the events | how long a call of `get` took until it had a connection or its time-out, with the opening of one |
//! | `pool.hold` | the events | how long a connection was held until it was dropped |
//! | `pool.timeouts` | the events | a counter: calls of `get` that ended with the time-out |
//!
//! r2d2 does not say how many callers wait. `try_get` has no event if it fails, and none if it succeeds: what it
//! returned adds to `pool.hold` and not to `pool.wait`.
//!
//! Without a `min_idle`, r2d2 keeps as many connections open as the maximum, and `build` waits for all of them.
//! Time-outs while `pool.open` is below the maximum mean that the server does not answer.
//!
//! # What ends the watch
//!
//! r2d2 has no weak handle and can't be closed. The watch has a clone of the pool, which stays open until the [`Watch`]
//! is dropped: keep the two together, and [detach](Watch::detach) it only if the pool lives as long as the client. If
//! the watch is the last to have the pool, its connections are dropped on the thread `tasktag-probes`. The events
//! belong to the pool, and keep no pool alive.
//!
//! Extra dependency: `r2d2`.

use crate::api::client::Client;
use crate::api::handle::{Counter, Distribution};
use crate::api::watch::{PoolStatus, WatchBuilder};
use crate::callback::probe::Watch;
use r2d2::event::{CheckinEvent, CheckoutEvent, TimeoutEvent};
use r2d2::{HandleEvent, ManageConnection, Pool};

/// With the feature `r2d2`.
impl Client {
    /// Watches a pool of r2d2 under the default names: see [`integrations::r2d2`](crate::integrations::r2d2). To set a
    /// prefix or tags, use [`pool`](Self::pool) and [`WatchBuilder::watch_r2d2`].
    pub fn watch_r2d2<M: ManageConnection>(&self, name: &str, pool: &Pool<M>) -> Watch {
        self.pool(name).watch_r2d2(pool)
    }

    /// Returns what reports the events of a pool of r2d2 under the default names: see [`PoolEvents`].
    pub fn r2d2_events(&self, name: &str) -> PoolEvents {
        self.pool(name).r2d2_events()
    }
}

/// With the feature `r2d2`.
impl WatchBuilder<'_, PoolStatus> {
    /// Watches a pool of r2d2: see [`integrations::r2d2`](crate::integrations::r2d2).
    pub fn watch_r2d2<M: ManageConnection>(self, pool: &Pool<M>) -> Watch {
        let pool = pool.clone();
        self.watch(move || {
            let state = pool.state();
            PoolStatus::from_r2d2(pool.max_size(), state.connections, state.idle_connections)
        })
    }

    /// Returns what reports the events of a pool of r2d2 under the same prefix and tags: see [`PoolEvents`].
    ///
    /// ```
    /// # use tasktag::{Client, Watch};
    /// # fn watch<M: r2d2::ManageConnection>(client: &Client, manager: M) -> Result<Watch, r2d2::Error> {
    /// let named = client.pool("primary").prefix("db.connections").tag("role", "writer");
    /// let events = named.clone().r2d2_events();
    /// let pool = r2d2::Pool::builder().event_handler(Box::new(events)).build(manager)?;
    /// let watch = named.watch_r2d2(&pool);
    /// # Ok(watch)
    /// # }
    /// ```
    pub fn r2d2_events(self) -> PoolEvents {
        let scope = self.into_scope();
        PoolEvents {
            wait: scope.timing("wait"),
            hold: scope.timing("hold"),
            timeouts: scope.counter("timeouts"),
        }
    }
}

/// Reports how long the callers of a pool wait, how long they hold what they got, and how often they get nothing. Pass
/// it to `event_handler` of the pool's builder. [`Client::r2d2_events`] returns one.
///
/// An event is recorded in the caller's thread and asks the pool nothing: r2d2 holds its lock in some of them. If you
/// have a handler of your own, pass the events on from there.
#[derive(Clone, Debug)]
#[must_use = "nothing is reported until a pool has it"]
pub struct PoolEvents {
    wait: Distribution,
    hold: Distribution,
    timeouts: Counter,
}

impl HandleEvent for PoolEvents {
    fn handle_checkout(&self, event: CheckoutEvent) {
        self.wait.record_duration(event.duration());
    }

    fn handle_timeout(&self, event: TimeoutEvent) {
        // Waits would look short in an outage if those in vain were left out.
        self.wait.record_duration(event.timeout());
        self.timeouts.increment(1);
    }

    fn handle_checkin(&self, event: CheckinEvent) {
        self.hold.record_duration(event.duration());
    }
}
