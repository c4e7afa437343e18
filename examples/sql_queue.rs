//! A queue of jobs in a database: apalis-sqlite's tables in memory, so that nothing has to be installed.
//!
//! ```sh
//! cargo run --example sql_queue --features sqlx,tokio,testing
//! ```

use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use std::error::Error;
use std::time::Duration;
use tasktag::integrations::sqlx::queue_status;
use tasktag::integrations::tokio::WatchAsync;
use tasktag::testing::Capture;
use tasktag::{Client, Promise, SqlQueue, TaskIdSource};
use tokio::runtime::Handle;

const EVERY: Duration = Duration::from_millis(200);
const NAME: &str = "within_5_minutes";

/// What apalis would have written: two jobs that wait, one that runs, one for tomorrow, and one that failed for good.
const JOBS: &str = "
create table Jobs (job_type text, status text, attempts integer default 0, max_attempts integer default 25,
    run_at integer default (strftime('%s', 'now')), priority integer default 0);
insert into Jobs (job_type, status, run_at) values
    ('within_5_minutes', 'Pending', strftime('%s', 'now', '-6 minutes')),
    ('within_5_minutes', 'Pending', strftime('%s', 'now', '-1 minutes')),
    ('within_5_minutes', 'Queued', strftime('%s', 'now', '-9 minutes')),
    ('within_5_minutes', 'Pending', strftime('%s', 'now', '+1 day'));
insert into Jobs (job_type, status, attempts) values ('within_5_minutes', 'Failed', 25);
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).build()?;
    let client = guard.client();

    // Each connection to memory is a database of its own.
    let pool: SqlitePool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::raw_sql(JOBS).execute(&pool).await?;

    // Of all tasks of the service, the one that has the lease asks.
    let folder = std::env::temp_dir().join("tasktag-example-sql-queue");
    std::fs::create_dir_all(&folder)?;
    let sole = client.sole_reporter(TaskIdSource::leased(&folder))?;
    let queue = SqlQueue::apalis_sqlite(NAME);
    let ask = move || {
        let (pool, queue) = (pool.clone(), queue.clone());
        async move { queue_status(&pool, &queue).await.unwrap_or_default() }
    };
    let watch = client.queue(NAME).promise(Promise::from_queue_name(NAME)).by(&sole);
    let _watch = watch.watch_async(&Handle::current(), EVERY, ask);

    tokio::time::sleep(5 * EVERY).await;
    let client = client.clone();
    tokio::task::spawn_blocking(move || client.flush(Duration::from_secs(5))).await??;
    capture.take_lines().iter().filter(|line| !line.contains(".max:")).for_each(|line| println!("{line}"));
    Ok(())
}
