//! The table of a thread, behind a pointer that costs no more than a variable of the thread's own.
//!
//! A variable with a destructor is asked for its state at each use, which a call by name does twice. This one has none: who
//! uses it frees it when the thread ends.

#![allow(unsafe_code, reason = "a pointer in the place of a variable with a destructor")]

use std::cell::Cell;
use std::ptr;

/// A table of `N` entries, made when the first one is written. What stands in thread-local variables is taken out of the stack
/// of every thread of the process, and so it is no more than a pointer.
pub(super) struct Table<T, const N: usize>(Cell<*const [T; N]>);

impl<T, const N: usize> Table<T, N> {
    pub(super) const fn new() -> Self {
        Self(Cell::new(ptr::null()))
    }

    /// The table, if there is one.
    #[inline]
    pub(super) fn get(&self) -> Option<&[T; N]> {
        // SAFETY: it is null, or was made by `get_or_make` from a box that nobody else has. `free` puts null in its place
        // before it frees it, and its caller sees to it that nobody is at the table then.
        unsafe { self.0.get().as_ref() }
    }

    /// The table, which is made where there is none.
    pub(super) fn get_or_make(&self, entry: impl FnMut() -> T) -> Option<&[T; N]> {
        if self.0.get().is_null() {
            // On the heap from the start: the stack may be small.
            let table: Box<[T]> = std::iter::repeat_with(entry).take(N).collect();
            let table: Box<[T; N]> = table.try_into().ok()?;
            // An allocator that came in meanwhile made one of its own, which stays.
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
    /// Nobody may have a reference to it.
    pub(super) unsafe fn free(&self) {
        let table = self.0.replace(ptr::null()).cast_mut();
        if !table.is_null() {
            // SAFETY: it came from a box, is in no variable any more, and nobody has a reference to it.
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
            // SAFETY: no reference to it is left.
            unsafe { table.free() };
            assert!(table.get().is_none());
            assert_eq!(Rc::strong_count(&held), 1);
        }
    }
}
