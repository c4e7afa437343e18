//! Queues inside the program, whose items are measured one by one.

use super::queue::{JobMetrics, Promise, PromiseCounts, QueueStatus, QueueTicket, Queued, Roster};
use super::{Watch, WatchBuilder};
use crate::api::client::Client;
use crate::vocabulary::tag_value::TagValue;
use std::sync::Arc;

/// Work queues.
impl Client {
    /// Returns a builder for a queue inside the program, whose items are measured one by one: see
    /// [`WorkQueue`](crate::WorkQueue).
    pub fn work_queue(&self, name: &str) -> WorkQueueBuilder<'_> {
        WorkQueueBuilder { watch: self.queue(name), capacity: None }
    }
}

/// A queue inside the program, for example a channel, whose items are measured one by one.
///
/// It is not a queue itself. Its items go through a channel or a collection of yours, each with a ticket: see
/// [`wrap`](Self::wrap) and [`enter`](Self::enter). It reports, with the tag `queue:<name>`,
///
/// | metric | kind | what it is |
/// |---|---|---|
/// | `queue.depth` | gauge | the items that wait |
/// | `queue.oldest_age_seconds` | gauge | how long the oldest of them has waited; 0 if there is none |
/// | `queue.running` | gauge | the jobs that run |
/// | `queue.longest_running_seconds` | gauge | how long the longest of them has run; 0 if there is none |
/// | `queue.capacity`, `queue.utilization` | gauge | if the [capacity](WorkQueueBuilder::capacity) is set |
/// | `queue.wait` | timing | how long each item waited, when its job starts |
/// | `queue.duration` | timing | how long each job ran, by [`outcome`](crate::Outcome) |
/// | `queue.abandoned` | counter | the items that left without a job |
/// | `queue.promise_seconds`, `queue.promise_used` | gauge | if there is a [`Promise`] |
/// | `queue.waits`, `queue.waits_within_promise` | counter | the items that started, and those that did so in time |
///
/// The gauges are polled at every collection, and all but the limits also have a peak, `.max`. Alert on
/// `queue.oldest_age_seconds`, or on `queue.promise_used` above 1.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::Promise;
///
/// let name = "within_1_minute";
/// let queue = client.work_queue(name).capacity(100).promise(Promise::from_queue_name(name)).register();
/// let (sender, receiver) = crossbeam_channel::bounded(100);
///
/// sender.send(queue.wrap("12")).expect("there is a receiver");
///
/// let (text, job) = receiver.recv().expect("there is an item").start(); // queue.wait
/// let parsed = text.parse::<u32>();
/// job.end(&parsed); // queue.duration, outcome:ok
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// # Precision
///
/// Depth, waits and durations are exact. The ages of up to about 2,000 items are exact to 64 ns. If more wait, some of
/// them share a slice of time, of 4.2 ms or of a 64th of the age that the oldest of these had when the slice began,
/// whichever is longer. Such an item's age is reported as up to one slice too high. An item that stays for ever costs
/// nothing but its own slot, and items may leave in any order.
///
/// # Cost
///
/// Entering, starting and ending each read the clock once. None of them takes a lock or allocates. A queue takes 64 KiB
/// and has four timings, however many items wait.
///
/// # Handles
///
/// Clones are the same queue, which is reported while one of them is alive. The prefix and the tags identify it, as
/// those of [any watch](WatchBuilder). The gauges of a second one with the same are refused and counted, while its
/// timings and counters go to the same metrics. A forked child's queue starts over: it is empty, and reports only what
/// enters it in the child. The ages follow the client's clock, so a manual clock moves them. With a
/// [disabled client](Client::disabled) or by `Default`, the tickets and jobs do nothing.
#[derive(Clone, Debug, Default)]
#[must_use = "a queue measures only the items that enter it"]
pub struct WorkQueue {
    // `None` if it does nothing.
    roster: Option<Arc<Roster>>,
    _watch: Option<Arc<Watch>>,
}

impl WorkQueue {
    /// Measures an item that enters the queue. Put the ticket into the queue with it.
    #[inline]
    pub fn enter(&self) -> QueueTicket {
        self.roster.as_ref().map(QueueTicket::new).unwrap_or_default()
    }

    /// Measures an item that enters the queue, and puts its ticket beside it.
    #[inline]
    pub fn wrap<T>(&self, item: T) -> Queued<T> {
        Queued::new(item, self.enter())
    }

    /// Returns what waits and runs now. It takes some microseconds, however many items there are.
    ///
    /// An item that waits or runs meanwhile is included. One that enters, starts or ends at this very moment may be
    /// missing, or be both in the depth and among the running jobs.
    pub fn status(&self) -> QueueStatus {
        self.roster.as_ref().map(|roster| roster.status()).unwrap_or_default()
    }
}

/// A [`WorkQueue`] that is about to be registered. [`Client::work_queue`] returns one.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use std::time::Duration;
/// use tasktag::Promise;
///
/// let promise = Promise::within(Duration::from_secs(60));
/// let mail = client.work_queue("mail").prefix("jobs").tag("region", "eu").capacity(100).promise(promise).register();
/// let _ticket = mail.enter(); // jobs.depth:1|g|#queue:mail,region:eu,task_id:0042
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is measured until `register` is called"]
pub struct WorkQueueBuilder<'a> {
    watch: WatchBuilder<'a, QueueStatus>,
    capacity: Option<u64>,
}

impl WorkQueueBuilder<'_> {
    /// Sets the prefix of the metrics' names. The default is `queue`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.watch = self.watch.prefix(prefix);
        self
    }

    /// Adds a tag to every metric. [`TagValue`] says what its value can be.
    pub fn tag<'v>(mut self, key: &str, value: impl TagValue<'v>) -> Self {
        self.watch = self.watch.tag(key, value);
        self
    }

    /// Sets the maximum number of items that can wait. By default none is reported.
    pub fn capacity(mut self, items: impl Into<Option<u64>>) -> Self {
        self.capacity = items.into();
        self
    }

    /// Sets the time within which every item is to start: see [`Promise`]. By default there is none.
    pub fn promise(mut self, promise: impl Into<Option<Promise>>) -> Self {
        self.watch = self.watch.promise(promise);
        self
    }

    /// Registers the metrics, and returns the queue. This never fails.
    pub fn register(self) -> WorkQueue {
        let client = self.watch.client;
        if client.is_disabled() {
            return WorkQueue::default();
        }
        let clock = client.shared().clock.clone();
        let roster = Arc::new(Roster::reported(clock, self.capacity, self.metrics()));
        let watched = Arc::downgrade(&roster);
        let status = move || watched.upgrade().map(|roster| roster.status());
        let watch = self.watch.watch_in_every_process(status);
        WorkQueue { roster: Some(roster), _watch: Some(Arc::new(watch)) }
    }

    fn metrics(&self) -> JobMetrics {
        let scope = self.watch.clone().into_scope();
        JobMetrics {
            wait: scope.timing("wait"),
            duration: scope.timing_by_outcome("duration"),
            abandoned: scope.counter("abandoned"),
            promise: self.watch.promise.map(|promise| PromiseCounts {
                promise,
                waits: scope.counter("waits"),
                within: scope.counter("waits_within_promise"),
            }),
        }
    }
}
