//! apalis with its storage in PostgreSQL.

use crate::postgres::Postgres;
use crate::steps::{SECOND, Storage, assert_paused, assert_steps, work};
use crate::worker::{Worker, runtime, told};
use apalis::prelude::*;
use apalis_postgres::{Config, PgPool, PostgresStorage};
use sqlx::{Connection, PgConnection};
use tasktag::integrations::sqlx::queue_status;
use tasktag::{QueueStatus, SqlQueue};

async fn storage(url: &str) -> PostgresStorage<String> {
    let pool = PgPool::connect(url).await.unwrap();
    PostgresStorage::setup(&pool).await.unwrap();
    PostgresStorage::new(&pool).with_config(Config::default().queue("mail").heartbeat_interval(SECOND))
}

#[test]
fn child_works_jobs_in_postgres() {
    let Some((name, url)) = told() else { return };
    runtime().block_on(async {
        let backend = storage(&url).await;
        WorkerBuilder::new(name).backend(backend).parallelize(tokio::spawn).build(work).run().await.unwrap();
    });
}

struct InPostgres {
    // The connections end before their server.
    storage: PostgresStorage<String>,
    connection: PgConnection,
    url: String,
    _server: Postgres,
}

impl InPostgres {
    /// `None` where nobody says where a server's programs are.
    async fn new() -> Option<Self> {
        let server = Postgres::start()?;
        let url = format!("postgres://shop@localhost/postgres?host={}", server.folder().display());
        let storage = storage(&url).await;
        let connection = PgConnection::connect(&url).await.unwrap();
        Some(Self { storage, connection, url, _server: server })
    }
}

impl Storage for InPostgres {
    async fn push(&mut self, job: TaskBuilder<String>) {
        self.storage.push_task(job.build()).await.unwrap();
    }

    async fn status(&mut self) -> QueueStatus {
        let queue = SqlQueue::apalis_postgres("mail").with_scans();
        queue_status(&mut self.connection, &queue).await.unwrap()
    }

    fn start_worker(&self) -> Worker {
        Worker::start("apalis_postgres::child_works_jobs_in_postgres", "worker-1", &self.url)
    }
}

#[test]
fn each_step_of_a_job_of_apalis_postgres_is_in_its_number() {
    runtime().block_on(async {
        let Some(mut jobs) = InPostgres::new().await else { return };
        assert_steps(&mut jobs).await;
    });
}

#[test]
fn the_jobs_of_a_paused_worker_of_apalis_postgres_wait() {
    runtime().block_on(async {
        let Some(mut jobs) = InPostgres::new().await else { return };
        assert_paused(&mut jobs).await;
    });
}
