//! What `PgBouncer` says of its pools.

use super::{Field, Group, Reported, WatchBuilder, Watchable};
use crate::api::client::Client;
use std::collections::BTreeMap;

/// The number of pools that are reported.
const MAX_POOLS: usize = 50;
/// The console itself, which is listed as a database.
const CONSOLE: &str = "pgbouncer";

/// The pools of a `PgBouncer`: one for each database and user.
///
/// Clients that wait here wait before they reach the database, where nothing shows them.
///
/// | gauge, with the tags `database` and `user` | from | meaning |
/// |---|---|---|
/// | `pgbouncer.waiting` | `cl_waiting` | clients that wait for a server's connection: alarm above 0 for a minute |
/// | `pgbouncer.oldest_wait_seconds` | `maxwait` and `maxwait_us` | how long the first of them has waited |
/// | `pgbouncer.in_use` | `sv_active` | connections to the server that serve a client |
/// | `pgbouncer.max` | `pool_size` | the most that the pool opens |
/// | `pgbouncer.utilization` | `in_use` divided by `max` | |
///
/// `cl_active` is not among them: it counts idle clients too. The first 50 pools are reported. (Seen with 1.18.)
///
/// The console speaks the simple protocol alone. The features `tokio-postgres` and `sqlx` have a function that asks it.
/// With another client, pass the rows of `SHOW DATABASES` to [`add_database`](Self::add_database), and then those of
/// `SHOW POOLS` to [`add_pool`](Self::add_pool).
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::{PgBouncerPool, PgBouncerStatus};
///
/// let _watch = client.pgbouncer("orders").watch(|| {
///     let mut status = PgBouncerStatus::new();
///     status.add_database("shop", 20);
///     let pool = PgBouncerPool { database: "shop", user: "web", cl_waiting: 2, sv_active: 20, maxwait: 0, maxwait_us: 559_397 };
///     status.add_pool(&pool);
///     status
/// });
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a status reports nothing until a watch returns it"]
pub struct PgBouncerStatus {
    pool_sizes: BTreeMap<String, i64>,
    pools: BTreeMap<(String, String), Pool>,
}

/// A row of `SHOW POOLS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgBouncerPool<'a> {
    /// `database`
    pub database: &'a str,
    /// `user`
    pub user: &'a str,
    /// `cl_waiting`
    pub cl_waiting: i64,
    /// `sv_active`
    pub sv_active: i64,
    /// `maxwait`, in whole seconds
    pub maxwait: i64,
    /// `maxwait_us`, the microseconds beyond the seconds
    pub maxwait_us: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Pool {
    waiting: i64,
    in_use: i64,
    oldest_wait: f64,
}

impl PgBouncerStatus {
    /// Returns a status in which nothing is known. It reports nothing.
    pub const fn new() -> Self {
        Self { pool_sizes: BTreeMap::new(), pools: BTreeMap::new() }
    }

    /// Adds a row of `SHOW DATABASES`: `name` and `pool_size`.
    pub fn add_database(&mut self, name: &str, pool_size: i64) {
        self.pool_sizes.insert(name.to_owned(), pool_size);
    }

    /// Adds a row of `SHOW POOLS`. The pool of the console is left out.
    pub fn add_pool(&mut self, pool: &PgBouncerPool<'_>) {
        if pool.database == CONSOLE || self.pools.len() >= MAX_POOLS {
            return;
        }
        let oldest_wait = pool.maxwait as f64 + pool.maxwait_us as f64 / 1e6;
        let of = (pool.database.to_owned(), pool.user.to_owned());
        self.pools.insert(of, Pool { waiting: pool.cl_waiting, in_use: pool.sv_active, oldest_wait });
    }
}

/// What poolers say of themselves.
impl Client {
    /// Returns a builder for a watch of a `PgBouncer`, under the tag `pgbouncer:<name>`: see [`PgBouncerStatus`].
    pub fn pgbouncer(&self, name: &str) -> WatchBuilder<'_, PgBouncerStatus> {
        WatchBuilder::new(self, name)
    }
}

impl Watchable for PgBouncerStatus {}

impl Reported for PgBouncerStatus {
    const NOUN: &'static str = "pgbouncer";

    fn fields(&self) -> Vec<Field> {
        Vec::new()
    }

    fn groups(&self) -> Vec<Group> {
        let mut groups = Vec::new();
        for ((database, user), pool) in &self.pools {
            let max = self.pool_sizes.get(database).map(|size| *size as f64).filter(|size| *size > 0.0);
            let in_use = pool.in_use as f64;
            for (name, value) in [
                ("waiting", Some(pool.waiting as f64)),
                ("oldest_wait_seconds", Some(pool.oldest_wait)),
                ("in_use", Some(in_use)),
                ("max", max),
                ("utilization", max.map(|max| in_use / max)),
            ] {
                let tags = vec![("database", database.clone()), ("user", user.clone())];
                groups.extend(value.map(|value| Group { name, tags, value }));
            }
        }
        groups
    }
}
