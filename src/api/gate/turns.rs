//! Who waits for the next sample of a gate.

use crate::process::fork::make_whole;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Wakes those who wait for the next sample.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turn: AtomicUsize,
    // No condition variable: a thread that wakes up in one holds its lock for a moment, at which another may fork.
    waiting: Mutex<Vec<Thread>>,
    retry_after: Duration,
}

impl Turns {
    pub(super) fn new(retry_after: Duration) -> Arc<Self> {
        Arc::new(Self { retry_after, ..Self::default() })
    }

    pub(super) fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// The caller is in `make_whole`.
    pub(super) fn next(&self) {
        // This Release pairs with the Acquire of those who wait: they see the verdicts of their turn.
        self.turn.fetch_add(1, Ordering::Release);
        let waiting = mem::take(&mut *self.lock());
        waiting.iter().for_each(Thread::unpark);
    }

    /// Begins to wait for turns from now on.
    pub(super) fn wait(&self, patience: Duration) -> WaitForTurn<'_> {
        WaitForTurn { turns: self, turn: self.turn.load(Ordering::Acquire), patience, since: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Thread>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for turns.
#[derive(Debug)]
pub(super) struct WaitForTurn<'a> {
    turns: &'a Turns,
    turn: usize,
    patience: Duration,
    since: Instant,
}

impl WaitForTurn<'_> {
    /// Sleeps until the next turn. Returns `false` once the patience is over.
    pub(super) fn for_next_turn(&mut self) -> bool {
        let mut is_listed = false;
        while !self.has_come() {
            let Some(left) = self.left() else {
                self.leave();
                return false;
            };
            if is_listed {
                // It may return early.
                thread::park_timeout(left);
            } else {
                is_listed = self.enter();
            }
        }
        self.turn = self.turns.turn.load(Ordering::Acquire);
        true
    }

    fn has_come(&self) -> bool {
        self.turns.turn.load(Ordering::Acquire) != self.turn
    }

    fn left(&self) -> Option<Duration> {
        self.patience.checked_sub(self.since.elapsed()).filter(|left| !left.is_zero())
    }

    /// Has the next turn wake this thread, unless it has come.
    fn enter(&self) -> bool {
        let _whole = make_whole();
        let mut waiting = self.turns.lock();
        let waits = !self.has_come();
        if waits {
            waiting.push(thread::current());
        }
        waits
    }

    fn leave(&self) {
        let _whole = make_whole();
        let own = thread::current().id();
        self.turns.lock().retain(|thread| thread.id() != own);
    }
}
