//! A queue in Redis: its system and its name.

use super::list::RedisList;
use super::recipe::{Recipe, System};
use super::server::Server;
use crate::api::watch::QueueStatus;
use std::io;

/// A queue that a job system keeps in Redis. [The module](crate::integrations::redis) says what is reported for each,
/// and what the numbers don't tell.
///
/// A name is what the system's own programs call the queue.
///
/// ```
/// use tasktag::integrations::redis::RedisQueue;
///
/// let mail = RedisQueue::bullmq("mail").key_prefix("shop:"); // { prefix: 'shop' }
/// let orders = RedisQueue::stream("orders", "billing");
/// assert_eq!((mail.name(), orders.name()), ("mail", "orders"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it is watched once it is given to `watch_redis_queue`"]
pub struct RedisQueue {
    system: System,
    name: String,
    prefix: String,
    further: Vec<String>,
}

impl RedisQueue {
    fn of(system: System, name: &str, further: Vec<String>) -> Self {
        Self { system, name: name.to_owned(), prefix: system.default_prefix().to_owned(), further }
    }

    /// A queue of Sidekiq 6 to 8, or of rusty-sidekiq.
    pub fn sidekiq(queue: &str) -> Self {
        Self::of(System::Sidekiq, queue, Vec::new())
    }

    /// A queue of `BullMQ` 5 or 6.
    pub fn bullmq(queue: &str) -> Self {
        Self::of(System::BullMq, queue, Vec::new())
    }

    /// A queue of RQ.
    pub fn rq(queue: &str) -> Self {
        Self::of(System::Rq, queue, Vec::new())
    }

    /// A queue of Dramatiq, with its broker for Redis.
    pub fn dramatiq(queue: &str) -> Self {
        Self::of(System::Dramatiq, queue, Vec::new())
    }

    /// A queue of arq. The name is the whole key, `arq:queue` by default.
    pub fn arq(queue: &str) -> Self {
        Self::of(System::Arq, queue, Vec::new())
    }

    /// A queue of Celery, with Redis as its broker. The name is also the routing key, `celery` by default.
    ///
    /// Celery writes no time. The queue has an age if the tasks' publishers add the header `enqueued_at`:
    ///
    /// ```python
    /// @celery.signals.before_task_publish.connect
    /// def stamp(headers, **_):
    ///     headers["enqueued_at"] = time.time()
    /// ```
    pub fn celery(queue: &str) -> Self {
        Self::of(System::Celery, queue, Vec::new())
    }

    /// A queue of apalis-redis 1.0. The name is that of its configuration, `default` by default.
    pub fn apalis(queue: &str) -> Self {
        Self::of(System::Apalis, queue, Vec::new())
    }

    /// The entries of a stream that a group has not read yet. Their ids must begin with the time, as those of `XADD`
    /// with `*` do.
    pub fn stream(key: &str, group: &str) -> Self {
        Self::of(System::Stream, key, vec![group.to_owned()])
    }

    /// A list whose items your own program writes. By default it has no age: see [`RedisList`].
    pub fn list(key: &str) -> RedisList {
        RedisList::new(key)
    }

    /// Sets what all keys begin with, with the character that divides it from the rest. The default is that of the
    /// system: `bull:`, `dramatiq:`, `rq:`, and nothing for the others.
    ///
    /// It is the prefix of `BullMQ`, the namespace of Dramatiq or of redis-namespace, and Celery's `global_keyprefix`.
    /// The marks of arq have no such prefix.
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Returns the queue's name, or its key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks once, on the calling thread and with a connection of its own. It may take some seconds. A watch reports the
    /// same.
    ///
    /// ```no_run
    /// use tasktag::integrations::redis::RedisQueue;
    ///
    /// let status = RedisQueue::sidekiq("default").ask("redis://localhost")?;
    /// println!("{:?} wait, the first of them for {:?}", status.depth, status.oldest_age);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the URL is not valid, if the server can't be reached or does not answer within 1 s, or if a key has
    /// another type than the system gives it.
    pub fn ask(&self, url: &str) -> io::Result<QueueStatus> {
        let asked = Server::new(url).and_then(|mut server| server.ask(&self.recipe()));
        asked.map(|answer| answer.status).map_err(io::Error::other)
    }

    pub(super) fn recipe(&self) -> Recipe {
        self.system.recipe(&self.prefix, &self.name, &self.further)
    }
}

impl From<RedisList> for RedisQueue {
    fn from(list: RedisList) -> Self {
        Self::of(System::List, list.key(), list.arguments())
    }
}
