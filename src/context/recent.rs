//! The contexts that a thread recently called by name, which it finds without a lock.

#![allow(unsafe_code, reason = "the end of a thread frees its table")]

mod table;

use self::table::Table;
use crate::context::Context;
use crate::process::sync::wide::AtomicU64;
use crate::vocabulary::identity::TagOrder;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::TagList;
use crate::vocabulary::text;
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

/// The number of slots in a thread's table of contexts. Each slot holds two, and the latest one comes first.
const PLACES: usize = 256;
/// The number of slots for distributions. They are separate, because a thread may remember a context long after
/// everything else forgot it, and each of these has a table. An idle thread keeps at most 64 of them until it ends.
const LARGE_PLACES: usize = 32;
const WAYS: usize = 2;

/// Turns one hash into another. It also changes the upper half, which selects the slot.
const WITHOUT_TASK_ID: u64 = 0x9E37_79B9_7F4A_7C15;

type Place = [Entry; WAYS];

/// A remembered context. These are single cells, of which the last is empty while its context is called: code that runs
/// in the meantime on this thread finds nothing here.
struct Entry {
    owner: Cell<u64>,
    hash: Cell<u64>,
    order: Cell<TagOrder>,
    context: Cell<Option<Arc<Context>>>,
}

/// The number of distributions' contexts that all threads together remember, and its maximum, which is as many as a
/// client with the default limit may have. An idle thread keeps what it remembers, even if the context was retired.
static LARGE: AtomicUsize = AtomicUsize::new(0);
const MOST_LARGE: usize = 2048;

thread_local! {
    static RECENT: Table<Place, { PLACES + LARGE_PLACES }> = const { Table::new() };
    static PUTTING: Cell<bool> = const { Cell::new(false) };
    static END: End = const { End };
}

/// Frees its thread's table when the thread ends.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: the thread's own code is over. No function here that has a reference calls other code in the
        // meantime.
        RECENT.with(|recent| unsafe { recent.free() });
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            owner: Cell::new(NOBODY),
            hash: Cell::new(0),
            order: Cell::new(TagOrder::NONE),
            context: Cell::new(None),
        }
    }
}

/// Runs when the thread ends.
impl Drop for Entry {
    fn drop(&mut self) {
        note_forgotten(self.context.take().as_ref());
    }
}

/// Returns whether there is room for another context, and takes it.
fn note_remembered(context: &Context) -> bool {
    let take_room = |taken| (taken < MOST_LARGE).then_some(taken + 1);
    !is_large(context.kind) || LARGE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_room).is_ok()
}

fn note_forgotten(context: Option<&Arc<Context>>) {
    if context.is_some_and(|context| is_large(context.kind)) {
        LARGE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Entry {
    /// Returns whether its context is being called.
    fn is_taken(&self) -> bool {
        let context = self.context.take();
        let is_taken = context.is_none() && self.owner.get() != NOBODY;
        self.context.set(context);
        is_taken
    }
}

/// Passes this thread's table to `act`, if there is one.
#[inline(always)]
#[allow(clippy::inline_always, reason = "what it answers would have to be written to memory")]
fn with_table<T>(act: impl FnOnce(&[Place; PLACES + LARGE_PLACES]) -> Option<T>) -> Option<T> {
    RECENT.with(|recent| recent.get().and_then(act))
}

/// Returns a hash of a name and tags in the given order. The order matters: another order uses another slot.
///
/// Colliding keys only make a thread forget a context, which it then finds in the index.
#[inline(always)]
#[allow(clippy::inline_always, reason = "most of a call's texts are literals, hashed when it is compiled")]
fn hash(name: &str, tags: &TagList<'_>) -> u64 {
    let [singles, slice] = tags.parts();
    let mut hash = text::hash(0, name);
    for (key, value) in singles {
        hash = text::hash(text::hash(hash, key), value);
    }
    for (key, value) in slice {
        hash = text::hash(text::hash(hash, key), value);
    }
    // This is known at the call site, like most of the rest. The same name and tags in the same order have different
    // hashes with and without the task id. That distinguishes the two, although only names and tags are compared.
    if tags.without_task_id { hash ^ WITHOUT_TASK_ID } else { hash }
}

/// The owner of an unused entry.
const NOBODY: u64 = 0;

/// Returns a number that distinguishes the contexts of one index or family from those of others. It is never
/// [`NOBODY`].
pub(crate) fn new_owner() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Passes the context that this thread remembers for a family's member to `then`, and marks it as called. All members
/// differ in the value of one tag only, so the rest is not compared: an entry's owner and its context are always
/// changed together.
#[inline(always)]
#[allow(clippy::inline_always, reason = "see `with`")]
pub(crate) fn with_member<T>(
    family: u64,
    hash: u64,
    value: &str,
    is_large: bool,
    then: impl FnOnce(&Context) -> T,
) -> Option<T> {
    let place = place_among(hash, is_large);
    let (entry, order, context) = take(family, hash, place)?;
    if !context.identity.has_value(order, value) || !context.call() {
        put_back(entry, context);
        return None;
    }
    let done = then(&context);
    put_back(entry, context);
    Some(done)
}

/// Remembers the context of a family's member, which has this tag.
pub(crate) fn remember_member(family: u64, hash: u64, key: &str, value: &str, context: &Arc<Context>) {
    if let Some(place) = context.identity.place_of((key, value)) {
        put(family, hash, place, context);
    }
}

/// Passes the context that this thread remembers for a name and tags to `then`, and marks it as called.
#[inline(always)]
#[allow(clippy::inline_always, reason = "tags that are handed on would have to be written to memory")]
pub(crate) fn with<T>(
    index: u64,
    kind: Kind,
    name: &str,
    tags: &TagList<'_>,
    then: impl FnOnce(&Context) -> T,
) -> Option<T> {
    let hash = hash(name, tags);
    let place = place(hash, kind);
    let (entry, order, context) = take(index, hash, place)?;
    // A name may have two kinds, and only what is called is to be marked as called.
    let is_it = context.kind == kind && context.identity.is_in(order, name, tags) && context.call();
    let done = is_it.then(|| then(&context));
    put_back(entry, context);
    done
}

/// Takes the entry that is remembered under a hash.
#[inline(always)]
#[allow(clippy::inline_always, reason = "what it answers would have to be written to memory")]
fn take(owner: u64, hash: u64, place: usize) -> Option<(*const Entry, TagOrder, Arc<Context>)> {
    RECENT.with(|recent| {
        let [first, second] = recent.get()?.get(place)?;
        let entry = if first.hash.get() == hash { first } else { second };
        if entry.hash.get() != hash || entry.owner.get() != owner {
            return None;
        }
        Some((ptr::from_ref(entry), entry.order.get(), entry.context.take()?))
    })
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "see `take`")]
fn put_back(entry: *const Entry, context: Arc<Context>) {
    // SAFETY: the entry is from `take`, in this thread's table, which exists until the thread's own code is over.
    let entry = unsafe { &*entry };
    entry.context.set(Some(context));
}

/// Drops retired contexts in the slot for a name and tags.
pub(crate) fn let_go(name: &str, tags: &TagList<'_>, kind: Kind) {
    let_go_at(place(hash(name, tags), kind));
}

/// Does the same as [`let_go`] for a family's member.
pub(crate) fn let_go_of_member(hash: u64, is_large: bool) {
    let_go_at(place_among(hash, is_large));
}

fn let_go_at(place: usize) {
    let forgotten = with_table(|recent| {
        recent.get(place).map(|place| {
            place.each_ref().map(|entry| {
                let context = entry.context.take();
                if context.as_ref().is_some_and(|context| context.is_retired()) {
                    entry.owner.set(NOBODY);
                    return context;
                }
                entry.context.set(context);
                None
            })
        })
    });
    // This runs without the table, because dropping a context may use metrics.
    for context in forgotten.into_iter().flatten().flatten() {
        note_forgotten(Some(&context));
    }
}

/// Remembers a context, and replaces the one in its slot that was remembered longest ago.
pub(crate) fn remember(index: u64, tags: &TagList<'_>, context: &Arc<Context>) {
    if let Some(order) = context.identity.order_of(tags) {
        put(index, hash(context.identity.name(), tags), order, context);
    }
}

fn put(owner: u64, hash: u64, order: TagOrder, context: &Arc<Context>) {
    // A thread that is ending remembers nothing, and uses the index.
    if END.try_with(|_| ()).is_err() {
        return;
    }
    let forgotten = RECENT.with(|recent| {
        let place = recent.get_or_make(Place::default)?.get(place(hash, context.kind))?;
        let [first, second] = place;
        // An allocator that counts may call this during a call that must find its entry unchanged, or during this
        // function.
        let _putting = Putting::begin(place)?;
        if !note_remembered(context) {
            return None;
        }
        // The contexts are empty while the rest changes, so that a signal handler finds nothing rather than a wrong
        // context.
        let (moved, forgotten) = (first.context.take(), second.context.take());
        compiler_fence(Ordering::SeqCst);
        second.owner.set(first.owner.replace(owner));
        second.hash.set(first.hash.replace(hash));
        second.order.set(first.order.replace(order));
        compiler_fence(Ordering::SeqCst);
        second.context.set(moved);
        first.context.set(Some(Arc::clone(context)));
        forgotten
    });
    // Dropping a context may use metrics.
    note_forgotten(forgotten.as_ref());
}

/// Reserves the table while an entry is stored.
struct Putting;

impl Putting {
    /// Returns `None` if the thread is already storing an entry, or is calling a context of this slot.
    fn begin(place: &Place) -> Option<Self> {
        if place.iter().any(Entry::is_taken) || PUTTING.replace(true) {
            return None;
        }
        compiler_fence(Ordering::SeqCst);
        Some(Self)
    }
}

impl Drop for Putting {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        PUTTING.set(false);
    }
}

#[inline]
fn place(hash: u64, kind: Kind) -> usize {
    place_among(hash, is_large(kind))
}

#[inline]
fn is_large(kind: Kind) -> bool {
    match kind {
        Kind::Distribution | Kind::Histogram | Kind::Timing => true,
        Kind::Gauge | Kind::Counter | Kind::Set | Kind::Occupancy => false,
    }
}

#[inline]
fn place_among(hash: u64, is_large: bool) -> usize {
    // The upper bits are mixed better.
    let hash = (hash >> 32) as usize;
    if is_large { PLACES + hash % LARGE_PLACES } else { hash % PLACES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Buckets, Cell as MetricCell, GaugeCell};
    use crate::context::index::{Index, Wanted};

    fn gauge() -> MetricCell {
        MetricCell::Gauge(Arc::new(GaugeCell::new()))
    }

    fn make(index: &Index, name: &str, tags: &TagList<'_>, kind: Kind) {
        let cell = || match kind {
            Kind::Timing => MetricCell::Distribution(Arc::new(Buckets::new())),
            _ => gauge(),
        };
        let wanted = Wanted { kind, bounded: false, beside: false };
        drop(index.find_or_make(name, tags, wanted, &|_| cell()).unwrap());
    }

    fn find(index: &Index, name: &str, tags: &TagList<'_>) -> Option<()> {
        find_kind(index, name, tags, Kind::Gauge)
    }

    fn find_kind(index: &Index, name: &str, tags: &TagList<'_>, kind: Kind) -> Option<()> {
        index.find(name, tags, kind).map(|context| remember(index.id(), tags, &context))
    }

    fn recalls(index: &Index, name: &str, tags: &TagList<'_>, kind: Kind) -> bool {
        let found = index.recall(name, tags, kind, |context| {
            assert_eq!((context.identity.name(), context.kind), (name, kind));
        });
        found.is_some()
    }

    fn tags<'a>(pairs: &'a [(&'a str, &'a str)]) -> TagList<'a> {
        let mut list = TagList::default();
        list.set_slice(pairs);
        list
    }

    #[test]
    fn what_was_found_is_remembered_in_any_order_and_with_repeated_tags() {
        let index = Index::of(10);
        let kept = [("a", "1"), ("b", "2"), ("a long key of a tag", "and a value that is longer")];
        make(&index, "jobs", &tags(&kept), Kind::Gauge);
        let [a, b, c] = kept;
        for given in
            [vec![a, b, c], vec![c, a, b], vec![a, b, a, c], vec![b; 12].into_iter().chain([a, c]).collect()]
        {
            assert!(!recalls(&index, "jobs", &tags(&given), Kind::Gauge), "{given:?} is new");
            assert!(find(&index, "jobs", &tags(&given)).is_some(), "{given:?} is known");
            assert!(recalls(&index, "jobs", &tags(&given), Kind::Gauge), "{given:?} is remembered");
            assert!(recalls(&index, "jobs", &tags(&given), Kind::Gauge), "{given:?} is put back");
        }
        assert_eq!(index.len(), 1);
        for other in
            [vec![a, b], vec![a, b, b], vec![a, b, c, ("c", "3")], vec![a, b, ("a long key of a tag", "")]]
        {
            assert!(!recalls(&index, "jobs", &tags(&other), Kind::Gauge), "{other:?}");
            assert!(find(&index, "jobs", &tags(&other)).is_none(), "{other:?}");
        }
    }

    #[test]
    fn clients_and_names_are_told_apart() {
        let (first, second) = (Index::of(10), Index::of(10));
        make(&first, "jobs", &tags(&[]), Kind::Gauge);
        assert!(find(&first, "jobs", &tags(&[])).is_some());
        assert!(recalls(&first, "jobs", &tags(&[]), Kind::Gauge));
        assert!(!recalls(&second, "jobs", &tags(&[]), Kind::Gauge));
        assert!(!recalls(&first, "jobz", &tags(&[]), Kind::Gauge));
    }

    #[test]
    fn a_hash_alone_recalls_nothing() {
        let index = Index::of(10);
        make(&index, "jobs", &tags(&[("a", "1")]), Kind::Gauge);
        find(&index, "jobs", &tags(&[("a", "1")])).unwrap();
        // Looks up another key with the same hash.
        let forged = |name: &str, pairs: &[(&str, &str)]| {
            let (from, to) = (hash("jobs", &tags(&[("a", "1")])), hash(name, &tags(pairs)));
            with_table(|recent| {
                let entry = &recent[place(from, Kind::Gauge)][0];
                let moved = &recent[place(to, Kind::Gauge)][0];
                moved.owner.set(entry.owner.get());
                moved.hash.set(to);
                moved.order.set(entry.order.get());
                moved.context.set(entry.context.take());
                Some(())
            });
            assert!(!recalls(&index, name, &tags(pairs), Kind::Gauge), "{name} {pairs:?}");
            with_table(|recent| {
                let context = recent[place(to, Kind::Gauge)][0].context.take();
                assert!(context.is_some(), "it is put back");
                recent[place(from, Kind::Gauge)][0].context.set(context);
                Some(())
            });
        };
        forged("jobz", &[("a", "1")]);
        forged("jobs", &[("b", "1")]);
        forged("jobs", &[("a", "2")]);
        forged("jobs", &[("a", "1"), ("a", "1")]);
    }

    #[test]
    fn members_of_a_family_are_told_apart_by_their_value_whatever_they_hash_to() {
        let index = Index::of(10);
        let (family, hash) = (new_owner(), 7 << 32);
        for value in ["/a", "/b"] {
            make(&index, "jobs", &tags(&[("route", value), ("zone", "eu")]), Kind::Gauge);
        }
        let find = |value| {
            let tags = [("route", value), ("zone", "eu")];
            let known = index.find("jobs", &self::tags(&tags), Kind::Gauge).unwrap();
            remember_member(family, hash, "route", value, &known);
        };
        let recalls = |family, value| with_member(family, hash, value, false, |_| ()).is_some();
        find("/a");
        assert!(recalls(family, "/a") && recalls(family, "/a"), "it is put back");
        assert!(!recalls(family, "/b") && !recalls(new_owner(), "/a"));
        find("/b");
        assert!(recalls(family, "/b"));
    }

    #[test]
    fn a_retired_context_is_let_go_and_looked_up_again() {
        let index = Index::of(10);
        make(&index, "jobs", &tags(&[]), Kind::Gauge);
        find(&index, "jobs", &tags(&[])).unwrap();
        let mut context = index.take_arrivals().remove(0);
        assert!(index.remove(&context));
        assert!(Arc::get_mut(&mut context).is_none(), "the thread remembers it");
        assert!(!recalls(&index, "jobs", &tags(&[]), Kind::Gauge));
        let_go("jobs", &tags(&[]), Kind::Gauge);
        assert!(Arc::get_mut(&mut context).is_some(), "the thread let go of it");
        make(&index, "jobs", &tags(&[]), Kind::Gauge);
        find(&index, "jobs", &tags(&[])).unwrap();
        assert!(recalls(&index, "jobs", &tags(&[]), Kind::Gauge), "its place is free");
    }

    #[test]
    fn who_interrupts_a_call_leaves_its_place_as_it_was() {
        let index = Index::of(10);
        let (first, second, hash) = (new_owner(), new_owner(), 7 << 32);
        make(&index, "jobs", &tags(&[("route", "/a")]), Kind::Gauge);
        make(&index, "pages", &tags(&[("route", "/a")]), Kind::Gauge);
        let find = |family, name| {
            let known = index.find(name, &tags(&[("route", "/a")]), Kind::Gauge).unwrap();
            remember_member(family, hash, "route", "/a", &known);
        };
        let recalled =
            |family| with_member(family, hash, "/a", false, |context| context.identity.name().to_owned());
        find(first, "jobs");
        // This is what an allocator that counts does, between the start and the end of a member's call.
        let interrupted = with_member(first, hash, "/a", false, |context| {
            assert_eq!(recalled(first), None, "it is in use");
            find(second, "pages");
            find(first, "jobs");
            assert_eq!(recalled(second), None, "nothing is remembered there meanwhile");
            context.identity.name().to_owned()
        });
        assert_eq!(interrupted.as_deref(), Some("jobs"));
        assert_eq!((recalled(first).as_deref(), recalled(second)), (Some("jobs"), None));
        find(second, "pages");
        assert_eq!(
            (recalled(second).as_deref(), recalled(first)),
            (Some("pages"), None),
            "they have one hash"
        );
    }

    #[test]
    fn a_thread_keeps_few_distributions_and_nothing_when_it_ends() {
        let index = Index::of(1000);
        let names: Vec<String> = (0..500).map(|n| format!("query.{n}")).collect();
        for name in &names {
            make(&index, name, &tags(&[]), Kind::Timing);
        }
        let contexts = index.take_arrivals();
        let remembered = || contexts.iter().filter(|context| Arc::strong_count(context) > 2).count();
        std::thread::scope(|scope| {
            let calling = scope.spawn(|| {
                for name in &names {
                    find_kind(&index, name, &tags(&[]), Kind::Timing).unwrap();
                }
                let recalled = names.iter().filter(|name| recalls(&index, name, &tags(&[]), Kind::Timing));
                (recalled.count(), remembered())
            });
            let (recalled, remembered) = calling.join().unwrap();
            assert!((40..=WAYS * LARGE_PLACES).contains(&recalled), "{recalled}");
            assert_eq!(remembered, recalled);
        });
        assert_eq!(remembered(), 0, "the thread has ended");
    }

    /// Runs a test once more in a process of its own, where no other test's thread remembers anything. Returns whether
    /// this is that process.
    fn is_alone(test: &str) -> bool {
        const ALONE: &str = "TASKTAG_TEST_ALONE";
        if std::env::var_os(ALONE).is_some() {
            return true;
        }
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = child.args(["--exact", test]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success() && said.contains("1 passed"), "{said}");
        false
    }

    #[test]
    fn the_count_of_remembered_distributions_is_what_is_remembered() {
        if !is_alone("context::recent::tests::the_count_of_remembered_distributions_is_what_is_remembered") {
            return;
        }
        let (index, owner, hash) = (Index::of(10), new_owner(), 7 << 32);
        for name in ["a", "b", "c"] {
            make(&index, name, &tags(&[("route", "/a")]), Kind::Timing);
        }
        make(&index, "level", &tags(&[("route", "/a")]), Kind::Gauge);
        let contexts = index.take_arrivals();
        let put = |name: &str| {
            let context = contexts.iter().find(|context| context.identity.name() == name).unwrap();
            remember_member(owner, hash, "route", "/a", context);
            LARGE.load(Ordering::Relaxed)
        };
        assert_eq!((put("level"), put("a"), put("b")), (0, 1, 2), "a gauge is not counted");
        assert_eq!(put("c"), 2, "it replaced another");
        let called = with_member(owner, hash, "/a", true, |_| put("a"));
        assert_eq!(called, Some(2), "it is refused, because one of its slot is being called");
        PUTTING.set(true);
        assert_eq!(put("a"), 2, "it is refused, because the thread is storing another");
        PUTTING.set(false);
        LARGE.store(MOST_LARGE, Ordering::Relaxed);
        assert_eq!(put("a"), MOST_LARGE, "it is refused for want of room");
        LARGE.store(2, Ordering::Relaxed);
        let of_a_thread = std::thread::scope(|scope| scope.spawn(|| (put("a"), put("b"))).join().unwrap());
        assert_eq!(of_a_thread, (3, 4));
        assert_eq!(LARGE.load(Ordering::Relaxed), 2, "the thread has ended");
        for (name, left) in [("a", 2), ("b", 1), ("c", 0)] {
            let context = contexts.iter().find(|context| context.identity.name() == name).unwrap();
            context.take_called();
            assert!(index.remove(context));
            let_go_of_member(hash, true);
            assert_eq!(LARGE.load(Ordering::Relaxed), left, "{name} is let go of, if it is remembered");
        }
    }
}
