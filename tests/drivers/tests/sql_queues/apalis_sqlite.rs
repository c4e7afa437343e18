//! apalis with its storage in SQLite.

use crate::steps::{SECOND, Storage, assert_paused, assert_steps, work};
use crate::support::TempDir;
use crate::worker::{Worker, runtime, told};
use apalis::prelude::*;
use apalis_sqlite::{Config, SqlitePool, SqliteStorage};
use sqlx::{Connection, SqliteConnection};
use tasktag::integrations::sqlx::queue_status;
use tasktag::{QueueStatus, SqlQueue};

async fn storage(url: &str) -> SqliteStorage<String> {
    let pool = SqlitePool::connect(url).await.unwrap();
    SqliteStorage::setup(&pool).await.unwrap();
    SqliteStorage::new(&pool).with_config(Config::default().queue("mail").heartbeat_interval(SECOND))
}

#[test]
fn child_works_jobs_in_sqlite() {
    let Some((name, url)) = told() else { return };
    runtime().block_on(async {
        let backend = storage(&url).await;
        WorkerBuilder::new(name).backend(backend).parallelize(tokio::spawn).build(work).run().await.unwrap();
    });
}

struct InSqlite {
    // The connections end before their file.
    storage: SqliteStorage<String>,
    connection: SqliteConnection,
    url: String,
    _folder: TempDir,
}

impl InSqlite {
    async fn new() -> Self {
        let folder = TempDir::new();
        let url = format!("sqlite://{}?mode=rwc", folder.join("jobs.db").display());
        let storage = storage(&url).await;
        let connection = SqliteConnection::connect(&url).await.unwrap();
        Self { storage, connection, url, _folder: folder }
    }
}

impl Storage for InSqlite {
    async fn push(&mut self, job: TaskBuilder<String>) {
        self.storage.push_task(job.build()).await.unwrap();
    }

    async fn status(&mut self) -> QueueStatus {
        queue_status(&mut self.connection, &SqlQueue::apalis_sqlite("mail")).await.unwrap()
    }

    fn start_worker(&self) -> Worker {
        Worker::start("apalis_sqlite::child_works_jobs_in_sqlite", "worker-1", &self.url)
    }
}

#[test]
fn each_step_of_a_job_of_apalis_sqlite_is_in_its_number() {
    runtime().block_on(async { assert_steps(&mut InSqlite::new().await).await });
}

#[test]
fn the_jobs_of_a_paused_worker_of_apalis_sqlite_wait() {
    runtime().block_on(async { assert_paused(&mut InSqlite::new().await).await });
}
