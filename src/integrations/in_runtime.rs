//! A pool that is read and dropped in the runtime of whoever passed it.

use tokio::runtime::Handle;

/// The connections of a pool may start a task when they are dropped. On a thread without a runtime that panics, and the
/// second panic of a drop ends the process.
#[derive(Debug)]
pub(super) struct InRuntime<P> {
    // `None` where the pool was passed outside a runtime.
    runtime: Option<Handle>,
    // `None` only while this is being dropped.
    pool: Option<P>,
}

impl<P> InRuntime<P> {
    pub(super) fn new(pool: P) -> Self {
        Self { runtime: Handle::try_current().ok(), pool: Some(pool) }
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&P) -> Option<T>) -> Option<T> {
        let _entered = self.runtime.as_ref().map(Handle::enter);
        read(self.pool.as_ref()?)
    }
}

impl<P> Drop for InRuntime<P> {
    fn drop(&mut self) {
        let _entered = self.runtime.as_ref().map(Handle::enter);
        drop(self.pool.take());
    }
}
