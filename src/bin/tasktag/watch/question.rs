//! What a database is asked.

use tasktag::integrations::tokio_postgres::{pgbouncer_status, postgres_status, queue_status};
use tasktag::{PgBouncerStatus, PostgresStatus, QueueStatus, SqlQueue};
use tokio_postgres::{Client, Error};

/// A question, and what an answer is.
pub(super) trait Question: Clone + Send + Sync + 'static {
    type Answer: Send;

    fn ask(&self, client: &Client) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}

/// Who waits for a `PgBouncer`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pools;

/// Who has the connections of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connections;

impl Question for Pools {
    type Answer = PgBouncerStatus;

    fn ask(&self, client: &Client) -> impl Future<Output = Result<Self::Answer, Error>> + Send {
        pgbouncer_status(client)
    }
}

impl Question for Connections {
    type Answer = PostgresStatus;

    fn ask(&self, client: &Client) -> impl Future<Output = Result<Self::Answer, Error>> + Send {
        postgres_status(client)
    }
}

impl Question for SqlQueue {
    type Answer = QueueStatus;

    fn ask(&self, client: &Client) -> impl Future<Output = Result<Self::Answer, Error>> + Send {
        queue_status(client, self)
    }
}
