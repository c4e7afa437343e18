//! Which context a name and its tags mean.

use crate::cell::{Cell, CounterBlock};
use crate::context::Context;
use crate::crowd::{Crowd, Refused};
use crate::kind::Kind;
use crate::recent;
use crate::tag::TagList;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// All contexts of a client, found by what callers pass. Registration writes it, a call by name reads it, and no
/// operation on a handle comes here.
#[derive(Debug)]
pub(crate) struct Index {
    // Tells one client's contexts from another's where threads remember them.
    id: u64,
    hasher: RandomState,
    limits: Limits,
    // Whether something was refused for want of room since the worker last asked: what, is in the table.
    crowded: AtomicBool,
    table: RwLock<Table>,
}

/// How many contexts there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of a client. As many again for what overflows.
    pub(crate) client: usize,
    /// Of a metric, unless its tags are bounded otherwise.
    pub(crate) metric: usize,
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug)]
enum Full {
    Client(usize),
    Metric(usize),
}

impl Full {
    fn limit(self) -> usize {
        let (Self::Client(limit) | Self::Metric(limit)) = self;
        limit
    }
}

/// The tag of the context that a metric's further contexts are folded into.
const OVERFLOW_TAG: (&str, &str) = ("tasktag_overflow", "true");

/// An index that nobody else gets at.
#[derive(Debug)]
pub(crate) struct Frozen<'a> {
    _table: RwLockWriteGuard<'a, Table>,
}

/// Why there is no context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    EmptyName,
    /// The name has this kind.
    Kind(Kind),
    /// There are as many contexts as there may be.
    ContextLimit(usize),
}

#[derive(Debug, Default)]
struct Table {
    // Keyed by the hash of name and tags, so that a lookup needs no owned key.
    contexts: HashMap<u64, Vec<Arc<Context>>, BuildHasherDefault<Hashed>>,
    metrics: HashMap<String, Metric>,
    // Overflow contexts aside.
    len: usize,
    overflows: usize,
    // For want of room in the client.
    refused: Refused,
    // Where the next counter's cell is.
    counters: CounterBlock,
    // Contexts that the worker has not seen yet.
    arrivals: Vec<Arc<Context>>,
}

/// What the contexts of a name have in common.
#[derive(Debug)]
struct Metric {
    kind: Kind,
    contexts: usize,
    // Those that the metric's limit is for.
    limited: usize,
    // For want of room in the metric.
    refused: Refused,
}

impl Index {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            id: recent::new_owner(),
            hasher: RandomState::default(),
            limits,
            crowded: AtomicBool::new(false),
            table: RwLock::default(),
        }
    }

    /// How many contexts there may be.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn limit(&self) -> usize {
        self.limits.client
    }

    /// What threads remember its contexts by.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Hands the context that the calling thread called lately under a name and tags to `then`, without a lock.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `recent`")]
    pub(crate) fn recall<T>(
        &self,
        name: &str,
        tags: &TagList<'_>,
        kind: Kind,
        then: impl FnOnce(&Context) -> T,
    ) -> Option<T> {
        recent::with(self.id, kind, name, tags, then)
    }

    /// Hands the context that is known under a name and tags to `remember`, and then to `then`.
    pub(crate) fn find<T>(
        &self,
        name: &str,
        tags: &TagList<'_>,
        remember: impl FnOnce(&Arc<Context>),
        then: impl FnOnce(&Context) -> T,
    ) -> Option<T> {
        let hash = self.hash(name, tags.iter_once());
        let table = self.read();
        let known = table.candidates(hash).find(|context| context.is(name, tags))?;
        remember(known);
        // Still under the lock: the worker can't forget the context before it is called.
        Some(then(known))
    }

    /// Hands the context that is known to `then`, or one that is made if it is new. One whose tags are `bounded` otherwise is no
    /// matter of the metric's limit.
    pub(crate) fn with_new<T>(
        &self,
        name: &str,
        tags: &TagList<'_>,
        kind: Kind,
        bounded: bool,
        cell: impl FnOnce(&mut CounterBlock) -> Cell,
        then: impl FnOnce(&Context) -> T,
    ) -> Result<T, Refusal> {
        if name.is_empty() {
            return Err(Refusal::EmptyName);
        }
        // Whoever asks for it by its tag gets it, and it stays what it is.
        if tags.iter_once().eq([OVERFLOW_TAG]) {
            return self.with_overflow(name, tags.without_task_id, kind, cell, then);
        }
        // When the index is full most callers are refused, so that must be cheap: no write lock, nothing allocated.
        let limits = Limits { metric: if bounded { usize::MAX } else { self.limits.metric }, ..self.limits };
        if let Some(full) = self.full_before(name, tags, limits) {
            return Err(Refusal::ContextLimit(full.limit()));
        }
        let tags = tags.kept();
        let hash = self.hash(name, tags.iter());
        let mut table = self.write();
        table.check_kind(name, kind)?;
        if let Some(known) =
            table.candidates(hash).find(|context| context.name == name && context.tags == tags)
        {
            return Ok(then(known));
        }
        if let Some(full) = table.full(name, limits) {
            self.note_refused(&table, name, full, hash);
            return Err(Refusal::ContextLimit(full.limit()));
        }
        let cell = cell(&mut table.counters);
        let mut context = Context::new(name.to_owned(), tags, kind, cell);
        context.is_bounded = bounded;
        let context = Arc::new(context);
        table.insert(hash, &context);
        // Still under the lock: the worker can't forget the context before it is held or called.
        Ok(then(&context))
    }

    /// Hands the context that stands for all of a metric for which there was no room to `then`.
    pub(crate) fn with_overflow<T>(
        &self,
        name: &str,
        without_task_id: bool,
        kind: Kind,
        cell: impl FnOnce(&mut CounterBlock) -> Cell,
        then: impl FnOnce(&Context) -> T,
    ) -> Result<T, Refusal> {
        let mut tags = TagList::default();
        tags.without_task_id = without_task_id;
        tags.push(OVERFLOW_TAG.0, OVERFLOW_TAG.1);
        let hash = self.hash(name, tags.iter());
        // Most calls find it, and need no more than a look.
        if let Some(known) = self.read().candidates(hash).find(|context| context.is(name, &tags)) {
            return if known.kind == kind { Ok(then(known)) } else { Err(Refusal::Kind(known.kind)) };
        }
        let mut table = self.write();
        table.check_kind(name, kind)?;
        if let Some(known) = table.candidates(hash).find(|context| context.is(name, &tags)) {
            return Ok(then(known));
        }
        if table.overflows >= self.limits.client {
            return Err(Refusal::ContextLimit(self.limits.client));
        }
        let cell = cell(&mut table.counters);
        let context = Arc::new(Context::overflow(name.to_owned(), tags.kept(), kind, cell));
        table.insert(hash, &context);
        Ok(then(&context))
    }

    /// The limit that keeps out a context which is surely unknown.
    fn full_before(&self, name: &str, tags: &TagList<'_>, limits: Limits) -> Option<Full> {
        let table = self.read();
        let full = table.full(name, limits)?;
        let hash = self.hash(name, tags.iter_once());
        if table.candidates(hash).any(|context| context.is(name, tags)) {
            return None;
        }
        self.note_refused(&table, name, full, hash);
        Some(full)
    }

    fn note_refused(&self, table: &Table, name: &str, full: Full, hash: u64) {
        table.note_refused(name, full, hash);
        self.crowded.store(true, Ordering::Relaxed);
    }

    /// What was refused for want of room since the last call, if anything was.
    pub(crate) fn take_crowd(&self) -> Option<Crowd> {
        self.crowded.swap(false, Ordering::Relaxed).then(|| self.read().take_crowd())
    }

    /// Forgets a context, unless someone took hold of its cell or called it in the meantime.
    pub(crate) fn remove(&self, context: &Arc<Context>) -> bool {
        let hash = self.hash(&context.name, context.tags.iter());
        let mut table = self.write();
        // Under the write lock nobody can find it, so what is not held now can't be held later.
        if context.cell.is_held() || context.is_called() {
            return false;
        }
        table.remove(hash, context);
        context.retire();
        true
    }

    /// Contexts registered since the last call.
    pub(crate) fn take_arrivals(&self) -> Vec<Arc<Context>> {
        if self.read().arrivals.is_empty() { Vec::new() } else { mem::take(&mut self.write().arrivals) }
    }

    /// All contexts, in no order, of which none is an arrival any more. In one step: what another thread registers in between
    /// would be both.
    pub(crate) fn take_over(&self) -> Vec<Arc<Context>> {
        let mut table = self.write();
        table.arrivals.clear();
        table.contexts.values().flatten().cloned().collect()
    }

    /// All contexts, in no order.
    pub(crate) fn contexts(&self) -> Vec<Arc<Context>> {
        self.read().contexts.values().flatten().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.read().len
    }

    /// The same for the same tags in any order.
    #[inline]
    fn hash<'a>(&self, name: &str, tags: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
        tags.fold(self.hasher.hash_one(name), |sum, pair| sum.wrapping_add(self.hasher.hash_one(pair)))
    }

    /// Keeps everybody out for as long as the answer lives.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        Frozen { _table: self.write() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn check_kind(&self, name: &str, kind: Kind) -> Result<(), Refusal> {
        match self.metrics.get(name) {
            Some(metric) if metric.kind != kind => Err(Refusal::Kind(metric.kind)),
            _ => Ok(()),
        }
    }

    /// The limit that another context of a metric would pass, if it would. The metric's own comes first: whoever fills it
    /// is to make room in it, and takes nobody else's.
    fn full(&self, name: &str, limits: Limits) -> Option<Full> {
        let of_metric = self.metrics.get(name).map_or(0, |metric| metric.limited);
        if of_metric >= limits.metric {
            return Some(Full::Metric(limits.metric));
        }
        (self.len >= limits.client).then_some(Full::Client(limits.client))
    }

    /// Notes a context by its hash for which there was no room.
    fn note_refused(&self, name: &str, full: Full, hash: u64) {
        match (full, self.metrics.get(name)) {
            (Full::Metric(_), Some(metric)) => metric.refused.note(hash),
            _ => self.refused.note(hash),
        }
    }

    fn take_crowd(&self) -> Crowd {
        let refused = self.metrics.iter().map(|(name, metric)| (name, metric.refused.take()));
        let metrics = refused.filter(|(_, n)| *n > 0).map(|(name, n)| (name.clone(), n)).collect();
        Crowd { client: self.refused.take(), metrics }
    }

    /// The number that a context is counted in.
    fn len_of(&mut self, context: &Context) -> &mut usize {
        if context.is_overflow() { &mut self.overflows } else { &mut self.len }
    }

    fn candidates(&self, hash: u64) -> impl Iterator<Item = &Arc<Context>> {
        self.contexts.get(&hash).into_iter().flatten()
    }

    fn insert(&mut self, hash: u64, context: &Arc<Context>) {
        self.contexts.entry(hash).or_default().push(Arc::clone(context));
        let new = || Metric { kind: context.kind, contexts: 0, limited: 0, refused: Refused::default() };
        let metric = self.metrics.entry(context.name.clone()).or_insert_with(new);
        metric.contexts += 1;
        metric.limited += usize::from(!context.is_bounded);
        self.arrivals.push(Arc::clone(context));
        *self.len_of(context) += 1;
    }

    fn remove(&mut self, hash: u64, context: &Arc<Context>) {
        let Some(found) = self.contexts.get_mut(&hash) else { return };
        found.retain(|known| !Arc::ptr_eq(known, context));
        if found.is_empty() {
            self.contexts.remove(&hash);
        }
        *self.len_of(context) -= 1;
        if let Some(metric) = self.metrics.get_mut(&context.name) {
            metric.contexts -= 1;
            metric.limited -= usize::from(!context.is_bounded);
            if metric.contexts == 0 {
                self.metrics.remove(&context.name);
            }
        }
    }
}

/// Takes a hash for the hash that it is.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        // Only `u64` keys come here.
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag::Tags;

    fn tags<'a>(pairs: &'a [(&'a str, &'a str)]) -> TagList<'a> {
        let mut list = TagList::default();
        list.set_slice(pairs);
        list
    }

    fn counter(block: &mut CounterBlock) -> Cell {
        Cell::Counter(Arc::new(block.cell()))
    }

    fn register(index: &Index, name: &str, pairs: &[(&str, &str)], kind: Kind) -> Result<Tags, Refusal> {
        index.with_new(name, &tags(pairs), kind, false, counter, |context| context.tags.clone())
    }

    #[test]
    fn the_order_of_tags_and_their_repetition_do_not_matter() {
        let index = Index::new(Limits { client: 10, metric: 10 });
        let same: [&[_]; 3] =
            [&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")], &[("a", "1"), ("b", "2"), ("a", "1")]];
        for pairs in same {
            register(&index, "jobs", pairs, Kind::Counter).unwrap();
        }
        assert_eq!(index.len(), 1);
        assert!(index.find("jobs", &tags(same[1]), |_| (), |_| ()).is_some());
        let others: [&[_]; 4] = [&[("a", "2"), ("b", "1")], &[("a", "1")], &[("a", "1"), ("a", "1")], &[]];
        for pairs in others {
            register(&index, "jobs", pairs, Kind::Counter).unwrap();
        }
        assert_eq!(index.take_arrivals().len(), 4, "a doubled tag is the same as a single one");
    }

    #[test]
    fn a_name_keeps_its_kind_while_it_has_contexts() {
        let index = Index::new(Limits { client: 10, metric: 10 });
        register(&index, "jobs", &[], Kind::Counter).unwrap();
        let refused = register(&index, "jobs", &[("a", "1")], Kind::Gauge).unwrap_err();
        assert_eq!(refused, Refusal::Kind(Kind::Counter));
        assert!(index.remove(&index.take_arrivals()[0]));
        assert!(register(&index, "jobs", &[], Kind::Gauge).is_ok());
    }

    #[test]
    fn a_context_in_use_is_not_forgotten() {
        let index = Index::new(Limits { client: 1, metric: 10 });
        let handle =
            index.with_new("jobs", &tags(&[]), Kind::Counter, false, counter, |context| context.cell.clone());
        let context = index.take_arrivals().remove(0);
        assert!(!index.remove(&context));
        drop(handle);
        context.call();
        assert!(!index.remove(&context));
        assert!(context.take_called(), "to look at it is not to take it");
        let limit = register(&index, "more", &[], Kind::Counter);
        assert_eq!(limit, Err(Refusal::ContextLimit(1)));
        assert!(index.remove(&context));
        assert_eq!(index.len(), 0);
    }
}
