//! The bounded channel to the worker. When it is full, records are dropped and counted. No caller waits.

use crate::ledger::{DropReason, Ledger};
use crate::mailbox::record::Record;
use crate::process::bell::Bell;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Both ends of the channel. Handles send and the worker receives. After the worker has stopped, reading the statistics
/// receives the rest.
#[derive(Debug)]
pub(crate) struct Channel {
    sender: Sender<Record>,
    receiver: Receiver<Record>,
    closed: AtomicBool,
    bell: Arc<Bell>,
}

impl Channel {
    /// Makes a channel that rings when something comes for a worker that rests.
    pub(crate) fn new(capacity: usize, bell: Arc<Bell>) -> Self {
        let (sender, receiver) = bounded(capacity);
        Self { sender, receiver, closed: AtomicBool::new(false), bell }
    }

    /// Sends a record, or counts its values as dropped and returns the reason. The worker counts received values as
    /// accepted.
    pub(crate) fn offer(&self, record: Record, ledger: &Ledger) -> Option<DropReason> {
        // Relaxed is enough: the next `take` finds and counts a record that was sent during the closing.
        let (reason, record) = if self.closed.load(Ordering::Relaxed) {
            (DropReason::AfterShutdown, record)
        } else {
            match self.sender.try_send(record) {
                Ok(()) => {
                    self.bell.rouse();
                    return None;
                }
                Err(TrySendError::Full(record) | TrySendError::Disconnected(record)) => {
                    (DropReason::ChannelFull, record)
                }
            }
        };
        ledger.refuse(reason, record.values());
        Some(reason)
    }

    pub(crate) fn take(&self) -> Option<Record> {
        self.receiver.try_recv().ok()
    }

    /// Returns the number of waiting records. A drain takes no more than that, so that busy callers can't hold the
    /// worker forever.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Returns whether half of it waits.
    pub(crate) fn is_half_full(&self) -> bool {
        self.receiver.capacity().is_some_and(|capacity| self.len() >= capacity.div_ceil(2))
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;
    use crate::vocabulary::event::Event;

    #[test]
    fn half_of_it_is_full_from_the_middle_on() {
        let (channel, ledger) = (Channel::new(3, Arc::default()), Ledger::default());
        let halves = [false, true, true].map(|is_half| {
            assert_eq!(channel.offer(Record::Event(Box::new(Event::new("title", "text"))), &ledger), None);
            is_half == channel.is_half_full()
        });
        assert_eq!(halves, [true; 3]);
    }
}
