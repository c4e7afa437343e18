//! The status of a queue of jobs or messages.

mod depth;
mod job;
mod promise;
mod queued;
mod roster;
mod sql;
mod stay;
mod ticket;

pub use self::depth::QueueDepth;
pub use self::job::RunningJob;
pub use self::promise::Promise;
pub use self::queued::Queued;
pub use self::sql::{SqlQueue, SqlQueueRow};
pub use self::ticket::QueueTicket;

pub(super) use self::roster::{JobMetrics, PromiseCounts, Roster};

use super::{Field, Reported, WatchBuilder, Watchable, level, ratio};
use std::time::Duration;

/// The status of a queue. What is not known is not reported, which differs from reporting 0.
///
/// | gauge | from |
/// |---|---|
/// | `queue.depth` | `depth` |
/// | `queue.capacity` | `capacity` |
/// | `queue.utilization` | depth divided by capacity, from 0 to 1 |
/// | `queue.oldest_age_seconds` | `oldest_age` |
/// | `queue.running` | `running` |
/// | `queue.longest_running_seconds` | `longest_running` |
/// | `queue.scheduled` | `scheduled` |
/// | `queue.retrying` | `retrying` |
/// | `queue.dead` | `dead` |
/// | `queue.hidden` | `hidden`: 1 if it is so, and 0 if not |
/// | `queue.backlog_per_task` | depth divided by `tasks`, of which there is at least one |
/// | `queue.promise_seconds` | `promise` |
/// | `queue.promise_used` | oldest age divided by the [`Promise`]; above 1 the promise is broken |
///
/// Alert on the oldest age, because a depth does not say how long anyone waits. The oldest age of an empty queue is
/// [`Duration::ZERO`].
///
/// The depth and the oldest age are those of the jobs that could start now. A job that is to start later is scheduled,
/// or retrying if it has failed before. A job that has failed for good, and that its system keeps, is dead.
///
/// A [`WorkQueue`](crate::WorkQueue) measures all of this by itself. Other queues know their depth and capacity:
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::QueueStatus;
///
/// let (sender, receiver) = crossbeam_channel::bounded::<String>(100);
/// let watched = receiver.clone();
/// let _watch = client.watch_queue("exports", move || {
///     let capacity = watched.capacity().map(|capacity| capacity as u64);
///     QueueStatus::new().depth(watched.len() as u64).capacity(capacity)
/// });
/// # drop(sender);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// The setters take a `u64` or an `Option<u64>`: write `len() as u64` for a `usize`. The feature `tokio` watches
/// tokio's bounded channels. Without it, use their sender's `max_capacity() - capacity()`, or their receiver's
/// `len()`. [`QueueDepth`] is for `std::sync::mpsc` and other queues that don't know their depth.
///
/// A channel does not know the age of its items. To see how long they wait, send the timer of
/// [`start_owned`](crate::Distribution::start_owned) with each item, and drop it where the item is received.
///
/// # Queues on a server
///
/// The feature `redis` watches those that job systems keep in Redis:
/// [`integrations::redis`](integrations/redis/index.html). [`SqlQueue`] asks for the jobs of the usual systems in SQL
/// databases. For others, this is what to do.
///
/// The closure of a watch is not asynchronous, and should make no network calls. Ask the server in a task or a thread
/// of your own, and let the closure return its latest answer. If the server does not answer, store an empty status:
/// the gauges are then absent, and don't show an old depth.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// # fn ask_the_server() -> Option<(u64, std::time::Duration)> { None }
/// use std::sync::{Arc, Mutex};
/// use tasktag::QueueStatus;
///
/// let latest = Arc::new(Mutex::new(QueueStatus::new()));
/// let watched = Arc::clone(&latest);
/// let _watch = client.watch_queue("exports", move || watched.lock().map(|latest| *latest).unwrap_or_default());
///
/// // In a task of your own, once a second. For a list in Redis, ask for `LLEN` and for the time in its oldest entry.
/// let status = match ask_the_server() {
///     Some((depth, age)) => QueueStatus::new().depth(depth).oldest_age(age),
///     None => QueueStatus::new(),
/// };
/// if let Ok(mut latest) = latest.lock() {
///     *latest = status;
/// }
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a status reports nothing until a watch returns it"]
#[non_exhaustive]
pub struct QueueStatus {
    /// The number of items in the queue.
    pub depth: Option<u64>,
    /// The maximum number of items in the queue.
    pub capacity: Option<u64>,
    /// The time for which the item at the head has waited.
    pub oldest_age: Option<Duration>,
    /// The number of jobs that have left the queue and are running.
    pub running: Option<u64>,
    /// The time for which the longest of the running jobs has been running.
    pub longest_running: Option<Duration>,
    /// The number of jobs that are to start later. Where a system does not tell them apart, retrying ones are included.
    pub scheduled: Option<u64>,
    /// The number of jobs that have failed and are to be tried again later.
    pub retrying: Option<u64>,
    /// The number of jobs that have failed for good and are still kept.
    pub dead: Option<u64>,
    /// Whether the role that asks has no right to see the queue, which then looks empty.
    pub hidden: Option<bool>,
    /// The number of tasks that work on the queue.
    pub tasks: Option<u64>,
    /// The time within which every item is to start.
    pub promise: Option<Promise>,
}

impl QueueStatus {
    /// Returns a status in which nothing is known.
    pub const fn new() -> Self {
        Self {
            depth: None,
            capacity: None,
            oldest_age: None,
            running: None,
            longest_running: None,
            scheduled: None,
            retrying: None,
            dead: None,
            hidden: None,
            tasks: None,
            promise: None,
        }
    }

    /// Sets the number of items in the queue.
    pub fn depth(mut self, items: impl Into<Option<u64>>) -> Self {
        self.depth = items.into();
        self
    }

    /// Sets the maximum number of items in the queue.
    pub fn capacity(mut self, items: impl Into<Option<u64>>) -> Self {
        self.capacity = items.into();
        self
    }

    /// Sets the time for which the item at the head has waited.
    pub fn oldest_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.oldest_age = age.into();
        self
    }

    /// Sets the number of jobs that have left the queue and are running.
    pub fn running(mut self, jobs: impl Into<Option<u64>>) -> Self {
        self.running = jobs.into();
        self
    }

    /// Sets the time for which the longest of the running jobs has been running.
    pub fn longest_running(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.longest_running = time.into();
        self
    }

    /// Sets the number of jobs that are to start later.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasktag::QueueStatus;
    ///
    /// // 3 jobs wait, the first of them for 7 s. 10 are to start later, 2 of them again, and 1 has failed for good.
    /// let waiting = QueueStatus::new().depth(3).oldest_age(Duration::from_secs(7));
    /// let status = waiting.scheduled(8).retrying(2).dead(1);
    /// assert_eq!(status.scheduled.zip(status.retrying), Some((8, 2)));
    /// ```
    pub fn scheduled(mut self, jobs: impl Into<Option<u64>>) -> Self {
        self.scheduled = jobs.into();
        self
    }

    /// Sets the number of jobs that have failed and are to be tried again later.
    pub fn retrying(mut self, jobs: impl Into<Option<u64>>) -> Self {
        self.retrying = jobs.into();
        self
    }

    /// Sets the number of jobs that have failed for good and are still kept.
    pub fn dead(mut self, jobs: impl Into<Option<u64>>) -> Self {
        self.dead = jobs.into();
        self
    }

    /// Sets whether the role that asks has no right to see the queue. Leave the other numbers of such a queue unknown:
    /// they would be those of an empty one.
    pub fn hidden(mut self, is_hidden: impl Into<Option<bool>>) -> Self {
        self.hidden = is_hidden.into();
        self
    }

    /// Sets the number of tasks that work on the queue, for the [signals of autoscaling](crate::guide::autoscaling).
    /// It is known from [`Client::live_tasks`](crate::Client::live_tasks) if their ids are leased, or from the
    /// platform.
    ///
    /// 0 tasks count as one, so that a queue on which no task works has a backlog that asks for the first one.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::QueueStatus;
    ///
    /// let counting = client.clone();
    /// let _watch = client.watch_queue("mail", move || {
    ///     // queue.backlog_per_task:150, if there are 4 tasks
    ///     QueueStatus::new().depth(600).tasks(counting.live_tasks().map(u64::from))
    /// });
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn tasks(mut self, tasks: impl Into<Option<u64>>) -> Self {
        self.tasks = tasks.into();
        self
    }

    /// Sets the time within which every item is to start. [`WatchBuilder::promise`](crate::WatchBuilder::promise) does
    /// the same for all statuses of a watch.
    pub fn promise(mut self, promise: impl Into<Option<Promise>>) -> Self {
        self.promise = promise.into();
        self
    }
}

impl Watchable for QueueStatus {}

impl Reported for QueueStatus {
    const NOUN: &'static str = "queue";

    fn fields(&self) -> Vec<Field> {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let promised = self.promise.map(|promise| promise.duration().as_secs_f64());
        let used = self.promise.zip(self.oldest_age).and_then(|(promise, age)| promise.used_by(age));
        vec![
            Field { name: "depth", peak: true, value: level(self.depth) },
            Field { name: "capacity", peak: false, value: level(self.capacity) },
            Field { name: "utilization", peak: true, value: ratio(self.depth, self.capacity) },
            Field { name: "oldest_age_seconds", peak: true, value: seconds(self.oldest_age) },
            Field { name: "running", peak: true, value: level(self.running) },
            Field { name: "longest_running_seconds", peak: true, value: seconds(self.longest_running) },
            Field { name: "scheduled", peak: true, value: level(self.scheduled) },
            Field { name: "retrying", peak: true, value: level(self.retrying) },
            Field { name: "dead", peak: true, value: level(self.dead) },
            Field {
                name: "hidden",
                peak: false,
                value: self.hidden.map(|is_hidden| f64::from(u8::from(is_hidden))),
            },
            Field {
                name: "backlog_per_task",
                peak: true,
                value: ratio(self.depth, self.tasks.map(|tasks| tasks.max(1))),
            },
            Field { name: "promise_seconds", peak: false, value: promised },
            Field { name: "promise_used", peak: true, value: used },
        ]
    }

    fn with_promise(mut self, promise: Option<Promise>) -> Self {
        self.promise = self.promise.or(promise);
        self
    }
}

impl WatchBuilder<'_, QueueStatus> {
    /// Sets the time within which every item is to start: see [`Promise`]. It applies to each status that has none of
    /// its own. By default there is none.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use std::time::Duration;
    /// use tasktag::{Promise, QueueStatus};
    ///
    /// let promise = Promise::within(Duration::from_secs(60));
    /// let _watch = client.queue("mail").promise(promise).watch(|| {
    ///     QueueStatus::new().oldest_age(Duration::from_secs(90)) // queue.promise_used:1.5
    /// });
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn promise(mut self, promise: impl Into<Option<Promise>>) -> Self {
        self.promise = promise.into();
        self
    }
}
