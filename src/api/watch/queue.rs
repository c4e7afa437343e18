//! The status of a queue of jobs or messages.

use super::{Field, Reported, Watchable, level, ratio};
use crate::process::sync::wide::AtomicU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The status of a queue. What is not known is not reported, which differs from reporting 0.
///
/// | gauge | from |
/// |---|---|
/// | `queue.depth` | `depth` |
/// | `queue.capacity` | `capacity` |
/// | `queue.utilization` | depth divided by capacity, from 0 to 1 |
/// | `queue.oldest_age_seconds` | `oldest_age` |
///
/// Alert on the oldest age, because a depth does not say how long anyone waits. The oldest age of an empty queue is
/// [`Duration::ZERO`].
///
/// Most queues know their depth and capacity:
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
/// The setters take a `u64` or an `Option<u64>`: write `len() as u64` for a `usize`. The feature `tokio` watches tokio's
/// bounded channels. Without it, use their sender's `max_capacity() - capacity()`, or their receiver's `len()`.
/// [`QueueDepth`] is for `std::sync::mpsc` and other queues that don't know their depth.
///
/// A channel does not know the age of its items. To see how long they wait, send the timer of
/// [`start_owned`](crate::Distribution::start_owned) with each item, and drop it where the item is received.
///
/// # Queues on a server
///
/// The closure of a watch is not asynchronous, and should make no network calls. Ask the server in a task or a thread of
/// your own, and let the closure return its latest answer. If the server does not answer, store an empty status: the
/// gauges are then absent, and don't show an old depth.
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
}

impl QueueStatus {
    /// Returns a status in which nothing is known.
    pub const fn new() -> Self {
        Self { depth: None, capacity: None, oldest_age: None }
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
}

impl Watchable for QueueStatus {}

impl Reported for QueueStatus {
    const NOUN: &'static str = "queue";

    fn fields(&self) -> Vec<Field> {
        let oldest_age = self.oldest_age.map(|age| age.as_secs_f64());
        vec![
            Field { name: "depth", peak: true, value: level(self.depth) },
            Field { name: "capacity", peak: false, value: level(self.capacity) },
            Field { name: "utilization", peak: true, value: ratio(self.depth, self.capacity) },
            Field { name: "oldest_age_seconds", peak: true, value: oldest_age },
        ]
    }
}

/// Counts the items of a queue that does not count them itself, for example `std::sync::mpsc`.
///
/// ```
/// use std::sync::mpsc;
/// use tasktag::QueueDepth;
///
/// let depth = QueueDepth::default();
/// let (sender, receiver) = mpsc::channel();
/// sender.send((depth.enter(), "a job"))?;
/// assert_eq!(depth.status().depth, Some(1));
///
/// let (ticket, _job) = receiver.recv()?;
/// drop(ticket);
/// assert_eq!(depth.status().depth, Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a depth counts only the items that enter it"]
pub struct QueueDepth {
    items: Arc<AtomicU64>,
}

impl QueueDepth {
    /// Counts an item that enters. Put the ticket into the queue with it, and drop the ticket when the item leaves.
    pub fn enter(&self) -> QueueTicket {
        self.items.fetch_add(1, Ordering::Relaxed);
        QueueTicket { items: Arc::clone(&self.items) }
    }

    /// Returns the current depth, as a status for [`Client::watch_queue`](crate::Client::watch_queue).
    pub fn status(&self) -> QueueStatus {
        QueueStatus::new().depth(self.items.load(Ordering::Relaxed))
    }
}

/// Stands for an item in a queue. Dropping it means that the item has left.
#[derive(Debug)]
#[must_use = "the item leaves the queue when this is dropped"]
pub struct QueueTicket {
    items: Arc<AtomicU64>,
}

impl Drop for QueueTicket {
    fn drop(&mut self) {
        self.items.fetch_sub(1, Ordering::Relaxed);
    }
}
