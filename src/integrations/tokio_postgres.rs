//! [tokio-postgres](https://docs.rs/tokio-postgres) 0.7: asks a server for its connections, and for the jobs of a
//! queue.
//!
//! `watch_async` needs the feature `tokio` too:
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//! # #[cfg(feature = "tokio")]
//! use tasktag::integrations::tokio::WatchAsync;
//! use tasktag::integrations::tokio_postgres::postgres_status;
//! use tasktag::{Client, ConfigError, TaskIdSource};
//!
//! # #[cfg(feature = "tokio")]
//! fn watch(client: &Client, database: Arc<tokio_postgres::Client>) -> Result<(), ConfigError> {
//!     let sole = client.sole_reporter(TaskIdSource::leased("/run/shop/orders-database"))?;
//!     let ask = move || {
//!         let database = Arc::clone(&database);
//!         async move { postgres_status(&database).await.unwrap_or_default() }
//!     };
//!     let runtime = tokio::runtime::Handle::current();
//!     client.postgres("orders").by(&sole).watch_async(&runtime, Duration::from_secs(10), ask).detach();
//!     Ok(())
//! }
//! ```
//!
//! A connection that the server closed stays closed: make another one where [`postgres_status`] fails, or use a pool
//! such as deadpool-postgres, whose objects dereference to the client.
//!
//! Extra dependency: `tokio-postgres` without a runtime of its own.

use crate::api::gate::PostgresLoad;
use crate::api::watch::{PgBouncerStatus, PostgresStatus, QueueStatus, SqlQueue};
use crate::integrations::text_rows::{self, TextRow};
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

/// Asks a `PostgreSQL` server for its connections, with one query: see [`PostgresStatus`].
///
/// # Errors
///
/// Fails as the query does.
pub async fn postgres_status(client: &Client) -> Result<PostgresStatus, Error> {
    Ok(text_rows::postgres_status(&rows(client, PostgresStatus::QUERY).await?))
}

/// Asks a `PostgreSQL` server for its active sessions, with one query: see [`PostgresLoad`].
///
/// ```no_run
/// use std::sync::Arc;
/// # #[cfg(feature = "tokio")]
/// use tasktag::integrations::tokio::MeasureAsync;
/// use tasktag::integrations::tokio_postgres::postgres_load;
/// use tasktag::{Admission, Client, ConfigError, Gate};
///
/// # #[cfg(feature = "tokio")]
/// fn gate(client: &Client, monitoring: Arc<tokio_postgres::Client>, cpus: u32) -> Result<Gate, ConfigError> {
///     let runtime = tokio::runtime::Handle::current();
///     client.gate("orders").class("within_24_hours", Admission::below(0.8)).measure_async(&runtime, move || {
///         let client = Arc::clone(&monitoring);
///         async move { postgres_load(&client).await.map(|sessions| sessions.over(cpus)).unwrap_or_default() }
///     })
/// }
/// ```
///
/// # Errors
///
/// Fails as the query does.
pub async fn postgres_load(client: &Client) -> Result<PostgresLoad, Error> {
    Ok(text_rows::postgres_load(&rows(client, PostgresLoad::QUERY).await?))
}

/// Asks the console of a `PgBouncer` for its pools, with `SHOW DATABASES` and `SHOW POOLS`: see [`PgBouncerStatus`].
/// Connect to the database `pgbouncer` as one of its `stats_users` or `admin_users`.
///
/// ```no_run
/// use tasktag::PgBouncerStatus;
/// use tasktag::integrations::tokio_postgres::pgbouncer_status;
/// use tokio_postgres::{Error, NoTls};
///
/// async fn ask() -> Result<PgBouncerStatus, Error> {
///     let (console, connection) =
///         tokio_postgres::Config::new().host("localhost").port(6432).user("stats").dbname("pgbouncer").connect(NoTls).await?;
///     tokio::spawn(connection);
///     pgbouncer_status(&console).await
/// }
/// ```
///
/// # Errors
///
/// Fails as the queries do.
pub async fn pgbouncer_status(console: &Client) -> Result<PgBouncerStatus, Error> {
    let databases = rows(console, "SHOW DATABASES").await?;
    let pools = rows(console, "SHOW POOLS").await?;
    Ok(text_rows::pgbouncer_status(&databases, &pools))
}

/// Asks a `PostgreSQL` server for the jobs of a queue, with one query: see [`SqlQueue`].
///
/// ```no_run
/// use std::sync::Arc;
/// use std::time::Duration;
/// # #[cfg(feature = "tokio")]
/// use tasktag::integrations::tokio::WatchAsync;
/// use tasktag::integrations::tokio_postgres::queue_status;
/// use tasktag::{Client, ConfigError, Promise, SqlQueue, TaskIdSource};
///
/// # #[cfg(feature = "tokio")]
/// fn watch(client: &Client, database: Arc<tokio_postgres::Client>) -> Result<(), ConfigError> {
///     let name = "within_5_minutes";
///     let (queue, sole) = (SqlQueue::river(name), client.sole_reporter(TaskIdSource::leased("/run/shop/queues"))?);
///     let ask = move || {
///         let (database, queue) = (Arc::clone(&database), queue.clone());
///         async move { queue_status(&database, &queue).await.unwrap_or_default() }
///     };
///     let runtime = tokio::runtime::Handle::current();
///     let watch = client.queue(name).promise(Promise::from_queue_name(name)).by(&sole);
///     watch.watch_async(&runtime, Duration::from_secs(10), ask).detach();
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// Fails as the query does, for example if there is no such table, or if the role may not read it.
pub async fn queue_status(client: &Client, queue: &SqlQueue) -> Result<QueueStatus, Error> {
    Ok(text_rows::queue_status(&rows(client, &queue.query()).await?))
}

async fn rows(client: &Client, query: &str) -> Result<Vec<SimpleQueryRow>, Error> {
    let messages = client.simple_query(query).await?;
    let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
    Ok(messages.into_iter().filter_map(row).collect())
}

impl TextRow for SimpleQueryRow {
    fn text(&self, column: &str) -> Option<String> {
        self.try_get(column).ok().flatten().map(ToOwned::to_owned)
    }
}
