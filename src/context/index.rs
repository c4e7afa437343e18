//! Finds the context of a name and its tags.

mod alias;
mod by_hash;
mod found;
mod hashed;
mod series;
mod table;

use self::alias::{Passed, is_short};
pub(crate) use self::found::Found;
use self::table::{Full, Table};
use crate::cell::{Cell, CounterBlock};
use crate::context::Context;
use crate::context::recent;
use crate::context::shortage::Shortage;
use crate::ledger::Ledger;
use crate::vocabulary::identity::Identity;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::{DistinctTags, TagList, Tags};
use crate::wire::encode::{Spelled, Spelling};
use foldhash::fast::RandomState;
use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// All contexts of a client, by what callers pass. Registrations write the index, calls by name read it, and operations
/// on a handle don't use it.
#[derive(Debug)]
pub(crate) struct Index {
    // Distinguishes the contexts of several clients that a thread remembers.
    id: u64,
    hasher: RandomState,
    limits: Limits,
    // Converts names and tags to what is written, which is what distinguishes contexts.
    spelling: Spelling,
    // The ledgers of all agents.
    ledgers: Box<[Arc<Ledger>]>,
    // Whether something was refused for lack of room since the worker last took it. The table has the details.
    crowded: AtomicBool,
    table: RwLock<Table>,
}

/// The maximum numbers of contexts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The maximum for a client. The same number of overflow contexts is allowed in addition.
    pub(crate) client: usize,
    /// The maximum for a metric, unless its tags have a limit of their own.
    pub(crate) metric: usize,
}

/// The requested kind of context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) kind: Kind,
    /// Whether the tags have a limit of their own. The metric's limit then does not apply.
    pub(crate) bounded: bool,
    /// Whether the name may also have a kind that [goes with](Kind::goes_with) this one.
    pub(crate) beside: bool,
}

/// Makes the cell of a new context, in a block of counters if it counts.
type NewCell<'a> = dyn Fn(&mut CounterBlock) -> Cell + 'a;

/// The tag of the context into which a metric's further contexts are folded.
const OVERFLOW_TAG: (&str, &str) = ("tasktag_overflow", "true");

/// An index that is locked for all other threads.
#[derive(Debug)]
pub(crate) struct Frozen<'a> {
    _table: RwLockWriteGuard<'a, Table>,
}

/// The reason why there is no context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    EmptyName,
    /// The name belongs to a metric of this kind.
    Kind(Kind),
    /// The limit of contexts is reached.
    ContextLimit(usize),
}

impl Index {
    pub(crate) fn new(limits: Limits, spelling: Spelling, ledgers: Box<[Arc<Ledger>]>) -> Self {
        Self {
            id: recent::new_owner(),
            hasher: RandomState::default(),
            limits,
            spelling,
            ledgers,
            crowded: AtomicBool::new(false),
            table: RwLock::default(),
        }
    }

    /// Returns the maximum number of contexts.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn limit(&self) -> usize {
        self.limits.client
    }

    /// Returns the number by which threads remember its contexts.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Passes the context that the calling thread recently called under a name and tags to `then`, without a lock.
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

    /// Finds the known context of a name and tags.
    pub(crate) fn find(&self, name: &str, tags: &TagList<'_>, kind: Kind) -> Option<Found<'_>> {
        let tags = tags.distinct();
        let hash = self.hash(name, &tags, kind);
        Found::of(self.read(), |table| table.find(hash, name, &tags, kind))
    }

    /// Finds the known context of a name and tags, or makes it with a new cell.
    pub(crate) fn find_or_make(
        &self,
        name: &str,
        tags: &TagList<'_>,
        wanted: Wanted,
        cell: &NewCell<'_>,
    ) -> Result<Found<'_>, Refusal> {
        if name.is_empty() {
            return Err(Refusal::EmptyName);
        }
        let tags = tags.distinct();
        // This is nearly always so.
        if self.spelling.leaves(name, &tags) {
            return self.find_or_make_spelled(name, &tags, wanted, None, cell);
        }
        let kind = wanted.kind;
        let hash = is_short(name, &tags).then(|| self.hash(name, &tags, kind));
        let known = hash.and_then(|hash| {
            Found::of(self.read(), |table| table.find(hash, name, &tags, kind).map(Context::original))
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let Some(Spelled { name: spelled, tags: pairs, left_out }) = self.spelling.spell(name, &tags, kind)
        else {
            return self.find_or_make_spelled(name, &tags, wanted, None, cell);
        };
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut list = TagList::default();
        list.without_task_id = tags.without_task_id();
        list.set_slice(&pairs);
        let passed = Passed { hash, name, tags: &tags, left_out };
        self.find_or_make_spelled(&spelled, &list.distinct(), wanted, Some(passed), cell)
    }

    /// Does the same as [`find_or_make`](Self::find_or_make) with the name and tags as they are written. Those that
    /// were `passed` find the context directly the next time.
    fn find_or_make_spelled(
        &self,
        name: &str,
        tags: &DistinctTags<'_, '_>,
        wanted: Wanted,
        passed: Option<Passed<'_>>,
        cell: &NewCell<'_>,
    ) -> Result<Found<'_>, Refusal> {
        // A caller that passes this tag gets the overflow context, which remains one.
        if tags.iter().eq([OVERFLOW_TAG]) {
            return self.find_or_make_overflow(name, tags.without_task_id(), wanted, cell);
        }
        let metric = if wanted.bounded { usize::MAX } else { self.limits.metric };
        let limits = Limits { metric, ..self.limits };
        let (kind, hash) = (wanted.kind, self.hash(name, tags, wanted.kind));
        // When the index is full most callers are refused, so a refusal must be cheap: it takes no write lock and
        // allocates nothing.
        {
            let table = self.read();
            match table.find(hash, name, tags, kind).map(Arc::clone) {
                Some(known) if passed.is_none() || !table.has_room_for_aliases(limits.client) => {
                    return Ok(Found::reading(known, table));
                }
                Some(_) => {}
                None => {
                    // If the kind does not match, room would not help.
                    table.check_kind(name, wanted)?;
                    if let Some(full) = table.full(name, kind, limits) {
                        return Err(self.refuse(&table, name, kind, full, hash));
                    }
                }
            }
        }
        let identity = Identity::new(name, tags);
        let lines = self.lines(&identity, kind);
        let mut table = self.write();
        let known = table.find(hash, name, tags, kind).map(Arc::clone);
        let is_new = known.is_none();
        let context = if let Some(known) = known {
            known
        } else {
            table.check_kind(name, wanted)?;
            if let Some(full) = table.full(name, kind, limits) {
                return Err(self.refuse(&table, name, kind, full, hash));
            }
            let mut context = Context::new(identity, kind, cell(&mut table.counters));
            context.is_bounded = wanted.bounded;
            table.insert(hash, context, &lines)
        };
        if let Some(passed) = passed {
            self.add_alias(&mut table, &passed, &context, is_new);
        }
        Ok(Found::writing(context, table))
    }

    /// Finds the metric's overflow context, or makes it with a new cell.
    pub(crate) fn find_or_make_overflow(
        &self,
        name: &str,
        without_task_id: bool,
        wanted: Wanted,
        cell: &NewCell<'_>,
    ) -> Result<Found<'_>, Refusal> {
        let kind = wanted.kind;
        let spelled = self.spelling.spell_name(name, kind, without_task_id);
        let name = spelled.as_deref().unwrap_or(name);
        let mut list = TagList::default();
        list.without_task_id = without_task_id;
        list.push(OVERFLOW_TAG.0, OVERFLOW_TAG.1);
        let tags = list.distinct();
        let hash = self.hash(name, &tags, kind);
        // Most calls find it here, under a read lock.
        if let Some(known) = Found::of(self.read(), |table| table.find(hash, name, &tags, kind)) {
            return Ok(known);
        }
        let identity = Identity::new(name, &tags);
        let lines = self.lines(&identity, kind);
        let mut table = self.write();
        if let Some(known) = table.find(hash, name, &tags, kind).map(Arc::clone) {
            return Ok(Found::writing(known, table));
        }
        table.check_kind(name, wanted)?;
        if table.overflows >= self.limits.client {
            return Err(Refusal::ContextLimit(self.limits.client));
        }
        let cell = cell(&mut table.counters);
        let context = table.insert(hash, Context::overflow(identity, kind, cell), &lines);
        Ok(Found::writing(context, table))
    }

    /// Returns a name as it is written.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn written_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        self.spelling.spell_name(name, Kind::Gauge, false).map_or(Cow::Borrowed(name), Cow::Owned)
    }

    /// Returns a name and tags as they are written.
    pub(crate) fn written(&self, name: &str, tags: &TagList<'_>) -> (String, Tags) {
        let tags = tags.distinct();
        match self.spelling.spell(name, &tags, Kind::Gauge) {
            Some(Spelled { name, tags, .. }) => (name, Tags::new(tags)),
            None => (name.to_owned(), tags.kept()),
        }
    }

    /// Returns the hash of the context's line for each agent, if agents may get the same line from several contexts.
    fn lines(&self, identity: &Identity, kind: Kind) -> Vec<u64> {
        if self.spelling.may_clash() { self.spelling.lines(identity, kind, &self.hasher) } else { Vec::new() }
    }

    /// Returns the hash of a context's line for the main agent. The line's kind may differ from the context's.
    pub(crate) fn main_line(&self, context: &Context, suffix: &str, kind: Kind) -> u64 {
        self.spelling.main_line(&context.identity, suffix, kind, &self.hasher)
    }

    /// Returns the number of contexts whose lines for an agent are the same as another's. The main agent has index 0.
    pub(crate) fn clashing(&self, agent: usize) -> usize {
        self.read().series.clashing(agent)
    }

    fn refuse(&self, table: &Table, name: &str, kind: Kind, full: Full, hash: u64) -> Refusal {
        table.note_refused(name, kind, full, hash);
        self.crowded.store(true, Ordering::Relaxed);
        Refusal::ContextLimit(full.limit())
    }

    /// Returns what was refused for lack of room since the last call, if anything was.
    pub(crate) fn take_shortage(&self) -> Option<Shortage> {
        self.crowded.swap(false, Ordering::Relaxed).then(|| self.read().take_shortage())
    }

    /// Marks contexts as called whose aliases were called.
    pub(crate) fn pass_on_calls(&self) {
        self.read().aliases().for_each(Context::pass_on_call);
    }

    /// Forgets a context, unless its cell was taken or it was called in the meantime.
    pub(crate) fn remove(&self, context: &Arc<Context>) -> bool {
        let (identity, kind) = (&context.identity, context.kind);
        let hash = self.hash_of(identity.name(), identity.without_task_id(), kind, identity.tags());
        let lines = self.lines(identity, kind);
        let mut table = self.write();
        // Under the write lock no thread can find the context, so if it is not held now it can't be held later.
        table.aliases_of(context).for_each(Context::pass_on_call);
        // A thread that remembers it may call it, until it is retired.
        if context.is_held() || !context.retire_if_idle() {
            return false;
        }
        table.remove(hash, context, &lines);
        true
    }

    /// Returns the contexts that were registered since the last call.
    pub(crate) fn take_arrivals(&self) -> Vec<Arc<Context>> {
        if self.read().has_arrivals() { self.write().take_arrivals() } else { Vec::new() }
    }

    /// Returns all contexts in any order, and marks none as an arrival. This is one step, because a context that
    /// another thread registered in between would otherwise be returned twice.
    pub(crate) fn take_over(&self) -> Vec<Arc<Context>> {
        let mut table = self.write();
        table.take_arrivals();
        table.aliases().for_each(Context::pass_on_call);
        table.contexts()
    }

    /// Returns all contexts in any order.
    pub(crate) fn contexts(&self) -> Vec<Arc<Context>> {
        self.read().contexts()
    }

    pub(crate) fn len(&self) -> usize {
        self.read().len
    }

    #[inline]
    fn hash(&self, name: &str, tags: &DistinctTags<'_, '_>, kind: Kind) -> u64 {
        self.hash_of(name, tags.without_task_id(), kind, tags.iter())
    }

    /// Returns the same hash for the same tags in any order.
    fn hash_of<'a>(
        &self,
        name: &str,
        without_task_id: bool,
        kind: Kind,
        tags: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> u64 {
        let start = self.hasher.hash_one((name, kind, without_task_id));
        tags.fold(start, |sum, pair| sum.wrapping_add(self.hasher.hash_one(pair)))
    }

    /// Locks the index for as long as the returned value lives.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux is asked to tell of forks"))]
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

#[cfg(test)]
mod tests {
    use super::*;

    impl Index {
        /// Returns an index with this limit, whose only agent is a Datadog Agent.
        pub(crate) fn of(client: usize) -> Self {
            Self::new(Limits { client, metric: client.max(10) }, Spelling::of_dogstatsd(), Box::default())
        }
    }

    fn tags<'a>(pairs: &'a [(&'a str, &'a str)]) -> TagList<'a> {
        let mut list = TagList::default();
        list.set_slice(pairs);
        list
    }

    pub(crate) fn wanted(kind: Kind) -> Wanted {
        Wanted { kind, bounded: false, beside: false }
    }

    fn counter(block: &mut CounterBlock) -> Cell {
        Cell::Counter(Arc::new(block.cell()))
    }

    fn register(index: &Index, name: &str, pairs: &[(&str, &str)], kind: Kind) -> Result<Identity, Refusal> {
        index.find_or_make(name, &tags(pairs), wanted(kind), &counter).map(|context| context.identity.clone())
    }

    #[test]
    fn the_order_of_tags_and_their_repetition_do_not_matter() {
        let index = Index::of(10);
        let same: [&[_]; 3] =
            [&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")], &[("a", "1"), ("b", "2"), ("a", "1")]];
        for pairs in same {
            register(&index, "jobs", pairs, Kind::Counter).unwrap();
        }
        assert_eq!(index.len(), 1);
        assert!(index.find("jobs", &tags(same[1]), Kind::Counter).is_some());
        let others: [&[_]; 4] = [&[("a", "2"), ("b", "1")], &[("a", "1")], &[("a", "1"), ("a", "1")], &[]];
        for pairs in others {
            register(&index, "jobs", pairs, Kind::Counter).unwrap();
        }
        assert_eq!(index.take_arrivals().len(), 4, "a doubled tag is the same as a single one");
    }

    #[test]
    fn a_name_keeps_its_kind_while_it_has_contexts() {
        let index = Index::of(10);
        register(&index, "jobs", &[], Kind::Counter).unwrap();
        let refused = register(&index, "jobs", &[("a", "1")], Kind::Gauge).unwrap_err();
        assert_eq!(refused, Refusal::Kind(Kind::Counter));
        assert!(index.remove(&index.take_arrivals()[0]));
        assert!(register(&index, "jobs", &[], Kind::Gauge).is_ok());
    }

    #[test]
    fn a_context_in_use_is_not_forgotten() {
        let index = Index::of(1);
        let made = index.find_or_make("jobs", &tags(&[]), wanted(Kind::Counter), &counter);
        let handle = made.map(|context| context.cell.clone());
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

    #[test]
    fn of_long_words_no_more_is_kept_than_is_written() {
        let index = Index::of(10);
        let (name, key, value) = ("a ".repeat(1 << 20), "k ".repeat(1 << 20), "v".repeat(1 << 20));
        for _ in 0..2 {
            let kept = register(&index, &name, &[(&key, &value)], Kind::Counter).unwrap();
            assert_eq!(
                kept.tags().map(|(key, value)| (key.len(), value.len())).collect::<Vec<_>>(),
                [(100, 99)]
            );
        }
        assert_eq!((index.len(), index.contexts()[0].identity.name().len()), (1, 200));
        assert_eq!(index.read().aliases().count(), 0);
        register(&index, "a b", &[], Kind::Counter).unwrap();
        assert_eq!(index.read().aliases().count(), 1, "short words are kept as they were passed");
    }

    #[test]
    fn a_context_is_told_from_the_same_without_the_task_id_by_any_words() {
        let index = Index::of(10);
        for name in ["a b", "a_b", "a+b"] {
            for without_task_id in [false, true] {
                let mut tags = tags(&[("k", "x y")]);
                tags.without_task_id = without_task_id;
                let wanted = wanted(Kind::Counter);
                let kept = index.find_or_make(name, &tags, wanted, &counter).unwrap();
                assert_eq!(kept.identity.without_task_id(), without_task_id);
                drop(kept);
                let found = index.find(name, &tags, Kind::Counter).unwrap();
                assert_eq!(found.identity.name(), name);
                assert_eq!(found.identity.without_task_id(), without_task_id);
                drop(found);
                let folded = index.find_or_make_overflow(name, without_task_id, wanted, &counter).unwrap();
                assert_eq!(folded.identity.without_task_id(), without_task_id);
            }
        }
        assert_eq!((index.len(), index.read().overflows), (2, 2));
    }

    #[test]
    fn what_other_words_are_refused_for_one_context_is_one_that_needs_room() {
        let index = Index::new(Limits { client: 1, metric: 10 }, Spelling::of_dogstatsd(), Box::default());
        register(&index, "pages", &[], Kind::Counter).unwrap();
        for name in ["jobs done", "jobs+done", "jobs_done"] {
            assert_eq!(register(&index, name, &[], Kind::Counter), Err(Refusal::ContextLimit(1)));
        }
        let refused = register(&index, "pages", &[("k", "v")], Kind::Gauge);
        assert_eq!(refused, Err(Refusal::Kind(Kind::Counter)), "room would not help");
        assert_eq!(index.take_shortage().unwrap().client, 1);
        assert!(index.take_shortage().is_none());
    }
}
