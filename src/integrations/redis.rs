//! [redis](https://docs.rs/redis) 1.8.1: watches the queues of job systems.
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

mod answer;
mod counted_queue;
mod inquiry;
mod list;
mod queue;
mod recipe;
mod server;

pub use self::list::RedisList;
pub use self::queue::RedisQueue;

use self::inquiry::Inquiry;
use self::server::Server;
use crate::api::client::Client;
use crate::api::watch::{QueueStatus, WatchBuilder};
use crate::callback::probe::Watch;
use crate::task_id::ShownUrl;
use crate::vocabulary::error::ConfigError;

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
        let server =
            Server::new(url).map_err(|reason| ConfigError::setting("watch_redis", ShownUrl(url), reason))?;
        let mut inquiry = Inquiry::new(queue.into().recipe(), server);
        Ok(self.with_status().watch(move || inquiry.status()))
    }
}
