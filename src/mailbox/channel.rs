//! The bounded channel to the worker. Full means dropped and counted; nobody waits, and nobody is woken.

use crate::ledger::{DropReason, Ledger};
use crate::mailbox::record::Record;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::atomic::{AtomicBool, Ordering};

/// Both ends: handles offer, the worker takes, and whoever asks for the stats after the worker takes what is left.
#[derive(Debug)]
pub(crate) struct Channel {
    sender: Sender<Record>,
    receiver: Receiver<Record>,
    closed: AtomicBool,
}

impl Channel {
    pub(crate) fn new(capacity: usize) -> Self {
        let (sender, receiver) = bounded(capacity);
        Self { sender, receiver, closed: AtomicBool::new(false) }
    }

    /// Hands a record over, or books its values as dropped and says why. The worker books those it takes as accepted.
    pub(crate) fn offer(&self, record: Record, ledger: &Ledger) -> Option<DropReason> {
        // Relaxed: a record that slips past the closing is found by the next `take`, and booked then.
        let (reason, record) = if self.closed.load(Ordering::Relaxed) {
            (DropReason::AfterShutdown, record)
        } else {
            match self.sender.try_send(record) {
                Ok(()) => return None,
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

    /// Records waiting now: the most that a drain takes, so that busy callers can't hold the worker for ever.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}
