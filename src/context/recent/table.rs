//! The table of a thread, behind a pointer that costs no more than a plain thread-local variable.
//!
//! A thread-local with a destructor checks its state at each use, and a call by name uses it twice. This one has no
//! destructor: its user frees it when the thread ends.

#![allow(unsafe_code, reason = "a pointer in the place of a variable with a destructor")]

use std::cell::Cell;
use std::ptr;

/// A table of `N` entries, allocated when the first one is written. Thread-local storage takes space from the stack of
/// every thread of the process, so only a pointer is stored there.
pub(super) struct Table<T, const N: usize>(Cell<*const [T; N]>);

impl<T, const N: usize> Table<T, N> {
    pub(super) const fn new() -> Self {
        Self(Cell::new(ptr::null()))
    }

    /// Returns the table, if there is one.
    #[inline]
    pub(super) fn get(&self) -> Option<&[T; N]> {
        // SAFETY: the pointer is null, or `get_or_make` made it from a box that nothing else owns. `free` sets it to
        // null before it frees the table, and its caller ensures that the table is not in use then.
        unsafe { self.0.get().as_ref() }
    }

    /// Returns the table, and allocates it if there is none.
    pub(super) fn get_or_make(&self, entry: impl FnMut() -> T) -> Option<&[T; N]> {
        if self.0.get().is_null() {
            // The table is built on the heap, because the stack may be small.
            let table: Box<[T]> = std::iter::repeat_with(entry).take(N).collect();
            let table: Box<[T; N]> = table.try_into().ok()?;
            // If an allocator that counts allocated a table in the meantime, that one is kept.
            if self.0.get().is_null() {
                self.0.set(Box::into_raw(table));
            }
        }
        self.get()
    }

    /// Frees the table, if there is one.
    ///
    /// # Safety
    ///
    /// There must be no reference to the table.
    pub(super) unsafe fn free(&self) {
        let table = self.0.replace(ptr::null()).cast_mut();
        if !table.is_null() {
            // SAFETY: the pointer came from a box, is not stored anywhere any more, and there is no reference to the
            // table.
            drop(unsafe { Box::from_raw(table) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_table_is_made_once_and_freed_once() {
        let held = Rc::new(());
        let table = Table::<Rc<()>, 3>::new();
        assert!(table.get().is_none());
        for _ in 0..2 {
            assert_eq!(table.get_or_make(|| Rc::clone(&held)).map(|entries| entries.len()), Some(3));
            assert_eq!(Rc::strong_count(&held), 4);
        }
        for _ in 0..2 {
            // SAFETY: there is no reference to it any more.
            unsafe { table.free() };
            assert!(table.get().is_none());
            assert_eq!(Rc::strong_count(&held), 1);
        }
    }
}
