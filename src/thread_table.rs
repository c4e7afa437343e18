//! A table that a thread has once it needs one.
//!
//! Its place in the thread is a pointer. What stands in thread-local variables is taken out of the stack of every thread of the
//! process, also of those that never use a metric and have small stacks.

use std::cell::Cell;

/// A table of `N` entries, made when the first one is written. It is out of its place while it is used: whoever comes in
/// meanwhile, as a signal handler does, finds none.
pub(crate) struct ThreadTable<T, const N: usize>(Cell<Option<Box<[T; N]>>>);

impl<T, const N: usize> ThreadTable<T, N> {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// Shows the table, if there is one.
    #[inline]
    pub(crate) fn with<R>(&self, act: impl FnOnce(&[T; N]) -> R) -> Option<R> {
        let table = self.0.take()?;
        let done = act(&table);
        self.0.set(Some(table));
        Some(done)
    }

    /// Shows the table, which is made where there is none.
    pub(crate) fn with_made<R>(&self, entry: impl FnMut() -> T, act: impl FnOnce(&[T; N]) -> R) -> Option<R> {
        // On the heap from the start: the stack may be small.
        let make = || std::iter::repeat_with(entry).take(N).collect::<Box<[T]>>().try_into().ok();
        let table: Box<[T; N]> = self.0.take().or_else(make)?;
        let done = act(&table);
        self.0.set(Some(table));
        Some(done)
    }

    /// The thread ends.
    pub(crate) fn drop_table(&self) {
        drop(self.0.take());
    }
}
