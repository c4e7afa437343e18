//! What the client is handed to be called: watched pools and queues, and whoever is told of losses.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tasktag::{LossNotice, PoolStatus, QueueStatus};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Manner {
    Answers,
    Hangs,
    Panics,
}

/// Clones are the same. No lock: a forked child would wait for it, for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    manner: Arc<AtomicU8>,
    calls: Arc<AtomicU64>,
}

impl Watched {
    pub(crate) fn set(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::SeqCst);
    }

    fn is(&self, manner: Manner) -> bool {
        self.manner.load(Ordering::SeqCst) == manner as u8
    }

    /// Does what its manner is, and says how many calls there were before.
    fn call(&self) -> u64 {
        let before = self.calls.fetch_add(1, Ordering::Relaxed);
        while self.is(Manner::Hangs) {
            thread::sleep(Duration::from_millis(1));
        }
        if self.is(Manner::Panics) {
            resume_unwind(Box::new("a panic, without a word"));
        }
        before
    }

    pub(crate) fn pool(&self) -> PoolStatus {
        PoolStatus::new().max(100).in_use(self.call() % 100)
    }

    pub(crate) fn queue(&self) -> QueueStatus {
        QueueStatus::new().depth(self.call())
    }

    pub(crate) fn tell(&self, notice: &LossNotice) {
        assert!(!notice.to_string().is_empty());
        self.call();
    }
}

/// A test that fails lets go of what hangs.
impl Drop for Watched {
    fn drop(&mut self) {
        if thread::panicking() {
            self.set(Manner::Answers);
        }
    }
}
