//! The contexts that a thread called by name lately, so that it finds them again without a lock.

use crate::context::Context;
use crate::tag::TagList;
use foldhash::fast::FixedState;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// Contexts that a thread remembers: a table in which each has one place.
const PLACES: usize = 64;

#[derive(Debug)]
struct Entry {
    index: u64,
    hash: u64,
    context: Arc<Context>,
}

thread_local! {
    static RECENT: RefCell<[Option<Entry>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
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
            let entry = recent.get(place(hash))?.as_ref()?;
            let found = entry.hash == hash && entry.index == index && entry.context.is(name, tags);
            (found && !entry.context.is_retired()).then(|| then(&entry.context))
        })
        .ok()?
}

/// Remembers a context in place of another.
pub(crate) fn remember(index: u64, hash: u64, context: &Arc<Context>) {
    let _ = RECENT.try_with(|recent| {
        let mut recent = recent.try_borrow_mut().ok()?;
        *recent.get_mut(place(hash))? = Some(Entry { index, hash, context: Arc::clone(context) });
        Some(())
    });
}

fn place(hash: u64) -> usize {
    // The upper bits are the better mixed ones.
    (hash >> 32) as usize % PLACES
}
