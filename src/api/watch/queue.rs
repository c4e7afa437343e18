//! A queue of jobs or messages.

use super::{Field, Reported, Watchable, level, ratio};
use crate::process::sync::wide::AtomicU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a queue says of itself. What is not known is not reported, which is not the same as 0.
///
/// | gauge | from |
/// |---|---|
/// | `queue.depth` | `depth` |
/// | `queue.capacity` | `capacity` |
/// | `queue.utilization` | depth divided by capacity, from 0 to 1 |
/// | `queue.oldest_age_seconds` | `oldest_age` |
///
/// The oldest age is what to alert on: a depth says nothing about how long anyone waits. An empty queue's is
/// [`Duration::ZERO`].
///
/// Most queues tell what is needed:
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
/// Tokio's bounded sender has `max_capacity() - capacity()`, its receivers `len()`. For `std::sync::mpsc` and others
/// that tell nothing there is [`QueueDepth`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a status reports nothing until a watch returns it"]
#[non_exhaustive]
pub struct QueueStatus {
    /// Items that wait.
    pub depth: Option<u64>,
    /// Items that may wait.
    pub capacity: Option<u64>,
    /// How long the item at the head has waited.
    pub oldest_age: Option<Duration>,
}

impl QueueStatus {
    /// A status in which nothing is known.
    pub const fn new() -> Self {
        Self { depth: None, capacity: None, oldest_age: None }
    }

    /// Items that wait.
    pub fn depth(mut self, items: impl Into<Option<u64>>) -> Self {
        self.depth = items.into();
        self
    }

    /// Items that may wait.
    pub fn capacity(mut self, items: impl Into<Option<u64>>) -> Self {
        self.capacity = items.into();
        self
    }

    /// How long the item at the head has waited.
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

/// Counts the items of a queue that does not count them itself, like `std::sync::mpsc`.
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
    /// An item enters. Put the ticket into the queue with it, and drop the ticket when the item leaves.
    pub fn enter(&self) -> QueueTicket {
        self.items.fetch_add(1, Ordering::Relaxed);
        QueueTicket { items: Arc::clone(&self.items) }
    }

    /// The depth now, to be returned to [`Client::watch_queue`](crate::Client::watch_queue).
    pub fn status(&self) -> QueueStatus {
        QueueStatus::new().depth(self.items.load(Ordering::Relaxed))
    }
}

/// Stands for an item in a queue; the item has left when it is dropped, however that happens.
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
