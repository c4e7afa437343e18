//! A metric with its tags: the unit of cardinality.

pub(crate) mod crowd;
pub(crate) mod index;
pub(crate) mod keeper;
pub(crate) mod recent;

use crate::cell::Cell;
use crate::process::sync::wide::AtomicU64;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::{DistinctTags, Tags};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
    // How many aliases there are, or were: each refers to the cell.
    aliases: AtomicUsize,
    // Whose alias this is. It keeps that one from being forgotten while a thread remembers the alias.
    alias_of: Option<Arc<Context>>,
}

impl Context {
    pub(crate) fn new(name: String, tags: Tags, kind: Kind, cell: Cell) -> Self {
        let [called, registered, retired] = [const { AtomicBool::new(false) }; 3];
        Self {
            name,
            tags,
            kind,
            cell,
            called,
            registered,
            retired,
            folded: None,
            is_bounded: false,
            aliases: AtomicUsize::new(0),
            alias_of: None,
        }
    }

    /// Another name and other tags for a context, which are written as its own are. They stand for the same cell.
    pub(crate) fn alias(name: String, tags: Tags, context: &Arc<Self>) -> Self {
        context.aliases.fetch_add(1, Ordering::Relaxed);
        let alias_of = Some(Arc::clone(context));
        Self { alias_of, ..Self::new(name, tags, context.kind, context.cell.clone()) }
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

    /// Whether it is the context of a name, a kind and tags, in whatever order these are.
    #[inline]
    pub(crate) fn is(&self, name: &str, tags: &DistinctTags<'_, '_>, kind: Kind) -> bool {
        self.kind == kind && self.name == name && self.tags.are(tags)
    }

    /// The context that this is, or of which it is an alias.
    pub(crate) fn original(&self) -> &Self {
        self.alias_of.as_deref().unwrap_or(self)
    }

    /// Whether anything but the context and its aliases holds the cell: a handle, a guard or a record.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held_beside(0)
    }

    /// As [`is_held`](Self::is_held), by anything but so many handles.
    pub(crate) fn is_held_beside(&self, handles: usize) -> bool {
        self.cell.is_held_by_more_than(1 + self.aliases.load(Ordering::Relaxed) + handles)
    }

    /// Tells the context of this alias that it was called.
    pub(crate) fn pass_on_call(&self) {
        if let Some(context) = self.alias_of.as_ref().filter(|_| self.take_called()) {
            context.call();
        }
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
