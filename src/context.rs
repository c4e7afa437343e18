//! A context is a metric with its tags, the unit of cardinality.

pub(crate) mod handle_cache;
pub(crate) mod index;
pub(crate) mod recent;
pub(crate) mod shortage;

use crate::cell::Cell;
use crate::process::sync::wide::AtomicU64;
use crate::vocabulary::identity::Identity;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::DistinctTags;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

/// A name and tags, with the cell that belongs to them.
///
/// There are as many as there are time series, so that each byte counts: what few contexts have is behind a pointer.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) identity: Identity,
    pub(crate) cell: Cell,
    role: Option<Box<Role>>,
    // The number of aliases that were ever created, each of which refers to the cell.
    aliases: AtomicU32,
    pub(crate) kind: Kind,
    /// Whether its tags have a limit of their own. It then takes no room from the metric's other contexts.
    pub(crate) is_bounded: bool,
    state: AtomicU8,
    // Set by a registration: there is a handle, or there was one.
    registered: AtomicBool,
}

/// What few contexts are besides a name and tags with a cell.
#[derive(Debug)]
enum Role {
    /// For an overflow context, how often something was folded into it.
    Overflow(AtomicU64),
    /// The context of which this is an alias. This reference keeps it from being forgotten while a thread remembers the
    /// alias.
    Alias(Arc<Context>),
}

/// Not called since the worker last looked.
const IDLE: u8 = 0;
/// Called by name, which leaves no handle behind.
const CALLED: u8 = 1;
/// Removed from the index. A thread that remembers it must look again.
const RETIRED: u8 = 2;

impl Context {
    pub(crate) fn new(identity: Identity, kind: Kind, cell: Cell) -> Self {
        let (aliases, state, registered) = (AtomicU32::new(0), AtomicU8::new(IDLE), AtomicBool::new(false));
        Self { identity, cell, role: None, aliases, kind, is_bounded: false, state, registered }
    }

    /// Creates an alias: another name and other tags that are written in the same way as the context's own. It has the
    /// same cell.
    pub(crate) fn alias(identity: Identity, context: &Arc<Self>) -> Self {
        context.aliases.fetch_add(1, Ordering::Relaxed);
        let role = Some(Box::new(Role::Alias(Arc::clone(context))));
        Self { role, ..Self::new(identity, context.kind, context.cell.clone()) }
    }

    /// Creates the context for all values of a metric for which there was no room.
    pub(crate) fn overflow(identity: Identity, kind: Kind, cell: Cell) -> Self {
        let role = Some(Box::new(Role::Overflow(AtomicU64::new(0))));
        Self { role, is_bounded: true, ..Self::new(identity, kind, cell) }
    }

    fn folded(&self) -> Option<&AtomicU64> {
        if let Some(Role::Overflow(folded)) = self.role.as_deref() { Some(folded) } else { None }
    }

    fn alias_of(&self) -> Option<&Arc<Self>> {
        if let Some(Role::Alias(context)) = self.role.as_deref() { Some(context) } else { None }
    }

    pub(crate) fn is_overflow(&self) -> bool {
        self.folded().is_some()
    }

    /// Counts calls or registrations that were meant for other contexts.
    pub(crate) fn fold(&self, times: u64) {
        if let Some(folded) = self.folded() {
            folded.fetch_add(times, Ordering::Relaxed);
        }
    }

    /// Returns how often something was folded into it since the last call.
    pub(crate) fn take_folded(&self) -> u64 {
        self.folded().map_or(0, |folded| folded.swap(0, Ordering::Relaxed))
    }

    /// Returns whether this is the context of a name, a kind and tags, in any order of the tags.
    #[inline]
    pub(crate) fn is(&self, name: &str, tags: &DistinctTags<'_, '_>, kind: Kind) -> bool {
        self.kind == kind && self.identity.is(name, tags)
    }

    /// Returns the original of an alias, or the context itself.
    pub(crate) fn original(self: &Arc<Self>) -> &Arc<Self> {
        self.alias_of().unwrap_or(self)
    }

    /// Returns whether a handle, a guard or a record holds the cell, besides the context and its aliases.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held_beside(0)
    }

    /// Does the same as [`is_held`](Self::is_held), but ignores this number of handles.
    pub(crate) fn is_held_beside(&self, handles: usize) -> bool {
        self.cell.is_held_by_more_than(1 + self.aliases.load(Ordering::Relaxed) as usize + handles)
    }

    /// Marks the original of this alias as called, if the alias was.
    pub(crate) fn pass_on_call(&self) {
        if let Some(context) = self.alias_of().filter(|_| self.take_called()) {
            context.call();
        }
    }

    /// Notes a call by name. Returns `false` if the context is retired, so that the caller must look for another one.
    ///
    /// It writes only once per interval, so that callers share no cache line. The call itself may be later than the
    /// flush that takes the note. The worker still finds the value then, because a counter's sum differs, and so does a
    /// gauge's level, unless it is the one reported last.
    #[inline]
    pub(crate) fn call(&self) -> bool {
        self.is_called() || self.call_first()
    }

    #[cold]
    fn call_first(&self) -> bool {
        self.state.compare_exchange(IDLE, CALLED, Ordering::Relaxed, Ordering::Relaxed) != Err(RETIRED)
    }

    /// Returns whether there was a call by name since the last call of this.
    pub(crate) fn take_called(&self) -> bool {
        self.is_called()
            && self.state.compare_exchange(CALLED, IDLE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Returns whether there was a call by name since the worker last took the note.
    #[inline]
    pub(crate) fn is_called(&self) -> bool {
        self.state.load(Ordering::Relaxed) == CALLED
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

    pub(crate) fn is_retired(&self) -> bool {
        self.state.load(Ordering::Relaxed) == RETIRED
    }

    /// Retires the context. Threads that remember it may still be in the middle of a call, so the worker keeps it until
    /// none does.
    pub(crate) fn retire(&self) {
        self.state.store(RETIRED, Ordering::Relaxed);
    }

    /// Does the same, unless it was called since the worker last took the note. Returns whether it is retired.
    pub(crate) fn retire_if_idle(&self) -> bool {
        self.state.compare_exchange(IDLE, RETIRED, Ordering::Relaxed, Ordering::Relaxed) != Err(CALLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::SetCell;
    use crate::vocabulary::tag::TagList;

    #[test]
    fn a_context_has_at_most_72_bytes_with_its_counts_of_references() {
        assert!(size_of::<Context>() + 2 * size_of::<usize>() <= 72, "{}", size_of::<Context>());
    }

    #[test]
    fn a_context_that_was_called_is_not_retired_and_a_retired_one_is_not_called() {
        let identity = Identity::new("jobs", &TagList::default().distinct());
        let context = Context::new(identity, Kind::Set, Cell::Set(Arc::new(SetCell)));
        assert!(context.call() && context.call() && context.is_called());
        assert!(!context.retire_if_idle() && context.take_called() && !context.take_called());
        assert!(context.retire_if_idle() && context.retire_if_idle());
        assert!(!context.call() && !context.take_called() && context.is_retired());
    }
}
