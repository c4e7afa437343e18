//! The atomics of the cells and of what wakes the worker: the system's, or those of a model checker that tries all
//! interleavings.

#[cfg(not(tasktag_loom))]
pub(crate) use self::wide::AtomicU64;
#[cfg(not(tasktag_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

#[cfg(tasktag_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

/// A thread that sleeps.
pub(crate) mod thread {
    #[cfg(tasktag_loom)]
    pub(crate) use loom::thread::{Thread, current};
    #[cfg(not(tasktag_loom))]
    pub(crate) use std::thread::{Thread, current, park_timeout};

    /// Time stands still in the model: who is not woken sleeps for ever, and that is an error.
    #[cfg(tasktag_loom)]
    pub(crate) fn park_timeout(_: std::time::Duration) {
        loom::thread::park();
    }
}

/// 64-bit atomics for everything except the cells, which alone run in the model checker. On 32-bit targets without such
/// atomics they use locks.
pub(crate) mod wide {
    #[cfg(not(target_has_atomic = "64"))]
    pub(crate) use portable_atomic::AtomicU64;
    #[cfg(target_has_atomic = "64")]
    pub(crate) use std::sync::atomic::AtomicU64;
}

/// Runs `body` in every interleaving of its threads with at most three preemptions. Bugs that need more are rare, and
/// trying all interleavings takes hours.
#[cfg(all(test, tasktag_loom))]
pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
    model_within(3, body);
}

/// Does the same with another number of preemptions, for a model with many steps.
#[cfg(all(test, tasktag_loom))]
pub(crate) fn model_within(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}
