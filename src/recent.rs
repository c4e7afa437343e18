//! The contexts that a thread called by name lately, so that it finds them again without a lock.

use crate::context::Context;
use crate::kind::Kind;
use crate::tag::{TagList, TagOrder};
use crate::text;
use crate::thread_table::ThreadTable;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Contexts that a thread remembers: a table in which each has one place, shared by two. The last one comes first.
const PLACES: usize = 256;
/// Those of distributions are apart. A thread may remember a context long after everybody else forgot it, and each of
/// these comes with a table: a thread that falls silent keeps 64 of them at most, until it ends.
const LARGE_PLACES: usize = 32;
const WAYS: usize = 2;

type Place = [Entry; WAYS];

/// What is remembered in a place. Single cells, of which the last is empty while its context is called: the table is
/// left at once, and the call goes on outside of what is done in it.
struct Entry {
    owner: Cell<u64>,
    hash: Cell<u64>,
    order: Cell<TagOrder>,
    context: Cell<Option<Arc<Context>>>,
}

thread_local! {
    // Gone in a thread that is ending, which remembers nothing and is answered by the index.
    static RECENT: ThreadTable<Place, { PLACES + LARGE_PLACES }> = const { ThreadTable::new() };
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            owner: Cell::new(0),
            hash: Cell::new(0),
            order: Cell::new(TagOrder::NONE),
            context: Cell::new(None),
        }
    }
}

/// Shows what this thread remembers, if that is anything.
#[inline(always)]
#[allow(clippy::inline_always, reason = "what it answers would have to be written to memory")]
fn with_table<T>(act: impl FnOnce(&[Place; PLACES + LARGE_PLACES]) -> Option<T>) -> Option<T> {
    RECENT.try_with(|recent| recent.get().and_then(act)).unwrap_or(None)
}

/// A name and tags in the order given, as one number. The order matters here: another order is another place.
///
/// Whoever makes keys collide makes a thread forget, and nothing worse: the index is asked then.
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
    hash
}

/// A number for someone whose contexts are to be told from those of others: an index, or a family. 0 is nobody's.
pub(crate) fn new_owner() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Hands the context that this thread remembers of a family's member to `then`. All but the value of one tag is the same
/// in all members, and need not be looked at.
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
    let (way, order, context) = take(family, hash, place)?;
    if context.is_retired() {
        return None;
    }
    if !context.tags.has_value(order, value) {
        put_back(place, way, context);
        return None;
    }
    let done = then(&context);
    put_back(place, way, context);
    Some(done)
}

/// Remembers the context of a family's member, which has this tag.
pub(crate) fn remember_member(family: u64, hash: u64, key: &str, value: &str, context: &Arc<Context>) {
    if let Some(place) = context.tags.place_of((key, value)) {
        put(family, hash, place, context);
    }
}

/// Hands the context that this thread remembers under a name and tags to `then`.
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
    let (way, order, context) = take(index, hash, place)?;
    if context.is_retired() {
        return None;
    }
    let same = text::same(name, &context.name) && context.tags.are_in(order, tags);
    let done = same.then(|| then(&context));
    put_back(place, way, context);
    done
}

/// Takes what is remembered under a hash.
#[inline(always)]
#[allow(clippy::inline_always, reason = "see `with_table`")]
fn take(owner: u64, hash: u64, place: usize) -> Option<(usize, TagOrder, Arc<Context>)> {
    with_table(|recent| {
        let [first, second] = recent.get(place)?;
        let (way, entry) = if first.hash.get() == hash { (0, first) } else { (1, second) };
        if entry.hash.get() != hash || entry.owner.get() != owner {
            return None;
        }
        Some((way, entry.order.get(), entry.context.take()?))
    })
}

#[inline]
fn put_back(place: usize, way: usize, context: Arc<Context>) {
    with_table(|recent| {
        recent.get(place)?.get(way)?.context.set(Some(context));
        Some(())
    });
}

/// Remembers a context in place of the one that was remembered longest ago there.
pub(crate) fn remember(index: u64, tags: &TagList<'_>, context: &Arc<Context>) {
    if let Some(order) = context.tags.order_of(tags) {
        put(index, hash(&context.name, tags), order, context);
    }
}

fn put(owner: u64, hash: u64, order: TagOrder, context: &Arc<Context>) {
    let forgotten = RECENT.try_with(|recent| {
        let [first, second] = recent.get_or_make(Place::default)?.get(place(hash, context.kind))?;
        second.owner.set(first.owner.replace(owner));
        second.hash.set(first.hash.replace(hash));
        second.order.set(first.order.replace(order));
        second.context.replace(first.context.replace(Some(Arc::clone(context))))
    });
    // What it held may use metrics while it is let go.
    drop(forgotten);
}

#[inline]
fn place(hash: u64, kind: Kind) -> usize {
    let is_large = match kind {
        Kind::Distribution | Kind::Histogram | Kind::Timing => true,
        Kind::Gauge | Kind::Counter | Kind::Set | Kind::Occupancy => false,
    };
    place_among(hash, is_large)
}

#[inline]
fn place_among(hash: u64, is_large: bool) -> usize {
    // The upper bits are the better mixed ones.
    let hash = (hash >> 32) as usize;
    if is_large { PLACES + hash % LARGE_PLACES } else { hash % PLACES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Buckets, Cell as MetricCell, GaugeCell};
    use crate::index::{Index, Limits};

    fn gauge() -> MetricCell {
        MetricCell::Gauge(Arc::new(GaugeCell::new()))
    }

    fn make(index: &Index, name: &str, tags: &TagList<'_>, kind: Kind) {
        let cell = || match kind {
            Kind::Timing => MetricCell::Distribution(Arc::new(Buckets::new())),
            _ => gauge(),
        };
        index.with_new(name, tags, kind, false, |_| cell(), |_| ()).unwrap();
    }

    fn find(index: &Index, name: &str, tags: &TagList<'_>) -> Option<()> {
        index.find(name, tags, |context| remember(index.id(), tags, context), |_| ())
    }

    fn recalls(index: &Index, name: &str, tags: &TagList<'_>, kind: Kind) -> bool {
        let found = index.recall(name, tags, kind, |context| {
            assert_eq!((context.name.as_str(), context.kind), (name, kind));
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
        let index = Index::new(Limits { client: 10, metric: 10 });
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
        let (first, second) =
            (Index::new(Limits { client: 10, metric: 10 }), Index::new(Limits { client: 10, metric: 10 }));
        make(&first, "jobs", &tags(&[]), Kind::Gauge);
        assert!(find(&first, "jobs", &tags(&[])).is_some());
        assert!(recalls(&first, "jobs", &tags(&[]), Kind::Gauge));
        assert!(!recalls(&second, "jobs", &tags(&[]), Kind::Gauge));
        assert!(!recalls(&first, "jobz", &tags(&[]), Kind::Gauge));
    }

    #[test]
    fn a_hash_alone_recalls_nothing() {
        let index = Index::new(Limits { client: 10, metric: 10 });
        make(&index, "jobs", &tags(&[("a", "1")]), Kind::Gauge);
        find(&index, "jobs", &tags(&[("a", "1")])).unwrap();
        // What another key with the same hash would find.
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
        let index = Index::new(Limits { client: 10, metric: 10 });
        let (family, hash) = (new_owner(), 7 << 32);
        for value in ["/a", "/b"] {
            make(&index, "jobs", &tags(&[("route", value), ("zone", "eu")]), Kind::Gauge);
        }
        let find = |value| {
            let remember = |known: &Arc<Context>| remember_member(family, hash, "route", value, known);
            index.find("jobs", &tags(&[("route", value), ("zone", "eu")]), remember, |_| ()).unwrap();
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
        let index = Index::new(Limits { client: 10, metric: 10 });
        make(&index, "jobs", &tags(&[]), Kind::Gauge);
        find(&index, "jobs", &tags(&[])).unwrap();
        let mut context = index.take_arrivals().remove(0);
        assert!(index.remove(&context));
        assert!(Arc::get_mut(&mut context).is_none(), "the thread remembers it");
        assert!(!recalls(&index, "jobs", &tags(&[]), Kind::Gauge));
        assert!(Arc::get_mut(&mut context).is_some(), "the thread let go of it");
    }

    #[test]
    fn a_thread_keeps_few_distributions_and_nothing_when_it_ends() {
        let index = Index::new(Limits { client: 1000, metric: 1000 });
        let names: Vec<String> = (0..500).map(|n| format!("query.{n}")).collect();
        for name in &names {
            make(&index, name, &tags(&[]), Kind::Timing);
        }
        let contexts = index.take_arrivals();
        let remembered = || contexts.iter().filter(|context| Arc::strong_count(context) > 2).count();
        std::thread::scope(|scope| {
            let calling = scope.spawn(|| {
                for name in &names {
                    find(&index, name, &tags(&[])).unwrap();
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
}
