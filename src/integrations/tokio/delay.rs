//! How long a task from outside the runtime waits for its first poll.

use crate::process::clock::nanos;
use crate::process::sync::wide::AtomicU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// The task has not been polled yet.
const WAITING: u64 = u64::MAX;
/// The task will never be polled: the runtime dropped it.
const GONE: u64 = u64::MAX - 1;

/// Spawns tasks that report when they were polled, one at a time.
#[derive(Debug)]
pub(super) struct DelayProbe {
    spawned: Option<Instant>,
    // Nanoseconds from the spawn to the first poll, or one of the constants above. It publishes no other data.
    answer: Arc<AtomicU64>,
}

/// The current state of the measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Delay {
    /// No task has been spawned yet.
    Unknown,
    /// The task has waited this long and is still waiting.
    AtLeast(Duration),
    /// The task waited this long.
    Exactly(Duration),
    /// The runtime accepts no more tasks.
    Never,
}

impl DelayProbe {
    pub(super) fn new() -> Self {
        Self { spawned: None, answer: Arc::new(AtomicU64::new(WAITING)) }
    }

    pub(super) fn delay(&self) -> Delay {
        let Some(spawned) = self.spawned else { return Delay::Unknown };
        match self.answer.load(Ordering::Relaxed) {
            WAITING => Delay::AtLeast(spawned.elapsed()),
            GONE => Delay::Never,
            nanos => Delay::Exactly(Duration::from_nanos(nanos)),
        }
    }

    /// Spawns the next task. A task spawned from a thread of the runtime would bypass the global queue.
    pub(super) fn ask(&mut self, runtime: &Handle) {
        let spawned = Instant::now();
        self.spawned = Some(spawned);
        self.answer.store(WAITING, Ordering::Relaxed);
        let turn = Turn { spawned, waited: GONE, answer: Arc::clone(&self.answer) };
        drop(runtime.spawn(async move { turn.came() }));
    }
}

/// Lives in the task, and detects that a runtime was shut down and dropped the task without a poll.
struct Turn {
    spawned: Instant,
    waited: u64,
    answer: Arc<AtomicU64>,
}

impl Turn {
    fn came(mut self) {
        self.waited = nanos(self.spawned.elapsed()).min(GONE - 1);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The task's only write: it is gone before the next one is spawned.
        self.answer.store(self.waited, Ordering::Relaxed);
    }
}
