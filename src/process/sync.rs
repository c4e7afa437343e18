//! The atomics of the cells: std's, or those of a model checker that tries every order.

#[cfg(not(tasktag_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[cfg(tasktag_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Runs `body` in every order of its threads that switches between them at most three times against their will. Bugs
/// that need more are rare, and all orders take hours.
#[cfg(all(test, tasktag_loom))]
pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}
