//! An item with its ticket.

use super::job::RunningJob;
use super::ticket::QueueTicket;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// An item with its [`QueueTicket`], for any channel: those of std, crossbeam, tokio, async-channel, flume, or a
/// collection behind a lock. [`WorkQueue::wrap`](crate::WorkQueue::wrap) and
/// [`QueueDepth::wrap`](crate::QueueDepth::wrap) return one.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use std::sync::mpsc;
/// use tasktag::Outcome;
///
/// let mail = client.work_queue("mail").register();
/// let (sender, receiver) = mpsc::channel();
/// sender.send(mail.wrap("hello")).expect("the receiver is there");
///
/// let (text, job) = receiver.recv().expect("an item was sent").start();
/// assert_eq!(text.len(), 5);
/// job.end(Outcome::Ok);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// Dropping it before it was started abandons the item, also if a channel that is full or closed returned it.
#[derive(Debug)]
#[must_use = "the item leaves the queue when this is dropped"]
pub struct Queued<T> {
    item: T,
    ticket: QueueTicket,
}

impl<T> Queued<T> {
    #[inline]
    pub(in crate::api::watch) fn new(item: T, ticket: QueueTicket) -> Self {
        Self { item, ticket }
    }

    /// Takes the item out, records its wait, and starts the job.
    #[inline]
    pub fn start(self) -> (T, RunningJob) {
        (self.item, self.ticket.start())
    }

    /// Takes the item out, and abandons its place in the queue.
    pub fn into_inner(self) -> T {
        self.item
    }

    /// Returns the time since the item entered. It is [`Duration::ZERO`] for the item of a disabled client.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.ticket.waited()
    }
}

impl<T> Deref for Queued<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Queued<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}
