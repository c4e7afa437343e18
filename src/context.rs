//! A metric with its tags: the unit of cardinality.

use crate::cell::Cell;
use crate::kind::Kind;
use crate::tag::{TagList, Tags};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A name, its tags and the cell that they stand for.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) tags: Tags,
    pub(crate) kind: Kind,
    pub(crate) cell: Cell,
    // Set by a call by name, which leaves no handle behind.
    called: AtomicBool,
    // Set by a registration: somebody has a handle, or had one.
    registered: AtomicBool,
    // It is out of the index: a thread that remembers it must look again.
    retired: AtomicBool,
    // How often something was folded into it, where it is the one for that.
    folded: Option<AtomicU64>,
    /// Its tags are bounded otherwise: it takes no room from the metric's others.
    pub(crate) is_bounded: bool,
}

impl Context {
    pub(crate) fn new(name: String, tags: Tags, kind: Kind, cell: Cell) -> Self {
        let [called, registered, retired] = [const { AtomicBool::new(false) }; 3];
        Self { name, tags, kind, cell, called, registered, retired, folded: None, is_bounded: false }
    }

    /// The context that stands for all of a metric for which there was no room.
    pub(crate) fn overflow(name: String, tags: Tags, kind: Kind, cell: Cell) -> Self {
        let folded = Some(AtomicU64::new(0));
        Self { folded, is_bounded: true, ..Self::new(name, tags, kind, cell) }
    }

    pub(crate) fn is_overflow(&self) -> bool {
        self.folded.is_some()
    }

    /// Counts calls or registrations that were meant for other contexts.
    pub(crate) fn fold(&self, times: u64) {
        if let Some(folded) = &self.folded {
            folded.fetch_add(times, Ordering::Relaxed);
        }
    }

    /// How often something was folded into it since the last call.
    pub(crate) fn take_folded(&self) -> u64 {
        self.folded.as_ref().map_or(0, |folded| folded.swap(0, Ordering::Relaxed))
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

    /// Whether there was a call by name since the last time that the worker took notice of one.
    pub(crate) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    /// Notes that somebody gets a handle.
    pub(crate) fn register(&self) {
        self.registered.store(true, Ordering::Relaxed);
    }

    /// Whether somebody got a handle since the last time that the worker took notice of one.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }

    /// Whether somebody got a handle since the last call. Of a cell that is not held, every such handle was dropped.
    pub(crate) fn take_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed) && self.registered.swap(false, Ordering::Relaxed)
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
