//! What the numbers of other crates' pools mean.

use super::PoolStatus;

/// What an unset maximum of mobc is.
const UNSET_MAX_OF_MOBC: u64 = 10_000;

/// From the numbers of other crates' pools. A number that a pool reads while it changes never makes a level negative.
impl PoolStatus {
    /// Returns the status of a pool of [sqlx](https://docs.rs/sqlx), from `options().get_max_connections()`, `size()`
    /// and `num_idle()`.
    ///
    /// Known are `max`, `idle` and `in_use`: the slots that are taken. `size()` counts a connection from the moment at
    /// which it is being opened, also while nothing answers, and one that was dropped until the server has answered a
    /// ping. So `open`, `opening` and `held` can't be known, and neither can `waiting`. A connection that was leaked
    /// stays in use. Add `closed` from `is_closed()`.
    ///
    /// `num_idle()` wraps to 2^64 - 1 or below for moments under load, when a waiting caller takes a connection before
    /// the pool has counted its return. An `idle` above `max` is taken as 0. The slots that a child pool has taken are
    /// not in `size()`. As of sqlx 0.9.0.
    ///
    /// ```
    /// use tasktag::PoolStatus;
    ///
    /// assert_eq!(PoolStatus::from_sqlx(4, 4, 1).used(), Some(3));
    /// let wrapped = PoolStatus::from_sqlx(4, 4, usize::MAX);
    /// assert_eq!((wrapped.used(), wrapped.idle), (Some(4), Some(0)));
    /// ```
    pub fn from_sqlx(max: u32, size: u32, num_idle: usize) -> Self {
        let (max, size) = (u64::from(max), u64::from(size));
        let idle = Some(num_idle as u64).filter(|idle| *idle <= max).unwrap_or(0);
        Self::new().max(max).idle(idle).in_use(size.saturating_sub(idle))
    }

    /// Returns the status of a pool of [deadpool](https://docs.rs/deadpool), from the fields of `status()`: `max_size`,
    /// `size`, `available` and `waiting`.
    ///
    /// Known are `max`, `open`, `in_use` and `waiting`. `size - available + waiting` is the pool's own count of its
    /// users: callers that hold, open, check or wait for an object. As many of them as there are slots have one, and
    /// the others are waiting. The pool's own `waiting` also counts callers that open a connection, and its `available`
    /// is too low while anybody does. So `idle`, `opening` and `held` can't be known. After `resize` to a smaller
    /// maximum, `in_use` is above `max` until objects come back.
    ///
    /// A maximum of 0 is that of a closed pool, and is left out. Add `closed` from `is_closed()`. An object that was
    /// taken out of the pool with `Object::take` counts no more. As of deadpool 0.13.1.
    ///
    /// ```
    /// use tasktag::PoolStatus;
    ///
    /// // Four callers of a new pool, whose connections are being opened.
    /// let opening = PoolStatus::from_deadpool(4, 0, 0, 4);
    /// assert_eq!((opening.used(), opening.waiting), (Some(4), Some(0)));
    /// let closed = PoolStatus::from_deadpool(0, 0, 0, 0).closed(true);
    /// assert_eq!((closed.used(), closed.max), (Some(0), None));
    /// ```
    pub fn from_deadpool(max_size: usize, size: usize, available: usize, waiting: usize) -> Self {
        let users = size.saturating_sub(available).saturating_add(waiting);
        let in_use = users.min(max_size.max(size));
        let max = Some(max_size as u64).filter(|max| *max > 0);
        Self::new().max(max).open(size as u64).in_use(in_use as u64).waiting((users - in_use) as u64)
    }

    /// Returns the status of a pool of [bb8](https://docs.rs/bb8), from the pool's maximum and the fields `connections`
    /// and `idle_connections` of `state()`.
    ///
    /// Known are `max`, `open`, `idle` and `in_use`. bb8 counts nowhere that a connection is being opened: `in_use` is
    /// without it, and if no connection is open, a pool that nobody uses can't be told from one whose server is down.
    /// Therefore `in_use` and `idle` are left out while `open` is 0. Watch `open` and the time-outs in
    /// `statistics.get_timed_out` too.
    ///
    /// `waiting` can't be known. `pending_gets()` keeps every call that was cancelled, for ever. `get_waited` also
    /// counts calls that only opened a connection. As of bb8 0.9.1.
    ///
    /// ```
    /// use tasktag::PoolStatus;
    ///
    /// assert_eq!(PoolStatus::from_bb8(10, 4, 1).used(), Some(3));
    /// assert_eq!(PoolStatus::from_bb8(10, 0, 0).used(), None);
    /// ```
    pub fn from_bb8(max_size: u32, connections: u32, idle_connections: u32) -> Self {
        Self::from_open_and_idle(max_size.into(), connections.into(), idle_connections.into())
    }

    /// Returns the status of a pool of [r2d2](https://docs.rs/r2d2), from `max_size()` and the fields `connections` and
    /// `idle_connections` of `state()`.
    ///
    /// Known are `max`, `open`, `idle` and `in_use`. r2d2 counts nowhere that a connection is being opened: `in_use` is
    /// without it, and if no connection is open, a pool that nobody uses can't be told from one whose server is down.
    /// Therefore `in_use` and `idle` are left out while `open` is 0. `waiting` can't be known.
    ///
    /// Don't compute what is in use from the pool's events: `try_get` has no checkout event, and what it returned has a
    /// checkin event. A pool without a `min_idle` opens all connections at its start. As of r2d2 0.8.10.
    ///
    /// ```
    /// use tasktag::PoolStatus;
    ///
    /// assert_eq!(PoolStatus::from_r2d2(10, 4, 1).used(), Some(3));
    /// assert_eq!(PoolStatus::from_r2d2(10, 0, 0).used(), None);
    /// ```
    pub fn from_r2d2(max_size: u32, connections: u32, idle_connections: u32) -> Self {
        Self::from_open_and_idle(max_size.into(), connections.into(), idle_connections.into())
    }

    /// Returns the status of a pool of [mobc](https://docs.rs/mobc), from the maximum that its builder was given, and
    /// the fields `connections` and `idle` of `state()`.
    ///
    /// Known are `max`, `open`, `idle` and `in_use`, which includes connections that are being returned. mobc counts
    /// nowhere in `state()` that a connection is being opened: `in_use` is without it, and `in_use` and `idle` are left
    /// out while `open` is 0.
    ///
    /// `waiting` can't be known: `wait_count` keeps every call that was cancelled or ran into its time-out, for ever. A
    /// maximum of 0 stands for 10,000. Don't pass `max_open` of `state()` after `set_max_open_conns`, which changes
    /// this number and not the limit. As of mobc 0.9.0.
    ///
    /// ```
    /// use tasktag::PoolStatus;
    ///
    /// assert_eq!(PoolStatus::from_mobc(10, 4, 1).used(), Some(3));
    /// assert_eq!(PoolStatus::from_mobc(0, 4, 1).max, Some(10_000));
    /// ```
    pub fn from_mobc(max_open: u64, connections: u64, idle: u64) -> Self {
        let max = if max_open == 0 { UNSET_MAX_OF_MOBC } else { max_open };
        Self::from_open_and_idle(max, connections, idle)
    }

    /// Returns the status of a pool of [fast_pool](https://docs.rs/fast_pool), from the fields of `state()`.
    ///
    /// All is known but `closed`. `waits` counts every call under way: `waiting` is without those that open or check a
    /// connection, and `in_use` includes them.
    ///
    /// The pool opens a connection at each call until it has `max_open`, though idle ones are there: don't read `open`
    /// divided by `max` as its load. As of `fast_pool` 1.0.4.
    ///
    /// ```
    /// use tasktag::PoolStatus;
    ///
    /// // One caller, whose connection is being opened.
    /// let status = PoolStatus::from_fast_pool(2, 0, 0, 0, 1, 1, 0);
    /// assert_eq!((status.used(), status.opening, status.waiting), (Some(1), Some(1), Some(0)));
    /// ```
    #[allow(clippy::doc_markdown, reason = "the crate's name is the text of a link")]
    pub fn from_fast_pool(
        max_open: u64,
        connections: u64,
        in_use: u64,
        idle: u64,
        waits: u64,
        connecting: u64,
        checking: u64,
    ) -> Self {
        let under_way = connecting.saturating_add(checking);
        let known = Self::new().max(max_open).open(connections).opening(connecting).idle(idle).held(in_use);
        known.in_use(in_use.saturating_add(under_way)).waiting(waits.saturating_sub(under_way))
    }

    /// Returns the status of a pool of [mysql_async](https://docs.rs/mysql_async), from `constraints().max()` of its
    /// options, and `connection_count`, `connections_in_pool`, `connections_in_use` and `active_wait_requests` of
    /// `metrics()`.
    ///
    /// Known are `max`, `idle`, `in_use`, `held` and `waiting`. `connection_count` includes connections that are being
    /// opened, so `open` and `opening` can't be known. What is neither in the pool nor in use is being opened, checked
    /// or reset, and is in `in_use`. As of `mysql_async` 0.37.1.
    ///
    /// ```
    /// use tasktag::PoolStatus;
    ///
    /// // Two connections, of which one was dropped and is being reset.
    /// let status = PoolStatus::from_mysql_async(10, 2, 0, 1, 0);
    /// assert_eq!((status.used(), status.held), (Some(2), Some(1)));
    /// ```
    #[allow(clippy::doc_markdown, reason = "the crate's name is the text of a link")]
    pub fn from_mysql_async(
        max: usize,
        connection_count: usize,
        connections_in_pool: usize,
        connections_in_use: usize,
        active_wait_requests: usize,
    ) -> Self {
        let in_use = connection_count.saturating_sub(connections_in_pool);
        let known = Self::new().max(max as u64).idle(connections_in_pool as u64).in_use(in_use as u64);
        known.held(connections_in_use as u64).waiting(active_wait_requests as u64)
    }

    /// For pools that don't count what is being opened.
    fn from_open_and_idle(max: u64, open: u64, idle: u64) -> Self {
        let known = Self::new().max(max).open(open);
        // An outage would look like a pool that nobody uses.
        if open == 0 { known } else { known.idle(idle).in_use(open.saturating_sub(idle)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_numbers_make_a_level_that_is_more_than_there_can_be() {
        let extremes = [0_usize, 1, 2, 4, 5, usize::MAX - 1, usize::MAX];
        for a in extremes {
            for b in extremes {
                for c in extremes {
                    let (small, wide) = (|n: usize| u32::try_from(n).unwrap_or(5), |n: usize| n as u64);
                    let sqlx = PoolStatus::from_sqlx(small(a), small(b), c);
                    assert!(sqlx.used() <= Some(u64::from(small(b))) && sqlx.idle <= sqlx.max, "{sqlx:?}");
                    let deadpool = PoolStatus::from_deadpool(a, b, c, usize::MAX);
                    assert!(deadpool.used() <= Some(wide(a.max(b))), "{deadpool:?}");
                    for counted in [
                        PoolStatus::from_bb8(small(a), small(b), small(c)),
                        PoolStatus::from_r2d2(small(a), small(b), small(c)),
                        PoolStatus::from_mobc(wide(a), wide(b), wide(c)),
                    ] {
                        assert!(counted.used() <= counted.open, "{counted:?}");
                    }
                    let fast = PoolStatus::from_fast_pool(1, 1, wide(a), 0, wide(b), wide(c), wide(c));
                    assert!(fast.held <= fast.used() && fast.waiting <= Some(wide(b)), "{fast:?}");
                    let mysql = PoolStatus::from_mysql_async(5, a, b, c, 0);
                    assert!(mysql.used() <= Some(wide(a)), "{mysql:?}");
                }
            }
        }
    }
}
