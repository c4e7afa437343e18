//! The atomics of the cells: those of the system, or those of a model checker that tries every order.

#[cfg(not(tasktag_loom))]
pub(crate) use self::wide::AtomicU64;
#[cfg(not(tasktag_loom))]
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(tasktag_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Atomics of 64 bits, for all but the cells, which alone run in the model checker. Many targets of 32 bits have none:
/// there they are made of locks.
pub(crate) mod wide {
    #[cfg(not(target_has_atomic = "64"))]
    pub(crate) use portable_atomic::AtomicU64;
    #[cfg(target_has_atomic = "64")]
    pub(crate) use std::sync::atomic::AtomicU64;
}

/// Runs `body` in every order of its threads that switches between them at most three times against their will. Bugs
/// that need more are rare, and all orders take hours.
#[cfg(all(test, tasktag_loom))]
pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}
