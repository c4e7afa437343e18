//! The ticket of an item that waits.

use super::job::RunningJob;
use super::roster::Roster;
use super::stay::Stay;
use std::sync::Arc;
use std::time::Duration;

/// Stands for an item in a queue, and knows when it entered. [`WorkQueue::enter`](crate::WorkQueue::enter) and
/// [`QueueDepth::enter`](crate::QueueDepth::enter) return one.
///
/// [`start`](Self::start) turns it into a [`RunningJob`] when the item leaves the queue to be worked on. A ticket that
/// is dropped without that has left too. A [`WorkQueue`](crate::WorkQueue) counts it as abandoned, in
/// `queue.abandoned`: nobody worked on it.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let mail = client.work_queue("mail").register();
/// let (started, abandoned) = (mail.enter(), mail.enter());
/// assert_eq!(mail.status().depth, Some(2));
///
/// let _job = started.start();
/// drop(abandoned);
/// assert_eq!((mail.status().depth, mail.status().running), (Some(0), Some(1)));
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// A child that was forked meanwhile measures nothing with it.
#[derive(Debug, Default)]
#[must_use = "the item leaves the queue when this is dropped"]
pub struct QueueTicket {
    stay: Stay,
}

impl QueueTicket {
    #[inline]
    pub(in crate::api::watch) fn new(roster: &Arc<Roster>) -> Self {
        Self { stay: Stay::begin(roster) }
    }

    /// Ends the wait, records it in `queue.wait`, and starts the job.
    #[inline]
    pub fn start(mut self) -> RunningJob {
        self.stay.start();
        RunningJob::new(self.stay)
    }

    /// Returns the time since the item entered. It is [`Duration::ZERO`] for the ticket of a disabled client.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.stay.elapsed()
    }
}
