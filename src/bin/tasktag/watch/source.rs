//! What is watched: a name, what is asked, and under which metrics it is reported.

use super::database::Database;
use super::job_queue::{self, JobQueue};
use super::mistake::Mistake;
use super::question::{Connections, Pools, Question};
use super::reachability::Reachability;
use super::section::{Section, Tags};
use super::settings::{Settings, tags_of};
use super::{server_url, time_span};
use crate::shown_url::without_password;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tasktag::integrations::redis::RedisQueue;
use tasktag::integrations::tokio::WatchAsync;
use tasktag::{
    Client, ConfigError, PgBouncerStatus, PostgresStatus, Promise, QueueStatus, SoleReporter, SqlQueue,
    Watch, WatchBuilder, Watchable,
};
use tokio::runtime::Handle;
use tokio::time::timeout;

const MIN_PROMISE: Duration = Duration::from_millis(1);
const MAX_PROMISE: Duration = Duration::from_secs(365 * 86_400);
/// The longest that one answer of Redis is waited for: looking up a name has no limit of its own.
const REDIS_PATIENCE: Duration = Duration::from_secs(5);

/// A pool or a queue.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: String,
    prefix: Option<String>,
    tags: Tags,
    subject: Subject,
}

#[derive(Clone, Debug)]
enum Subject {
    PgBouncer(Database),
    Postgres(Database),
    SqlQueue(Database, SqlQueue, Option<Promise>),
    RedisQueue(String, RedisQueue, Option<Promise>),
}

/// What a source answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    PgBouncer(PgBouncerStatus),
    Postgres(PostgresStatus),
    Queue(QueueStatus),
}

impl Source {
    pub(super) fn read_pgbouncer(mut section: Section<'_>, settings: &Settings) -> Result<Self, Mistake> {
        let name = section.required("name", "by which it is reported, as pgbouncer:<name>")?.value;
        let config = server_url::pgbouncer(&mut section)?.value;
        let every = settings.every(&mut section)?;
        Self::read_rest(section, settings, name, Subject::PgBouncer(Database::new(config, every)))
    }

    pub(super) fn read_postgres(mut section: Section<'_>, settings: &Settings) -> Result<Self, Mistake> {
        let name = section.required("name", "by which it is reported, as database:<name>")?.value;
        let config = server_url::postgres(&mut section)?.value;
        let every = settings.every(&mut section)?;
        Self::read_rest(section, settings, name, Subject::Postgres(Database::new(config, every)))
    }

    pub(super) fn read_queue(mut section: Section<'_>, settings: &Settings) -> Result<Self, Mistake> {
        let (queue, own_name) = job_queue::take(&mut section)?;
        let name = section.text("name")?.map_or_else(|| own_name.clone(), |name| name.value);
        let promise = section.time("promise", MIN_PROMISE..=MAX_PROMISE)?;
        let promise = promise.map(|promise| Promise::within(promise.value));
        // The queue's own name still says what it promises when it is reported under another one.
        let promise = promise
            .or_else(|| [&name, &own_name].into_iter().find_map(|name| Promise::from_queue_name(name)));
        let subject = match queue {
            JobQueue::InRedis(queue) => {
                section.refuse("every", "a queue in Redis is asked four times a second: leave it out")?;
                Subject::RedisQueue(server_url::redis(&mut section)?.value, queue, promise)
            }
            JobQueue::InPostgres(queue) => {
                let config = server_url::postgres(&mut section)?.value;
                let every = settings.every(&mut section)?;
                Subject::SqlQueue(Database::new(config, every), queue, promise)
            }
        };
        Self::read_rest(section, settings, name, subject)
    }

    /// Reads what all sources have.
    fn read_rest(
        mut section: Section<'_>,
        settings: &Settings,
        name: String,
        subject: Subject,
    ) -> Result<Self, Mistake> {
        let (prefix, tags) = (settings.prefix_of(&mut section)?, tags_of(&mut section)?);
        section.end()?;
        Ok(Self { name, prefix, tags, subject })
    }

    /// Watches it for as long as the result is kept.
    pub(super) fn watch(
        &self,
        client: &Client,
        sole: Option<&SoleReporter>,
        runtime: &Handle,
    ) -> Result<Watch, ConfigError> {
        let reachability = Arc::new(Reachability::new(self.to_string()));
        match &self.subject {
            Subject::PgBouncer(database) => {
                let watch = self.set(client.pgbouncer(&self.name), sole);
                Ok(watch_database(watch, runtime, database, Pools, reachability))
            }
            Subject::Postgres(database) => {
                let watch = self.set(client.postgres(&self.name), sole);
                Ok(watch_database(watch, runtime, database, Connections, reachability))
            }
            Subject::SqlQueue(database, queue, promise) => {
                let watch = self.set(client.queue(&self.name), sole).promise(*promise);
                Ok(watch_database(watch, runtime, database, queue.clone(), reachability))
            }
            Subject::RedisQueue(url, queue, promise) => {
                let watch = self.set(client.queue(&self.name), sole).promise(*promise);
                watch.watch_redis_with_listener(url, queue.clone(), move |ended| {
                    let _ = reachability.note(ended);
                })
            }
        }
    }

    /// Asks it once.
    pub(super) async fn ask(self) -> Result<Answer, String> {
        match self.subject {
            Subject::PgBouncer(database) => database.ask(Pools).await.map(Answer::PgBouncer),
            Subject::Postgres(database) => database.ask(Connections).await.map(Answer::Postgres),
            Subject::SqlQueue(database, queue, _) => database.ask(queue).await.map(Answer::Queue),
            Subject::RedisQueue(url, queue, _) => ask_redis(url, queue).await.map(Answer::Queue),
        }
    }

    /// Waits until no server has anything to do for it.
    pub(super) async fn settle(&self) {
        match &self.subject {
            Subject::PgBouncer(database) | Subject::Postgres(database) | Subject::SqlQueue(database, ..) => {
                database.settle().await;
            }
            Subject::RedisQueue(..) => {}
        }
    }

    /// Reports an answer for as long as the result is kept.
    pub(super) fn report(&self, client: &Client, sole: Option<&SoleReporter>, answer: Answer) -> Watch {
        match answer {
            Answer::PgBouncer(status) => {
                self.set(client.pgbouncer(&self.name), sole).watch(move || status.clone())
            }
            Answer::Postgres(status) => {
                self.set(client.postgres(&self.name), sole).watch(move || status.clone())
            }
            Answer::Queue(status) => {
                self.set(client.queue(&self.name), sole).promise(self.promise()).watch(move || status)
            }
        }
    }

    /// Takes its name at a client, and reports nothing.
    pub(super) fn claim_name(&self, client: &Client) -> Watch {
        let nothing = match self.subject {
            Subject::PgBouncer(_) => Answer::PgBouncer(PgBouncerStatus::new()),
            Subject::Postgres(_) => Answer::Postgres(PostgresStatus::new()),
            Subject::SqlQueue(..) | Subject::RedisQueue(..) => Answer::Queue(QueueStatus::new()),
        };
        self.report(client, None, nothing)
    }

    fn set<'a, S: Watchable>(
        &self,
        watch: WatchBuilder<'a, S>,
        sole: Option<&SoleReporter>,
    ) -> WatchBuilder<'a, S> {
        let watch = match &self.prefix {
            Some(prefix) => watch.prefix(prefix),
            None => watch,
        };
        let watch = self.tags.iter().fold(watch, |watch, (key, value)| watch.tag(key, value));
        match sole {
            Some(sole) => watch.by(sole),
            // The one process that there is.
            None => watch.without_task_id(),
        }
    }

    fn promise(&self) -> Option<Promise> {
        match self.subject {
            Subject::SqlQueue(_, _, promise) | Subject::RedisQueue(_, _, promise) => promise,
            Subject::PgBouncer(_) | Subject::Postgres(_) => None,
        }
    }

    /// Says how it is asked.
    pub(super) fn described(&self) -> String {
        let (place, every) = match &self.subject {
            Subject::PgBouncer(database) | Subject::Postgres(database) | Subject::SqlQueue(database, ..) => {
                (database.place(), database.every)
            }
            Subject::RedisQueue(url, ..) => (without_password(url), tasktag::DEFAULT_COLLECT_INTERVAL),
        };
        let promise =
            self.promise().map(|promise| format!(", promise {}", time_span::shown(promise.duration())));
        format!("{self}: {place}, every {}{}", time_span::shown(every), promise.unwrap_or_default())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.subject {
            Subject::PgBouncer(_) => "pgbouncer",
            Subject::Postgres(_) => "postgres",
            Subject::SqlQueue(..) | Subject::RedisQueue(..) => "queue",
        };
        write!(f, "{kind} {}", self.name)
    }
}

fn watch_database<Q>(
    watch: WatchBuilder<'_, Q::Answer>,
    runtime: &Handle,
    database: &Database,
    question: Q,
    reachability: Arc<Reachability>,
) -> Watch
where
    Q: Question,
    Q::Answer: Watchable + Clone + Default,
{
    let database = database.clone();
    watch.watch_async(runtime, database.every, move || {
        let (asked, reachability) = (database.clone().ask(question.clone()), Arc::clone(&reachability));
        async move { reachability.note(asked.await).unwrap_or_default() }
    })
}

async fn ask_redis(url: String, queue: RedisQueue) -> Result<QueueStatus, String> {
    let asked = tokio::task::spawn_blocking(move || queue.ask(&url));
    match timeout(REDIS_PATIENCE, asked).await {
        Ok(Ok(answer)) => answer.map_err(|error| error.to_string()),
        Ok(Err(panicked)) => Err(panicked.to_string()),
        Err(_) => Err(format!("there was none within {REDIS_PATIENCE:?}")),
    }
}
