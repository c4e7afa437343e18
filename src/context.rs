//! A metric with its tags: the unit of cardinality.

use crate::cell::Cell;
use crate::kind::Kind;
use crate::tag::Tags;
use std::sync::atomic::{AtomicBool, Ordering};

/// A name, its tags and the cell that they stand for.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) tags: Tags,
    pub(crate) kind: Kind,
    pub(crate) cell: Cell,
    // Set by a call by name, which leaves no handle behind.
    called: AtomicBool,
}

impl Context {
    pub(crate) fn new(name: String, tags: Tags, kind: Kind, cell: Cell) -> Self {
        Self { name, tags, kind, cell, called: AtomicBool::new(false) }
    }

    /// Notes a call by name.
    #[inline]
    pub(crate) fn call(&self) {
        // Release pairs with the Acquire in `take_called`: who sees the call sees its value.
        self.called.store(true, Ordering::Release);
    }

    /// Whether there was a call by name since the last look.
    pub(crate) fn take_called(&self) -> bool {
        self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::Acquire)
    }
}
