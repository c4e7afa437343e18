//! A list whose items the user's own program writes.

/// A list in Redis as a queue: see [`RedisQueue::list`](crate::integrations::redis::RedisQueue::list).
///
/// ```
/// use tasktag::integrations::redis::RedisQueue;
///
/// // LPUSH exports '{"order":12,"queued_at":1795866007.25}' … BRPOP exports
/// let exports = RedisQueue::list("exports").time_in_json("queued_at");
/// // RPUSH mails 12 … HSET mail:12 queued_at 1795866007250 … BLPOP mails
/// let mails = RedisQueue::list("mails").taken_from_left().time_in_hash("mail:", "queued_at");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it is watched once it is given to `watch_redis_queue`"]
pub struct RedisList {
    key: String,
    is_taken_from_left: bool,
    time: [String; 3],
}

impl RedisList {
    pub(super) fn new(key: &str) -> Self {
        Self { key: key.to_owned(), is_taken_from_left: false, time: Default::default() }
    }

    /// Says that items are taken from the left, as `LPOP` and `BLPOP` do, so that the oldest is the first. By default
    /// the oldest is the last, as for `LPUSH` with `BRPOP`.
    pub fn taken_from_left(mut self) -> Self {
        self.is_taken_from_left = true;
        self
    }

    /// Says that each item is a JSON object with the time at which it was enqueued. `path` is its field, or the names
    /// of nested fields with dots between them. The default is no time, and so no age.
    ///
    /// The time is a number in s, ms, µs or ns since 1970, told apart by its size, or a date in ISO 8601. An item of
    /// more than 256 KiB has no age.
    pub fn time_in_json(mut self, path: &str) -> Self {
        self.time = ["json", path, ""].map(str::to_owned);
        self
    }

    /// Says that each item is the rest of a key, behind `prefix`, of a hash that has the time in `field`. The time is
    /// written as for [`time_in_json`](Self::time_in_json).
    pub fn time_in_hash(mut self, prefix: &str, field: &str) -> Self {
        self.time = ["hash", prefix, field].map(str::to_owned);
        self
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Returns where the oldest item is, and where its time stands.
    pub(super) fn arguments(&self) -> Vec<String> {
        let end = if self.is_taken_from_left { "0" } else { "-1" };
        [end.to_owned()].into_iter().chain(self.time.clone()).collect()
    }
}
