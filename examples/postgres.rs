//! A pool's own view of its connections beside the server's, which knows who has all the others.
//!
//! It needs a PostgreSQL server, and says so where there is none:
//!
//! ```sh
//! DATABASE_URL=postgres://shop@localhost/shop cargo run --example postgres --features sqlx,tokio,testing
//! ```

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::error::Error;
use std::time::Duration;
use tasktag::integrations::sqlx::postgres_status;
use tasktag::integrations::tokio::WatchAsync;
use tasktag::testing::Capture;
use tasktag::{Client, ConnectionBudget, TaskIdSource};
use tokio::runtime::Handle;

const EVERY: Duration = Duration::from_millis(200);
const POOL: u32 = 5;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        println!("set DATABASE_URL to a PostgreSQL server, for example postgres://shop@localhost/shop");
        return Ok(());
    };
    let capture = Capture::new();
    let guard = Client::builder().capture(&capture).telemetry(false).build()?;
    let client = guard.client();

    // The server lists this task's connections under its id.
    let name = client.task_id().application_name("example");
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new().max_connections(POOL);
    let pool = pool.connect_with(options.application_name(&name)).await?;
    let _pool_watch = client.watch_sqlx("primary", &pool);

    // Of all tasks of the service, the one that has the lease asks the server.
    let folder = std::env::temp_dir().join("tasktag-example-postgres");
    std::fs::create_dir_all(&folder)?;
    let sole = client.sole_reporter(TaskIdSource::leased(&folder))?;
    let asked = pool.clone();
    let ask = move || {
        let pool = asked.clone();
        async move { postgres_status(&pool).await.unwrap_or_default() }
    };
    let _server_watch = client.postgres("primary").by(&sole).watch_async(&Handle::current(), EVERY, ask);

    let held = [pool.acquire().await?, pool.acquire().await?];
    let _transaction = pool.begin().await?;
    tokio::time::sleep(5 * EVERY).await;
    let client = client.clone();
    tokio::task::spawn_blocking(move || client.flush(Duration::from_secs(5))).await??;
    capture.take_lines().iter().filter(|line| !line.contains(".max:")).for_each(|line| println!("{line}"));
    drop(held);

    let budget = ConnectionBudget::new().tasks(12).pool(POOL.into()).reserved(5).postgres(100, 3);
    println!("{budget}");
    Ok(())
}
