//! [redis](https://docs.rs/redis) 1.8.1: watches the queues that job systems keep in Redis.
//!
//! ```no_run
//! use tasktag::integrations::redis::RedisQueue;
//! # use tasktag::{Client, ConfigError};
//!
//! # fn watch(client: &Client) -> Result<(), ConfigError> {
//! client.watch_redis_queue("redis://localhost", RedisQueue::sidekiq("default"))?.detach();
//! # Ok(())
//! # }
//! ```
//!
//! The gauges are those of [`QueueStatus`], with the tag `queue:<name>`. What a system can't tell is absent. A job that
//! is due waits, and is part of the depth, wherever the system keeps it. The oldest age is that of the job that could
//! have started first; it is 0 if none waits, and absent if jobs wait and none has a time.
//!
//! If each task of a service watches a queue, each reports it under its own task id. Have one report it for all, with
//! [`WatchBuilder::by`], as the example of [`WatchBuilder::watch_redis`] does.
//!
//! # What is reported
//!
//! | system | `depth` | `oldest_age_seconds` | `running` | `scheduled` | `retrying` | `dead` |
//! |---|---|---|---|---|---|---|
//! | Sidekiq 6 to 8, rusty-sidekiq | the list, and up to 50 due jobs each of `schedule` and `retry` | since it was enqueued, or due | busy threads, **of all queues**, at most 5 s old | **of all queues** | **of all queues** | **of all queues** |
//! | `BullMQ` 5 and 6 | waiting, prioritized and due; 0 while paused | since it was added, due or last started | yes | with retries that back off | – | failed jobs that are kept |
//! | RQ | the list, and due ones | since it was enqueued, or due | those whose worker is heard of | with retries that have an interval | – | failed ones, for as long as they are kept |
//! | Dramatiq | the list | since it was sent, or last failed | taken by workers, of which each thread has up to two that wait | with retries | – | yes |
//! | arq | due ones that don't run | since it was enqueued or due | yes, up to 500 | with retries | – | – |
//! | Celery | the four lists, and what workers have taken and not started; at most so many | needs a [header](RedisQueue::celery) | – | with retries, if 25 or fewer wait in each list and workers have taken 100 or fewer | – | – |
//! | apalis-redis 1.0 | due ones and the list | since it was due; seconds are cut | claimed by workers, of which some may wait | with retries | – | yes |
//! | stream | entries that the group has not read | by the entry's id | read and not acknowledged, with entries that were trimmed meanwhile | – | – | – |
//! | list | its length | if its [time](RedisList) is set | – | – | – | – |
//!
//! # What the numbers don't tell
//!
//! | system | |
//! |---|---|
//! | all | A job that a crashed worker had is running until the system notices, from a minute to hours. |
//! | all but `BullMQ` | The numbers don't show that workers are paused, by `rq suspend` or a signal to Sidekiq: the jobs wait, and their age grows. |
//! | Sidekiq | A job that ran when its process was told to end is put back with its old time, so the age jumps to the job's whole life. |
//! | `BullMQ` | Of a list with `lifo` jobs three at each end are looked at, and of priorities the 32 that are served first. After a back-off the age counts from the last start. A promoted job counts from its addition. |
//! | RQ | With `at_front`, the oldest of the first ten is taken. Jobs that wait for others (`deferred`) are in no number. |
//! | Dramatiq | What a thread has taken and not started is running. A delayed message, once it is due, counts from its sending. Without a worker, due ones are still scheduled. |
//! | arq | A running job whose mark has expired waits. |
//! | Celery | Of each list, the next 25 tasks are looked at, and 100 of those that workers have taken: a task with an eta behind them counts as waiting. With `acks_late` a running task waits. What workers have taken is found by its routing key. |
//! | apalis-redis | A worker claims several jobs at once, also if it runs one at a time. |
//! | stream | The depth is exact up to 32. Beyond that, it may be too high by the entries that a trim removed. If the server does not know the group's lag, the depth is at most 1000. |
//!
//! # How a server is asked
//!
//! At each collection, four times a second by default, each watch sends one script that only reads (`EVAL`), so that
//! all of an answer is of one moment, by the server's own clock. However much waits, the server runs
//!
//! * about 20 commands for most systems;
//! * two more for each priority of `BullMQ`, of which it looks at 32;
//! * one more for each process of Sidekiq or worker of apalis-redis; if there are more than 1000, `running` is absent;
//! * one more for each task that Celery's workers have taken, up to 100, and for each due job of arq, up to 500.
//!
//! With a million jobs, that took the server (Redis 7.0) 0.05 to 0.25 ms, and 0.8 ms for arq's 500. It looks into 256
//! KiB of jobs for an answer, and takes no time from what is beyond. Of a stream it reads up to 33 entries, whole, and
//! up to 1000 if the server knows no lag, as after an entry was deleted.
//!
//! A replica may be asked, and shows its own state. A cluster can't, because scripts read keys that they find. A user
//! with an access list needs `+@read +eval +time`, and `+select` for another database than 0.
//!
//! Each watch has a thread, `tasktag-queue`, and a connection, from the first time that it is to report. What the
//! server said is reported at the next collection. The server has 1 s for each of a connection, a log-in and an answer.
//! If an answer is an error, or there is none after 2 s, the gauges are absent until there is one. So a server that
//! hangs costs its own queues alone.
//!
//! | counter | what it counts |
//! |---|---|
//! | `queue.unanswered` | questions that failed, or took longer than 2 s; its [listener](WatchBuilder::watch_redis_with_listener) says why |
//! | `queue.clamped_ages` | times ahead of the server's clock, whose ages count as 0, in each answer |
//!
//! A time's unit is recognized by its size: above 10¹⁷ it is ns, above 10¹⁴ µs, above 10¹¹ ms, else s.
//!
//! The recipes are those of Sidekiq 6.4.1 and 8.1.7, rusty-sidekiq 0.15.2, `BullMQ` 5.81.5 and 6.7.0, RQ 3.0.0,
//! Dramatiq 2.2.1, arq 0.28.0, Celery 5.7.0 with kombu 5.7.0, and apalis-redis 1.0.0. The tests have these libraries
//! write jobs, but for Sidekiq 7 and 8, whose form they write themselves.
//!
//! Extra dependency: `redis` without its default features. With the feature `redis-tls` a URL may be `rediss://…`.

mod answer;
mod counted_queue;
mod inquiry;
mod list;
mod queue;
mod recipe;
mod server;

pub use self::list::RedisList;
pub use self::queue::RedisQueue;

use self::inquiry::{Inquiry, Listener};
use self::server::Server;
use crate::api::client::Client;
use crate::api::watch::{QueueStatus, WatchBuilder};
use crate::callback::probe::Watch;
use crate::task_id::ShownUrl;
use crate::vocabulary::error::ConfigError;
use std::io;
use std::sync::Arc;

/// With the feature `redis`.
impl Client {
    /// Watches a queue in Redis under its own name: see [`integrations::redis`](crate::integrations::redis). To set
    /// another name, a prefix, tags, a promise, or the task that reports for all, use [`queue`](Self::queue) and
    /// [`WatchBuilder::watch_redis`].
    ///
    /// # Errors
    ///
    /// As [`WatchBuilder::watch_redis`].
    pub fn watch_redis_queue(&self, url: &str, queue: impl Into<RedisQueue>) -> Result<Watch, ConfigError> {
        let queue = queue.into();
        self.queue(queue.name()).watch_redis(url, queue)
    }
}

/// With the feature `redis`.
impl WatchBuilder<'_, QueueStatus> {
    /// Watches a queue in Redis: see [`integrations::redis`](crate::integrations::redis).
    ///
    /// `url` is as for [`TaskIdSource::leased_in_redis`](crate::TaskIdSource::leased_in_redis).
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use tasktag::integrations::redis::RedisQueue;
    /// use tasktag::{Promise, TaskIdSource};
    ///
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let url = "redis://localhost";
    /// let sole = client.sole_reporter(TaskIdSource::leased_in_redis(url, "shop:mail-queue"))?;
    /// let promise = Promise::within(Duration::from_secs(60));
    /// let mail = RedisQueue::bullmq("mail");
    /// client.queue("mail").by(&sole).promise(promise).watch_redis(url, mail)?.detach();
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the URL is not valid. A server that can't be reached is no error: it is asked again at each collection.
    pub fn watch_redis(self, url: &str, queue: impl Into<RedisQueue>) -> Result<Watch, ConfigError> {
        self.watch_with_listener(url, &queue.into(), None)
    }

    /// Does the same as [`watch_redis`](Self::watch_redis), and calls `listener` each time that the server has
    /// answered, or has not. The error says why. Without it, `queue.unanswered` tells only how often.
    ///
    /// `listener` runs on the watch's own thread, `tasktag-queue`, after the answer was handed over. The thread asks
    /// the next question once `listener` has returned: if that takes longer than 60 s, the answer is too old, and the
    /// queue is absent. A panic of it is caught, and changes nothing.
    ///
    /// ```no_run
    /// use tasktag::integrations::redis::RedisQueue;
    ///
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let listener = |ended: std::io::Result<tasktag::QueueStatus>| {
    ///     if let Err(reason) = ended {
    ///         eprintln!("mail: {reason}");
    ///     }
    /// };
    /// let mail = RedisQueue::bullmq("mail");
    /// client.queue("mail").watch_redis_with_listener("redis://localhost", mail, listener)?.detach();
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`watch_redis`](Self::watch_redis).
    pub fn watch_redis_with_listener(
        self,
        url: &str,
        queue: impl Into<RedisQueue>,
        listener: impl Fn(io::Result<QueueStatus>) + Send + Sync + 'static,
    ) -> Result<Watch, ConfigError> {
        self.watch_with_listener(url, &queue.into(), Some(Arc::new(listener)))
    }

    fn watch_with_listener(
        self,
        url: &str,
        queue: &RedisQueue,
        listener: Option<Listener>,
    ) -> Result<Watch, ConfigError> {
        let server =
            Server::new(url).map_err(|reason| ConfigError::setting("watch_redis", ShownUrl(url), reason))?;
        let mut inquiry = Inquiry::new(queue.recipe(), server, listener);
        Ok(self.with_status().watch(move || inquiry.status()))
    }
}
