//! The depth of a queue that does not know it.

use super::QueueStatus;
use super::queued::Queued;
use super::roster::Roster;
use super::ticket::QueueTicket;
use crate::cell::AT_FORK;
use crate::process::clock::Clock;
use crate::process::fork;
use std::sync::Arc;

/// Counts the items of a queue that does not count them itself, for example `std::sync::mpsc`, and knows the age of the
/// oldest.
///
/// [`WorkQueue`](crate::WorkQueue) does the same, and also reports it, with the wait and the duration of each job. This
/// is for a status that a watch of your own returns. Clones count the same items.
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
///
/// It takes 64 KiB, however many items there are.
#[derive(Clone, Debug)]
#[must_use = "a depth counts only the items that enter it"]
pub struct QueueDepth {
    roster: Arc<Roster>,
}

impl Default for QueueDepth {
    fn default() -> Self {
        // There may be no client that noticed forks before.
        fork::expect_forks(&AT_FORK);
        Self { roster: Arc::new(Roster::new(Clock::monotonic())) }
    }
}

impl QueueDepth {
    /// Counts an item that enters. Put the ticket into the queue with it. Drop or [`start`](QueueTicket::start) the
    /// ticket when the item leaves.
    pub fn enter(&self) -> QueueTicket {
        QueueTicket::new(&self.roster)
    }

    /// Counts an item that enters, and puts its ticket beside it.
    pub fn wrap<T>(&self, item: T) -> Queued<T> {
        Queued::new(item, self.enter())
    }

    /// Returns the current depth and the age of the oldest item, as a status for
    /// [`Client::watch_queue`](crate::Client::watch_queue). Once a job was [started](QueueTicket::start), it also has
    /// the running jobs. A [`WorkQueue`](crate::WorkQueue) says how exact the age is.
    pub fn status(&self) -> QueueStatus {
        self.roster.status()
    }
}
