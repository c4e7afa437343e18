//! What a database says of a queue.

use super::row::SqlxRow;
use crate::api::watch::{QueueStatus, SqlQueue};
use crate::integrations::text_rows;
use sqlx::{AssertSqlSafe, ColumnIndex, Database, Decode, Error, Executor, Type};

/// Asks a database for the jobs of a queue, with one query: see [`SqlQueue`].
///
/// It works for a pool or a connection whose database is `Postgres` or `Sqlite`, whichever the queue is for. The
/// bounds say so without a dependency on them.
///
/// `watch_async` needs the feature `tokio` too:
///
/// ```no_run
/// use sqlx::PgPool;
/// use std::time::Duration;
/// use tasktag::integrations::sqlx::queue_status;
/// # #[cfg(feature = "tokio")]
/// use tasktag::integrations::tokio::WatchAsync;
/// use tasktag::{Client, ConfigError, Promise, SqlQueue, TaskIdSource};
///
/// # #[cfg(feature = "tokio")]
/// fn watch(client: &Client, pool: PgPool) -> Result<(), ConfigError> {
///     let name = "within_5_minutes";
///     let (queue, sole) = (SqlQueue::pg_boss(name), client.sole_reporter(TaskIdSource::leased("/run/shop/queues"))?);
///     let ask = move || {
///         let (pool, queue) = (pool.clone(), queue.clone());
///         async move { queue_status(&pool, &queue).await.unwrap_or_default() }
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
pub async fn queue_status<'c, E, DB>(executor: E, queue: &SqlQueue) -> Result<QueueStatus, Error>
where
    E: Executor<'c, Database = DB>,
    DB: Database,
    for<'r> String: Decode<'r, DB> + Type<DB>,
    for<'i> &'i str: ColumnIndex<DB::Row>,
{
    // Names are quoted in it.
    let rows = sqlx::raw_sql(AssertSqlSafe(queue.query())).fetch_all(executor).await?;
    Ok(text_rows::queue_status(&rows.into_iter().map(SqlxRow).collect::<Vec<_>>()))
}
