//! [tokio](https://docs.rs/tokio) 1.46: watches runtimes, channels, semaphores, and what has to be waited for.
//!
//! ```
//! use std::sync::Arc;
//! use tasktag::Client;
//! use tasktag::integrations::tokio::WatchTokio;
//! use tokio::sync::{Semaphore, mpsc};
//!
//! # let guard = Client::builder().agent("udp://127.0.0.1:8125").build()?;
//! # let client = guard.client();
//! let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
//! let (mail, _mails) = mpsc::channel::<String>(100);
//! let uploads = Arc::new(Semaphore::new(10));
//!
//! client.watch_runtime("main", runtime.handle()).detach();
//! client.watch_channel("mail", &mail).detach();
//! client.watch_semaphore("uploads", &uploads, 10).detach();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The client reads them at every collection, four times a second by default, and never waits. A watch keeps none of
//! the three alive. It ends by itself once the runtime is shut down, or the channel or semaphore is closed or dropped.
//!
//! # Runtimes
//!
//! [`RuntimeBuilder`] lists the metrics. They need neither `--cfg tokio_unstable` nor tokio's timers. Three things are
//! not available: a worker's local queue, the blocking pool's queue, and the duration of polls. On targets without
//! 64-bit atomics tokio counts nothing, and runtimes can't be watched.
//!
//! **Busy time** is the runtime's own count of the wall time in which its workers did not wait for work. A task that
//! blocks its worker is busy; one that awaits is not. A service whose tasks all wait for a connection from an exhausted
//! pool is idle in this sense: watch the pool too.
//!
//! The runtime updates the count when a worker parks, and every 61 polls in between (`event_interval`). A worker of a
//! multi-thread runtime that has not parked is taken to be busy, so a single long poll shows at once. Busy time of the
//! collection in which a long poll began is reported once the poll ends. The total is exact; individual samples may be
//! shifted by up to one collection. In a current-thread runtime, a long poll can't be told from a runtime that nobody
//! drives (no `block_on`). There the ratio is absent until the poll ends, and then covers the whole of that time.
//!
//! **The scheduling delay** is how long a task spawned from outside the runtime waits for its first poll, through the
//! runtime's global queue. The client's worker spawns one empty task at a time to measure it. Until the task is polled,
//! its age so far is reported, so a runtime that is stuck or not driven shows a growing delay. The task wakes a worker
//! at every collection; on an idle runtime, these wake-ups are the parks that are counted. A task that is woken on a
//! worker, by a timer or a socket, goes through that worker's local queue and may wait less.
//!
//! # What has to be waited for
//!
//! [`WatchAsync`] watches what only a query or a request can tell, such as a queue in a database. [`MeasureAsync`] has
//! a [`Gate`](crate::Gate) measure such a load.
//!
//! Extra dependency: `tokio` with `rt` and `sync`.

#[cfg(target_has_atomic = "64")]
mod busy;
#[cfg(target_has_atomic = "64")]
mod delay;
mod gate;
mod inquiry;
#[cfg(target_has_atomic = "64")]
mod runtime;

pub use self::gate::MeasureAsync;
#[cfg(target_has_atomic = "64")]
pub use self::runtime::RuntimeBuilder;

use self::inquiry::Inquiry;
use crate::api::client::Client;
use crate::api::gate::GateBuilder;
use crate::api::watch::{PoolStatus, QueueDepth, QueueStatus, Queued, WatchBuilder, Watchable};
use crate::callback::probe::Watch;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

trait Sealed {}

impl Sealed for Client {}

impl<S> Sealed for WatchBuilder<'_, S> {}

impl Sealed for GateBuilder<'_> {}

/// Adds methods to [`Client`] that watch tokio's runtimes, channels and semaphores.
#[allow(private_bounds, reason = "it is the client's, and more may be added to it")]
pub trait WatchTokio: Sealed {
    /// Watches a runtime with the default settings: see [`RuntimeBuilder`].
    #[cfg(target_has_atomic = "64")]
    fn watch_runtime(&self, name: &str, runtime: &Handle) -> Watch {
        self.runtime(name).watch(runtime)
    }

    /// Starts a builder that watches a runtime.
    #[cfg(target_has_atomic = "64")]
    fn runtime(&self, name: &str) -> RuntimeBuilder<'_>;

    /// Watches a bounded channel as a queue: see [`QueueStatus`]. To set a prefix or tags, pass [`channel_status`] to
    /// [`Client::queue`].
    fn watch_channel<T: Send + 'static>(&self, name: &str, sender: &mpsc::Sender<T>) -> Watch;

    /// Watches a bounded channel of [`Queued`] items as a queue, with the age of the oldest item. `depth` is what
    /// wrapped the items: see [`queued_channel_status`].
    ///
    /// [`Client::work_queue`] watches such a channel too, and measures each item besides.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::QueueDepth;
    /// use tasktag::integrations::tokio::WatchTokio;
    ///
    /// let depth = QueueDepth::default();
    /// let (sender, _receiver) = tokio::sync::mpsc::channel(100);
    /// client.watch_queued_channel("mail", &sender, &depth).detach();
    /// sender.try_send(depth.wrap("hello")).expect("there is room");
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    fn watch_queued_channel<T: Send + 'static>(
        &self,
        name: &str,
        sender: &mpsc::Sender<Queued<T>>,
        depth: &QueueDepth,
    ) -> Watch;

    /// Watches a semaphore of `permits` permits as a pool: see [`PoolStatus`]. To set a prefix or tags, pass
    /// [`semaphore_status`] to [`Client::pool`].
    fn watch_semaphore(&self, name: &str, semaphore: &Arc<Semaphore>, permits: usize) -> Watch;
}

impl WatchTokio for Client {
    #[cfg(target_has_atomic = "64")]
    fn runtime(&self, name: &str) -> RuntimeBuilder<'_> {
        RuntimeBuilder::new(self, name)
    }

    fn watch_channel<T: Send + 'static>(&self, name: &str, sender: &mpsc::Sender<T>) -> Watch {
        self.queue(name).watch_while(channel_status(sender))
    }

    fn watch_queued_channel<T: Send + 'static>(
        &self,
        name: &str,
        sender: &mpsc::Sender<Queued<T>>,
        depth: &QueueDepth,
    ) -> Watch {
        self.queue(name).watch_while(queued_channel_status(sender, depth))
    }

    fn watch_semaphore(&self, name: &str, semaphore: &Arc<Semaphore>, permits: usize) -> Watch {
        self.pool(name).watch_while(semaphore_status(semaphore, permits))
    }
}

/// Adds a method to [`WatchBuilder`] that watches what has to be waited for.
///
/// ```
/// use std::time::Duration;
/// use tasktag::QueueStatus;
/// use tasktag::integrations::tokio::WatchAsync;
/// use tokio::runtime::Handle;
///
/// # async fn count_jobs() -> Result<u64, std::io::Error> { Ok(3) }
/// # fn example(client: &tasktag::Client) {
/// let every = Duration::from_secs(10);
/// client
///     .queue("jobs")
///     .watch_async(&Handle::current(), every, || async {
///         // SELECT count(*) FROM jobs
///         QueueStatus::new().depth(count_jobs().await.ok())
///     })
///     .detach();
/// # }
/// ```
#[allow(private_bounds, reason = "it is the builder's, and more may be added to it")]
pub trait WatchAsync<S>: Sealed {
    /// Asks `status` every so often, in a task of the runtime, until the [`Watch`] is dropped or the runtime is shut
    /// down. The last answer is reported at every collection.
    ///
    /// One question is asked at a time, at a collection: `every` is 100 ms at least, and is rounded up to whole
    /// collections. A question that has no answer after `every` is given up: its future is dropped, and the next one
    /// follows. If two questions in a row have no answer, the last answer is three times `every` old. From then on the
    /// gauges are absent until there is another one.
    ///
    /// Return a status without the value if a query fails. A panic is counted as that of any
    /// [watched closure](WatchBuilder::watch).
    ///
    /// A question under way ends with the watch, at the next collection after the [`Watch`] was dropped.
    fn watch_async<A>(
        self,
        runtime: &Handle,
        every: Duration,
        status: impl FnMut() -> A + Send + 'static,
    ) -> Watch
    where
        A: Future<Output = S> + Send + 'static;
}

impl<S: Watchable + Clone + Default> WatchAsync<S> for WatchBuilder<'_, S> {
    fn watch_async<A>(
        self,
        runtime: &Handle,
        every: Duration,
        status: impl FnMut() -> A + Send + 'static,
    ) -> Watch
    where
        A: Future<Output = S> + Send + 'static,
    {
        let clock = self.client().shared().clock.clone();
        let mut inquiry = Inquiry::new(clock, runtime.clone(), every, status);
        self.watch_while(move || inquiry.status())
    }
}

/// Returns a probe that reports the depth and the capacity of a bounded channel, and `None` once the channel is closed
/// or its last sender is dropped. Reserved slots count as items.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::integrations::tokio::channel_status;
///
/// let (sender, receiver) = tokio::sync::mpsc::channel::<u64>(100);
/// let _watch = client.queue("orders").tag("shop", "north").watch_while(channel_status(&sender));
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
pub fn channel_status<T>(sender: &mpsc::Sender<T>) -> impl FnMut() -> Option<QueueStatus> + use<T> {
    let watched = sender.downgrade();
    move || {
        let sender = watched.upgrade().filter(|sender| !sender.is_closed())?;
        let capacity = sender.max_capacity();
        let depth = capacity.saturating_sub(sender.capacity());
        Some(QueueStatus::new().depth(depth as u64).capacity(capacity as u64))
    }
}

/// Returns a probe that reports the depth and the capacity of a bounded channel, the age of its oldest item and the
/// jobs that run, and `None` once the channel is closed or its last sender is dropped.
///
/// `depth` is what wrapped the items. An item that waits for a slot of a full channel has an age, and is not part of
/// the channel's depth.
pub fn queued_channel_status<T>(
    sender: &mpsc::Sender<Queued<T>>,
    depth: &QueueDepth,
) -> impl FnMut() -> Option<QueueStatus> + use<T> {
    let (mut channel, depth) = (channel_status(sender), depth.clone());
    move || {
        let (channel, items) = (channel()?, depth.status());
        Some(QueueStatus { depth: channel.depth, capacity: channel.capacity, ..items })
    }
}

/// Returns a probe that reports how many of a semaphore's permits are in use, and `None` once it is closed or dropped.
///
/// `permits` is the number with which the semaphore was created, which it does not record. Forgotten permits count as
/// in use.
pub fn semaphore_status(
    semaphore: &Arc<Semaphore>,
    permits: usize,
) -> impl FnMut() -> Option<PoolStatus> + use<> {
    let watched = Arc::downgrade(semaphore);
    move || {
        let semaphore = Weak::upgrade(&watched).filter(|semaphore| !semaphore.is_closed())?;
        let in_use = permits.saturating_sub(semaphore.available_permits());
        Some(PoolStatus::new().max(permits as u64).in_use(in_use as u64))
    }
}
