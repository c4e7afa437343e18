//! A table per thread, which is allocated on first use.
//!
//! The thread-local variable holds only a pointer. Thread-local storage takes space from the stack of every thread of
//! the process, including threads that never use a metric and have small stacks.

use std::cell::OnceCell;

/// A table of `N` entries. It is allocated when the first entry is written, and dropped when its thread ends.
pub(crate) struct ThreadTable<T, const N: usize>(OnceCell<Box<[T; N]>>);

impl<T, const N: usize> ThreadTable<T, N> {
    pub(crate) const fn new() -> Self {
        Self(OnceCell::new())
    }

    /// Returns the table, if there is one.
    #[inline]
    pub(crate) fn get(&self) -> Option<&[T; N]> {
        self.0.get().map(|table| &**table)
    }

    /// Returns the table, and allocates it if there is none.
    pub(crate) fn get_or_make(&self, entry: impl FnMut() -> T) -> Option<&[T; N]> {
        if self.0.get().is_none() {
            // The table is built on the heap, because the stack may be small. An allocator that calls back in the
            // meantime allocates another table, and the first one to be finished is kept.
            let table: Box<[T]> = std::iter::repeat_with(entry).take(N).collect();
            let _ = self.0.set(table.try_into().ok()?);
        }
        self.get()
    }
}
