//! A metric with its tags: the unit of cardinality.

use crate::cell::Cell;
use crate::kind::Kind;
use crate::tag::{TagList, Tags};
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
    // It is out of the index: a thread that remembers it must look again.
    retired: AtomicBool,
}

impl Context {
    pub(crate) fn new(name: String, tags: Tags, kind: Kind, cell: Cell) -> Self {
        Self { name, tags, kind, cell, called: AtomicBool::new(false), retired: AtomicBool::new(false) }
    }

    /// Whether it is the context of a name and tags, in whatever order these are.
    #[inline]
    pub(crate) fn is(&self, name: &str, tags: &TagList<'_>) -> bool {
        self.name == name && self.tags.are(tags)
    }

    /// Notes a call by name.
    ///
    /// Relaxed, and written only once an interval, so that callers share no cache line. A call that runs while the worker
    /// checks the flag may be missed. Its value is found all the same: a counter's sum differs, and so does a gauge's level, unless
    /// it is the one reported last.
    #[inline]
    pub(crate) fn call(&self) {
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there was a call by name since the last look.
    pub(crate) fn take_called(&self) -> bool {
        self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Takes it out of use. Threads that remember it may still be at it: the worker looks after it until none does.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}
