//! A database of a test's own, on a server that the tests of this file share.

use crate::postgres::Postgres;
use crate::support::PATIENCE;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tasktag::integrations::{sqlx as by_sqlx, tokio_postgres as by_tokio_postgres};
use tasktag::{QueueStatus, SqlQueue};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

/// What a system can't tell.
pub(crate) const ABSENT: i64 = -1;

/// Ages in tests are whole hours, and no test takes as long.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

// The server ends with the last test that uses it.
static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

fn server() -> Option<Arc<Postgres>> {
    let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let server = match shared.upgrade() {
        Some(server) => server,
        None => Arc::new(Postgres::start()?),
    };
    *shared = Arc::downgrade(&server);
    Some(server)
}

pub(crate) struct Database {
    // The connections end before their runtime, and that before the server.
    connection: PgConnection,
    other: tokio_postgres::Client,
    runtime: Runtime,
    name: String,
    server: Arc<Postgres>,
}

impl Database {
    /// `None` where nobody says where a server's programs are.
    pub(crate) fn new() -> Option<Self> {
        let server = server()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let name = format!("queues_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let (connection, other) = runtime.block_on(async {
            let mut connection = server.options().connect().await.unwrap();
            connection.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
            let options = server.options().database(&name);
            (options.connect().await.unwrap(), connect(&server, &name, "shop").await)
        });
        Some(Self { connection, other, runtime, name, server })
    }

    /// The address of the database for other programs.
    pub(crate) fn address(&self) -> (String, String) {
        (self.server.folder().display().to_string(), self.name.clone())
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.server.options().database(&self.name)
    }

    #[track_caller]
    pub(crate) fn run(&mut self, statements: &str) {
        let raw = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        let done = self.runtime.block_on(raw.execute(&mut self.connection));
        done.unwrap_or_else(|error| panic!("{error}: {statements}"));
    }

    /// Sets the time zone of both clients' sessions.
    #[track_caller]
    pub(crate) fn set_zone(&mut self, zone: &str) {
        let statement = format!("set timezone = '{zone}'");
        self.run(&statement);
        self.runtime.block_on(self.other.batch_execute(&statement)).unwrap();
    }

    /// A connection besides the own.
    pub(crate) fn connect(&self) -> PgConnection {
        self.runtime.block_on(self.options().connect()).unwrap()
    }

    #[track_caller]
    pub(crate) fn run_on(&self, connection: &mut PgConnection, statement: &'static str) {
        self.runtime.block_on(connection.execute(statement)).unwrap();
    }

    pub(crate) fn wait_for<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Waits until a queue says what is expected.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, queue: &SqlQueue, expected: [i64; 6]) {
        let mut last = [ABSENT; 6];
        let start = std::time::Instant::now();
        while last != expected {
            assert!(start.elapsed() < PATIENCE, "{last:?}, and never {expected:?}");
            std::thread::sleep(Duration::from_millis(5));
            last = self.wait_for_seen(queue);
        }
    }

    fn wait_for_seen(&mut self, queue: &SqlQueue) -> [i64; 6] {
        let status = self.runtime.block_on(by_sqlx::queue_status(&mut self.connection, queue)).unwrap();
        seen(&status)
    }

    /// The first column of the rows, as text.
    #[track_caller]
    pub(crate) fn rows(&mut self, query: &str) -> Vec<String> {
        let raw = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        let rows = self.runtime.block_on(raw.fetch_all(&mut self.connection));
        let rows = rows.unwrap_or_else(|error| panic!("{error}: {query}"));
        rows.iter()
            .map(|row| sqlx::Row::try_get_unchecked::<Option<String>, _>(row, 0).unwrap().unwrap_or_default())
            .collect()
    }

    /// The first column of the first row, as a number: what a recipe shows.
    #[track_caller]
    pub(crate) fn number(&mut self, query: &str) -> f64 {
        self.rows(query)[0].parse().unwrap()
    }

    /// What both clients say of a queue.
    #[track_caller]
    pub(crate) fn ask(&mut self, queue: &SqlQueue) -> QueueStatus {
        let (connection, other) = (&mut self.connection, &self.other);
        let (first, second) = self.runtime.block_on(async {
            let first = by_sqlx::queue_status(connection, queue).await;
            let second = by_tokio_postgres::queue_status(other, queue).await;
            (first.unwrap_or_else(|error| panic!("{error}: {}", queue.query())), second.unwrap())
        });
        assert_eq!(seen(&first), seen(&second), "by sqlx and by tokio-postgres");
        assert_eq!(first.hidden, second.hidden);
        first
    }

    /// What a role that is not the owner is told.
    pub(crate) fn ask_as(
        &mut self,
        role: &str,
        queue: &SqlQueue,
    ) -> Result<QueueStatus, tokio_postgres::Error> {
        self.runtime.block_on(async {
            let client = connect(&self.server, &self.name, role).await;
            by_tokio_postgres::queue_status(&client, queue).await
        })
    }

    /// What a queue says after a step: its depth, the age of its oldest job in hours, and how many jobs are running,
    /// scheduled, retrying and dead.
    #[track_caller]
    pub(crate) fn step(&mut self, queue: &SqlQueue, statements: &str, expected: [i64; 6]) {
        self.run(statements);
        let status = self.ask(queue);
        assert_eq!(seen(&status), expected, "after {statements}");
        assert_eq!(status.hidden, Some(false));
    }
}

async fn connect(server: &Postgres, name: &str, user: &str) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(server.folder()).user(user).dbname(name);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client
}

/// The numbers of a status, as [`Database::step`] has them.
pub(crate) fn seen(status: &QueueStatus) -> [i64; 6] {
    let number = |number: Option<u64>| number.map_or(ABSENT, |number| i64::try_from(number).unwrap());
    [
        number(status.depth),
        number(status.oldest_age.map(|age| age.as_secs() / HOUR.as_secs())),
        number(status.running),
        number(status.scheduled),
        number(status.retrying),
        number(status.dead),
    ]
}
