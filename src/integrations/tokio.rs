//! [tokio](https://docs.rs/tokio) 1.46: runtimes, channels and semaphores, watched.
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
//! The client asks at every collection, four times a second by default, and never waits for the answer. None of
//! the three is kept alive by being watched: a watch ends by itself once its runtime is shut down, or its channel or
//! semaphore is closed or dropped.
//!
//! # Runtimes
//!
//! [`RuntimeBuilder`] says which metrics there are. All of it is there without `--cfg tokio_unstable`, with or without
//! tokio's timers. What is not: a worker's own queue, the blocking pool's, and how long polls take.
//!
//! **Busy** is the runtime's own count of the time in which its workers did not wait for work: wall time, so that a task
//! that blocks its worker is busy, and one that awaits is not. A service whose tasks all wait for a connection of a full
//! pool is idle in this sense: watch the pool too.
//!
//! The runtime counts such time when a worker parks, and every 61 polls in between (`event_interval`). That a worker of a
//! multi-thread runtime does not park is seen meanwhile, and it is taken to be busy, so that a worker in one long poll
//! shows as that at once. How much of the collection in which it began is learned when it ends, and reported then: the
//! sum over time is right, its place is off by a collection at most. In a current-thread runtime a long poll looks like
//! one that nobody drives (no `block_on`): the ratio is absent until it is known, and covers the whole of that time then.
//!
//! **The scheduling delay** is what a task that comes from outside the runtime waits for its first poll, through the
//! runtime's global queue. The client's worker spawns one that does nothing else, one at a time. As long as it was not
//! polled, its age so far is the delay: a runtime that stands still, or that nobody drives, shows as a delay that grows.
//! It wakes a worker at every collection: on a runtime with nothing to do these are the parks that are seen. A task
//! that is woken on a worker, by a timer or a socket, goes through that worker's own queue and may wait less.
//!
//! Extra dependency: `tokio` with `rt` and `sync`.

mod busy;
mod delay;
mod runtime;

pub use self::runtime::RuntimeBuilder;

use crate::api::client::Client;
use crate::api::watch::{PoolStatus, QueueStatus};
use crate::callback::probe::Watch;
use std::sync::{Arc, Weak};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

trait Sealed {}

impl Sealed for Client {}

/// What of tokio a [`Client`] can watch.
#[allow(private_bounds, reason = "it is the client's, and more may be added to it")]
pub trait WatchTokio: Sealed {
    /// Watches a runtime under the default names: see [`RuntimeBuilder`].
    fn watch_runtime(&self, name: &str, runtime: &Handle) -> Watch {
        self.runtime(name).watch(runtime)
    }

    /// A runtime that is about to be watched.
    fn runtime(&self, name: &str) -> RuntimeBuilder<'_>;

    /// Watches a bounded channel as a queue: see [`QueueStatus`]. For a prefix and tags of its own, give
    /// [`channel_status`] to [`Client::queue`].
    fn watch_channel<T: Send + 'static>(&self, name: &str, sender: &mpsc::Sender<T>) -> Watch;

    /// Watches a semaphore of so many permits as a pool: see [`PoolStatus`]. For a prefix and tags of its own, give
    /// [`semaphore_status`] to [`Client::pool`].
    fn watch_semaphore(&self, name: &str, semaphore: &Arc<Semaphore>, permits: usize) -> Watch;
}

impl WatchTokio for Client {
    fn runtime(&self, name: &str) -> RuntimeBuilder<'_> {
        RuntimeBuilder::new(self, name)
    }

    fn watch_channel<T: Send + 'static>(&self, name: &str, sender: &mpsc::Sender<T>) -> Watch {
        self.queue(name).watch_while(channel_status(sender))
    }

    fn watch_semaphore(&self, name: &str, semaphore: &Arc<Semaphore>, permits: usize) -> Watch {
        self.pool(name).watch_while(semaphore_status(semaphore, permits))
    }
}

/// Tells the depth and the capacity of a bounded channel, and `None` once it is closed or its last sender is dropped.
/// Places that are reserved count as items.
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

/// Tells how many of a semaphore's permits are in use, and `None` once it is closed or dropped. `permits` is what it was
/// made with: a semaphore does not know. Permits that were forgotten stay in use.
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
