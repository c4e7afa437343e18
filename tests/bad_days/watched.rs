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
    asked: Arc<AtomicU64>,
}

impl Watched {
    pub(crate) fn set(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::SeqCst);
    }

    fn is(&self, manner: Manner) -> bool {
        self.manner.load(Ordering::SeqCst) == manner as u8
    }

    /// How often it was asked or told.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed);
        while self.is(Manner::Hangs) {
            thread::sleep(Duration::from_millis(1));
        }
        if self.is(Manner::Panics) {
            resume_unwind(Box::new("a panic, without a word"));
        }
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn pool(&self) -> PoolStatus {
        PoolStatus { max: Some(100), in_use: Some(self.asked() % 100), ..PoolStatus::default() }
    }

    pub(crate) fn queue(&self) -> QueueStatus {
        QueueStatus { depth: Some(self.asked()), ..QueueStatus::default() }
    }

    pub(crate) fn tell(&self, notice: &LossNotice) {
        assert!(!notice.to_string().is_empty());
        self.asked();
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
