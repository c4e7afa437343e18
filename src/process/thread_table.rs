//! A table that a thread has once it needs one.
//!
//! Its place in the thread is a pointer. What stands in thread-local variables is taken out of the stack of every thread of the
//! process, also of those that never use a metric and have small stacks.

use std::cell::OnceCell;

/// A table of `N` entries, made when the first one is written, and dropped when its thread ends.
pub(crate) struct ThreadTable<T, const N: usize>(OnceCell<Box<[T; N]>>);

impl<T, const N: usize> ThreadTable<T, N> {
    pub(crate) const fn new() -> Self {
        Self(OnceCell::new())
    }

    /// The table, if there is one.
    #[inline]
    pub(crate) fn get(&self) -> Option<&[T; N]> {
        self.0.get().map(|table| &**table)
    }

    /// The table, which is made where there is none.
    pub(crate) fn get_or_make(&self, entry: impl FnMut() -> T) -> Option<&[T; N]> {
        if self.0.get().is_none() {
            // On the heap from the start: the stack may be small. An allocator that comes in meanwhile makes one of its own, and
            // the first that is done stays.
            let table: Box<[T]> = std::iter::repeat_with(entry).take(N).collect();
            let _ = self.0.set(table.try_into().ok()?);
        }
        self.get()
    }
}
