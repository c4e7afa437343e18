//! The contexts that a thread called by name lately, so that it finds them again without a lock.

use crate::cell::Cell;
use crate::context::Context;
use crate::tag::{TagList, TagOrder};
use foldhash::fast::FixedState;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// Contexts that a thread remembers: a table in which each has one place, shared by two. The last one comes first.
const PLACES: usize = 256;
const WAYS: usize = 2;

type Place = [Option<Entry>; WAYS];

#[derive(Debug)]
struct Entry {
    index: u64,
    hash: u64,
    order: TagOrder,
    context: Arc<Context>,
}

thread_local! {
    static RECENT: RefCell<[Place; PLACES]> = const { RefCell::new([const { [const { None }; WAYS] }; PLACES]) };
}

/// A name and tags in the order given, as one number. The order matters here: another order is another place.
///
/// The seed is fixed. Whoever makes keys collide makes a thread forget, and nothing worse: the index is asked then.
#[inline]
pub(crate) fn hash(name: &str, tags: &TagList<'_>) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(name.as_bytes());
    for (key, value) in tags.iter() {
        hasher.write(key.as_bytes());
        hasher.write(value.as_bytes());
    }
    hasher.finish()
}

/// Hands the context that this thread remembers under a name and tags to `then`.
#[inline]
pub(crate) fn with<T>(
    index: u64,
    hash: u64,
    name: &str,
    tags: &TagList<'_>,
    then: impl Fn(&Context) -> T,
) -> Option<T> {
    // A thread that is ending remembers nothing, and is answered by the index.
    RECENT
        .try_with(|recent| {
            let recent = recent.try_borrow().ok()?;
            let same = |entry: &&Entry| {
                entry.hash == hash
                    && entry.index == index
                    && entry.context.name == name
                    && entry.context.tags.are_in(entry.order, tags)
            };
            let found = recent.get(place(hash))?.iter().flatten().find(same)?;
            (!found.context.is_retired()).then(|| then(&found.context))
        })
        .ok()?
}

/// Remembers a context in place of the one that was remembered longest ago there.
pub(crate) fn remember(index: u64, hash: u64, tags: &TagList<'_>, context: &Arc<Context>) {
    // A thread may remember a context long after everybody else forgot it: not one with a table of 64 KiB.
    if matches!(context.cell, Cell::Distribution(_)) {
        return;
    }
    let Some(order) = context.tags.order_of(tags) else { return };
    let entry = Entry { index, hash, order, context: Arc::clone(context) };
    let _ = RECENT.try_with(|recent| {
        let mut recent = recent.try_borrow_mut().ok()?;
        let place = recent.get_mut(place(hash))?;
        place.rotate_right(1);
        *place.first_mut()? = Some(entry);
        Some(())
    });
}

fn place(hash: u64) -> usize {
    // The upper bits are the better mixed ones.
    (hash >> 32) as usize % PLACES
}
