//! A context is a metric with its tags, the unit of cardinality.

pub(crate) mod handle_cache;
pub(crate) mod index;
pub(crate) mod recent;
pub(crate) mod shortage;

use crate::cell::Cell;
use crate::process::sync::wide::AtomicU64;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::{DistinctTags, Tags};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A name and tags, with the cell that belongs to them.
#[derive(Debug)]
pub(crate) struct Context {
    // The contexts of a metric have it in common.
    pub(crate) name: Arc<str>,
    pub(crate) tags: Tags,
    pub(crate) kind: Kind,
    pub(crate) cell: Cell,
    // Set by a call by name, which leaves no handle behind.
    called: AtomicBool,
    // Set by a registration: there is a handle, or there was one.
    registered: AtomicBool,
    // Whether it was removed from the index. A thread that remembers it must look again.
    retired: AtomicBool,
    // For an overflow context, how often something was folded into it. Few contexts are, so the others keep no room for
    // it.
    folded: Option<Box<AtomicU64>>,
    /// Whether its tags have a limit of their own. It then takes no room from the metric's other contexts.
    pub(crate) is_bounded: bool,
    // The number of aliases that were ever created, each of which refers to the cell.
    aliases: AtomicUsize,
    // The context of which this is an alias. This reference keeps it from being forgotten while a thread remembers the
    // alias.
    alias_of: Option<Arc<Context>>,
}

impl Context {
    pub(crate) fn new(name: Arc<str>, tags: Tags, kind: Kind, cell: Cell) -> Self {
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

    /// Creates an alias: another name and other tags that are written in the same way as the context's own. It has the
    /// same cell.
    pub(crate) fn alias(name: Arc<str>, tags: Tags, context: &Arc<Self>) -> Self {
        context.aliases.fetch_add(1, Ordering::Relaxed);
        let alias_of = Some(Arc::clone(context));
        Self { alias_of, ..Self::new(name, tags, context.kind, context.cell.clone()) }
    }

    /// Creates the context for all values of a metric for which there was no room.
    pub(crate) fn overflow(name: Arc<str>, tags: Tags, kind: Kind, cell: Cell) -> Self {
        let folded = Some(Box::new(AtomicU64::new(0)));
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

    /// Returns how often something was folded into it since the last call.
    pub(crate) fn take_folded(&self) -> u64 {
        self.folded.as_ref().map_or(0, |folded| folded.swap(0, Ordering::Relaxed))
    }

    /// Returns whether this is the context of a name, a kind and tags, in any order of the tags.
    #[inline]
    pub(crate) fn is(&self, name: &str, tags: &DistinctTags<'_, '_>, kind: Kind) -> bool {
        self.kind == kind && *self.name == *name && self.tags.are(tags)
    }

    /// Returns the original of an alias, or the context itself.
    pub(crate) fn original(&self) -> &Self {
        self.alias_of.as_deref().unwrap_or(self)
    }

    /// Returns whether a handle, a guard or a record holds the cell, besides the context and its aliases.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held_beside(0)
    }

    /// Does the same as [`is_held`](Self::is_held), but ignores this number of handles.
    pub(crate) fn is_held_beside(&self, handles: usize) -> bool {
        self.cell.is_held_by_more_than(1 + self.aliases.load(Ordering::Relaxed) + handles)
    }

    /// Marks the original of this alias as called, if the alias was.
    pub(crate) fn pass_on_call(&self) {
        if let Some(context) = self.alias_of.as_ref().filter(|_| self.take_called()) {
            context.call();
        }
    }

    /// Notes a call by name.
    ///
    /// The store is relaxed, and happens only once per interval, so that callers share no cache line. The worker may
    /// miss a call that runs while it checks the flag. It still finds the value, because a counter's sum differs, and
    /// so does a gauge's level, unless it is the one reported last.
    #[inline]
    pub(crate) fn call(&self) {
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Relaxed);
        }
    }

    /// Returns whether there was a call by name since the last call of this.
    pub(crate) fn take_called(&self) -> bool {
        self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::Relaxed)
    }

    /// Returns whether there was a call by name since the worker last took the flag.
    pub(crate) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    /// Notes that a handle is created.
    pub(crate) fn register(&self) {
        self.registered.store(true, Ordering::Relaxed);
    }

    /// Returns whether a handle was created since the worker last took the flag.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }

    /// Returns whether a handle was created since the last call of this. If the cell is not held, every such handle was
    /// dropped.
    pub(crate) fn take_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed) && self.registered.swap(false, Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Retires the context. Threads that remember it may still be using it, so the worker keeps it until none does.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}
