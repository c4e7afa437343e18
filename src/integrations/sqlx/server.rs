//! What a server says of its connections and its load.

use super::row::SqlxRow;
use crate::api::gate::PostgresLoad;
use crate::api::watch::{PgBouncerStatus, PostgresStatus};
use crate::integrations::text_rows;
use sqlx::{ColumnIndex, Connection, Database, Decode, Error, Executor, Type};

/// Asks a `PostgreSQL` server for its connections, with one query.
///
/// It works for a pool or a connection whose database is `Postgres`. The bounds say so without a dependency on it.
///
/// `watch_async` needs the feature `tokio` too:
///
/// ```no_run
/// use sqlx::PgPool;
/// use std::time::Duration;
/// use tasktag::integrations::sqlx::postgres_status;
/// # #[cfg(feature = "tokio")]
/// use tasktag::integrations::tokio::WatchAsync;
/// use tasktag::{Client, ConfigError, TaskIdSource};
///
/// # #[cfg(feature = "tokio")]
/// fn watch(client: &Client, pool: PgPool) -> Result<(), ConfigError> {
///     let sole = client.sole_reporter(TaskIdSource::leased("/run/shop/orders-database"))?;
///     let ask = move || {
///         let pool = pool.clone();
///         async move { postgres_status(&pool).await.unwrap_or_default() }
///     };
///     let runtime = tokio::runtime::Handle::current();
///     client.postgres("orders").by(&sole).watch_async(&runtime, Duration::from_secs(10), ask).detach();
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// Fails as the query does.
pub async fn postgres_status<'c, E, DB>(executor: E) -> Result<PostgresStatus, Error>
where
    E: Executor<'c, Database = DB>,
    DB: Database,
    for<'r> String: Decode<'r, DB> + Type<DB>,
    for<'i> &'i str: ColumnIndex<DB::Row>,
{
    let rows = sqlx::raw_sql(PostgresStatus::QUERY).fetch_all(executor).await?;
    Ok(text_rows::postgres_status(&rows.into_iter().map(SqlxRow).collect::<Vec<_>>()))
}

/// Asks a `PostgreSQL` server for its active sessions, with one query: see [`PostgresLoad`].
///
/// Give it a pool of one connection, which nothing else uses. It works for a pool or a connection whose database is
/// `Postgres`.
///
/// `measure_async` needs the feature `tokio` too:
///
/// ```no_run
/// use sqlx::PgPool;
/// use tasktag::integrations::sqlx::postgres_load;
/// # #[cfg(feature = "tokio")]
/// use tasktag::integrations::tokio::MeasureAsync;
/// use tasktag::{Admission, Client, ConfigError, Gate};
///
/// # #[cfg(feature = "tokio")]
/// fn gate(client: &Client, monitoring: PgPool, cpus: u32) -> Result<Gate, ConfigError> {
///     let runtime = tokio::runtime::Handle::current();
///     client.gate("orders").class("within_24_hours", Admission::below(0.8)).measure_async(&runtime, move || {
///         let pool = monitoring.clone();
///         async move { postgres_load(&pool).await.map(|sessions| sessions.over(cpus)).unwrap_or_default() }
///     })
/// }
/// ```
///
/// # Errors
///
/// Fails as the query does.
pub async fn postgres_load<'c, E, DB>(executor: E) -> Result<PostgresLoad, Error>
where
    E: Executor<'c, Database = DB>,
    DB: Database,
    for<'r> String: Decode<'r, DB> + Type<DB>,
    for<'i> &'i str: ColumnIndex<DB::Row>,
{
    let rows = sqlx::raw_sql(PostgresLoad::QUERY).fetch_all(executor).await?;
    Ok(text_rows::postgres_load(&rows.into_iter().map(SqlxRow).collect::<Vec<_>>()))
}

/// Asks the console of a `PgBouncer` for its pools, with `SHOW DATABASES` and `SHOW POOLS`.
///
/// Connect to the database `pgbouncer` as one of its `stats_users` or `admin_users`, by a connection and not by a pool:
/// a pool opens a new connection each time. sqlx sends a startup parameter that `PgBouncer` refuses, unless it is taken
/// out (seen with 0.9.0 and 1.18):
///
/// ```no_run
/// use sqlx::{ConnectOptions, Error, postgres::PgConnectOptions};
/// use tasktag::PgBouncerStatus;
/// use tasktag::integrations::sqlx::pgbouncer_status;
///
/// async fn ask() -> Result<PgBouncerStatus, Error> {
///     let options = PgConnectOptions::new().port(6432).username("stats").database("pgbouncer");
///     let mut console = options.extra_float_digits(None).connect().await?;
///     pgbouncer_status(&mut console).await
/// }
/// ```
///
/// # Errors
///
/// Fails as the queries do.
pub async fn pgbouncer_status<C>(console: &mut C) -> Result<PgBouncerStatus, Error>
where
    C: Connection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
    for<'r> String: Decode<'r, C::Database> + Type<C::Database>,
    for<'i> &'i str: ColumnIndex<<C::Database as Database>::Row>,
{
    let databases = sqlx::raw_sql("SHOW DATABASES").fetch_all(&mut *console).await?;
    let pools = sqlx::raw_sql("SHOW POOLS").fetch_all(&mut *console).await?;
    let [databases, pools] = [databases, pools].map(|rows| rows.into_iter().map(SqlxRow).collect::<Vec<_>>());
    Ok(text_rows::pgbouncer_status(&databases, &pools))
}
