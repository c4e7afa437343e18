//! A database that is asked again and again, over one connection for as long as that lasts.

use super::question::Question;
use super::session::{Session, reason};
use super::statement::{Slot, Statement};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The longest that an answer is waited for, if there is so much time between two questions.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clones have one connection.
#[derive(Clone, Debug)]
pub(super) struct Database {
    config: Config,
    pub(super) every: Duration,
    session: Arc<Mutex<Option<Arc<Session>>>>,
}

impl Database {
    pub(super) fn new(config: Config, every: Duration) -> Self {
        Self { config, every, session: Arc::default() }
    }

    /// Connects if there is no connection, and asks. `Err` says what went wrong; the connection is then closed.
    pub(super) async fn ask<Q: Question>(self, question: Q) -> Result<Q::Answer, String> {
        // Less than the time after which the library gives a question up, without a reason that could be told.
        let limit = (self.every * 3 / 4).min(PATIENCE);
        match timeout(limit, self.answer(&question, limit)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("there was none within {limit:?}")),
        }
    }

    async fn answer<Q: Question>(&self, question: &Q, limit: Duration) -> Result<Q::Answer, String> {
        let mut slot: Slot = Arc::clone(&self.session).lock_owned().await;
        let session = self.connected(slot.take(), limit / 4).await?;
        let statement = Statement::begin(session, slot, limit);
        let answer = question.ask(statement.client()).await;
        statement.end(answer.is_ok());
        answer.map_err(|error| reason(&error))
    }

    /// Returns the connection that there is if it answers within `limit`, or else a new one.
    async fn connected(&self, kept: Option<Arc<Session>>, limit: Duration) -> Result<Arc<Session>, String> {
        match kept {
            Some(session) if session.is_alive(limit).await => Ok(session),
            _ => Session::open(&self.config).await.map(Arc::new),
        }
    }

    /// Waits until the server has nothing to do for it, not even a statement that was given up.
    pub(super) async fn settle(&self) {
        drop(self.session.lock().await);
    }

    /// Where it is, as it may be shown.
    pub(super) fn place(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(at, host)| {
            let port = ports.get(at).or(ports.first()).map(|port| format!(":{port}")).unwrap_or_default();
            match host {
                Host::Tcp(name) => format!("{name}{port}"),
                Host::Unix(path) => format!("{}{port}", path.display()),
            }
        });
        let hosts: Vec<_> = hosts.collect();
        format!("postgres://{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}
