//! A connection to a database.

use std::error::Error;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

/// A statement that any server answers at once, the console of a `PgBouncer` included.
const TRIFLE: &str = "show client_encoding";

/// A connection, and the task that drives it. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    driver: AbortHandle,
}

impl Session {
    pub(super) async fn open(config: &Config) -> Result<Self, String> {
        let (client, connection) = config.connect(NoTls).await.map_err(|error| reason(&error))?;
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { client, driver })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns whether the server still answers. A proxy that drops connections without traffic tells neither side.
    pub(super) async fn is_alive(&self, limit: Duration) -> bool {
        timeout(limit, self.client.simple_query(TRIFLE)).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Has the server end its statement, and waits until it has.
    pub(super) async fn cancel(&self, limit: Duration) {
        let cancelled = async {
            if self.client.cancel_token().cancel_query(NoTls).await.is_ok() {
                // It is answered after the statement. A pooler passes a request on while the connection is open.
                let _ = self.client.simple_query(TRIFLE).await;
            }
        };
        let _ = timeout(limit, cancelled).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An error with its causes, which it leaves out itself.
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
