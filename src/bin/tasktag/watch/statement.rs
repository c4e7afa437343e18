//! A statement under way, which is never left behind at a server.

use super::session::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio_postgres::Client;

/// Where a database's connection is kept between statements, locked for as long as one is under way.
pub(super) type Slot = OwnedMutexGuard<Option<Arc<Session>>>;

/// Dropping it before its end cancels the statement. Otherwise the server would go on with it, and the next ones would
/// come on top.
#[derive(Debug)]
pub(super) struct Statement {
    session: Arc<Session>,
    /// `None` once it has ended.
    slot: Option<Slot>,
    limit: Duration,
}

impl Statement {
    /// A cancellation has this limit.
    pub(super) fn begin(session: Arc<Session>, slot: Slot, limit: Duration) -> Self {
        Self { session, slot: Some(slot), limit }
    }

    pub(super) fn client(&self) -> &Client {
        self.session.client()
    }

    /// Keeps the connection for the next statement, or closes it.
    pub(super) fn end(mut self, keeps_connection: bool) {
        if let Some(mut slot) = self.slot.take() {
            *slot = keeps_connection.then(|| Arc::clone(&self.session));
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if let (Some(slot), Ok(runtime)) = (self.slot.take(), Handle::try_current()) {
            runtime.spawn(cancel(Arc::clone(&self.session), slot, self.limit));
        }
    }
}

/// The slot stays locked until the connection is closed.
async fn cancel(session: Arc<Session>, slot: Slot, limit: Duration) {
    session.cancel(limit).await;
    drop(session);
    drop(slot);
}
