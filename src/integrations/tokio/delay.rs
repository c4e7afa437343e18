//! How long a task from outside waits for its first poll.

use crate::process::clock::nanos;
use crate::process::sync::wide::AtomicU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// It was not polled yet.
const WAITING: u64 = u64::MAX;
/// It never will be: the runtime dropped it.
const GONE: u64 = u64::MAX - 1;

/// Spawns tasks that tell when they were polled, one at a time.
#[derive(Debug)]
pub(super) struct DelayProbe {
    spawned: Option<Instant>,
    // Nanoseconds from the spawn to the first poll, or one of the words above. It publishes nothing but itself.
    answer: Arc<AtomicU64>,
}

/// What is known of the delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Delay {
    /// None was asked for yet.
    Unknown,
    /// The task waits, since so long ago.
    AtLeast(Duration),
    /// The task waited for so long.
    Exactly(Duration),
    /// The runtime takes no tasks any more.
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

    /// Spawns the next one. From a thread of the runtime it would not cross the global queue.
    pub(super) fn ask(&mut self, runtime: &Handle) {
        let spawned = Instant::now();
        self.spawned = Some(spawned);
        self.answer.store(WAITING, Ordering::Relaxed);
        let turn = Turn { spawned, waited: GONE, answer: Arc::clone(&self.answer) };
        drop(runtime.spawn(async move { turn.came() }));
    }
}

/// In the task: what a runtime that is shut down drops without a poll.
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
        // The only word of it: nothing of this task is left when the next one is spawned.
        self.answer.store(self.waited, Ordering::Relaxed);
    }
}
