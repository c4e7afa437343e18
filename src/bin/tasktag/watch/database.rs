//! A database that is asked again and again, over one connection for as long as that lasts.

use super::question::Question;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{timeout, timeout_at};
use tokio_postgres::config::Host;
use tokio_postgres::{CancelToken, Client, Config, NoTls};

/// The longest that an answer is waited for, if there is so much time between two questions.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clones have one connection.
#[derive(Clone, Debug)]
pub(super) struct Database {
    config: Config,
    pub(super) every: Duration,
    session: Arc<Mutex<Option<Session>>>,
}

/// A connection, and the task that drives it.
#[derive(Debug)]
struct Session {
    client: Client,
    driver: AbortHandle,
}

impl Database {
    pub(super) fn new(config: Config, every: Duration) -> Self {
        Self { config, every, session: Arc::default() }
    }

    /// Connects if there is no connection, and asks. `Err` says what went wrong; the connection is then closed.
    pub(super) async fn ask<Q: Question>(self, question: Q) -> Result<Q::Answer, String> {
        // Less than the time after which the library gives a question up, without a reason that could be told.
        let limit = (self.every * 3 / 4).min(PATIENCE);
        let (late, deadline) =
            (|_| format!("there was none within {limit:?}"), tokio::time::Instant::now() + limit);
        let session = self.take().filter(|session| !session.client.is_closed());
        let session = match session {
            Some(session) => session,
            None => timeout_at(deadline, Session::open(&self.config)).await.map_err(late)??,
        };
        let Ok(asked) = timeout_at(deadline, question.ask(&session.client)).await else {
            // Otherwise the server would go on with it, and the next ones would come on top.
            tokio::spawn(cancel(session.client.cancel_token(), limit));
            return Err(format!("there was none within {limit:?}"));
        };
        let answer = asked.map_err(|error| reason(&error))?;
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        Ok(answer)
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

    fn take(&self) -> Option<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Session {
    async fn open(config: &Config) -> Result<Self, String> {
        let (client, connection) = config.connect(NoTls).await.map_err(|error| reason(&error))?;
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { client, driver })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn cancel(token: CancelToken, limit: Duration) {
    let _ = timeout(limit, token.cancel_query(NoTls)).await;
}

/// An error with its causes, which it leaves out itself.
fn reason(error: &tokio_postgres::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
