//! The table from keys to the handles that are kept for them.

use super::forgotten::Forgotten;
use super::kept::{GaugeHandle, Handle, Kept};
use super::labels;
use crate::context::handle_cache::{FlushInfo, GaugeId, SpareGauges};
use crate::process::fork::Held;
use foldhash::fast::RandomState;
use metrics::Key;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

/// All handles of one kind that a recorder keeps.
#[derive(Debug)]
pub(super) struct Table<H> {
    known: RwLock<Known<H>>,
}

#[derive(Debug)]
struct Known<H> {
    // By the key's own hash. Outsiders can predict that hash, so the map hashes it again with a random key.
    links: HashMap<u64, Vec<Link<H>>, RandomState>,
    // The overflow handles, by the name of their metric.
    overflows: HashMap<Box<str>, Arc<Kept<H>>, RandomState>,
    aliases: usize,
    forgotten: Forgotten,
}

/// What a key maps to.
#[derive(Debug)]
enum Link<H> {
    Own(Arc<Kept<H>>),
    /// A handle that is kept under a key without redundant labels.
    Alias(Key, Weak<Kept<H>>),
}

impl<H: Handle> Link<H> {
    fn find(&self, key: &Key) -> Option<Arc<Kept<H>>> {
        match self {
            Self::Own(kept) => labels::same(&kept.key, key).then(|| Arc::clone(kept)),
            Self::Alias(alias, kept) => labels::same(alias, key).then(|| kept.upgrade()).flatten(),
        }
    }
}

impl<H: Handle> Table<H> {
    pub(super) fn new() -> Self {
        let (links, overflows) = (HashMap::default(), HashMap::default());
        Self { known: RwLock::new(Known { links, overflows, aliases: 0, forgotten: Forgotten::default() }) }
    }

    /// The handle of a key. The look-up counts as a call.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<Kept<H>>> {
        let known = self.read();
        let kept = known.find(key)?;
        kept.call();
        Some(kept)
    }

    /// Keeps a handle and returns it. If another thread was faster, returns that thread's handle. The handle continues
    /// from the trace of its key's previous handle.
    pub(super) fn keep(&self, mut kept: Kept<H>) -> Arc<Kept<H>> {
        let mut known = self.write();
        if let Some(faster) = known.find(&kept.key) {
            faster.call();
            return faster;
        }
        if let Some(trace) = known.forgotten.take(&kept.key) {
            kept.go_on_from(trace);
        }
        let kept = Arc::new(kept);
        known.links.entry(kept.key.get_hash()).or_default().push(Link::Own(Arc::clone(&kept)));
        kept
    }

    /// Maps another key to a handle, unless the limit of such keys is reached.
    pub(super) fn alias(&self, key: &Key, kept: &Arc<Kept<H>>, limit: usize) {
        let mut known = self.write();
        if known.aliases < limit && known.find(key).is_none() {
            known.aliases += 1;
            let alias = Link::Alias(key.to_retained(), Arc::downgrade(kept));
            known.links.entry(key.get_hash()).or_default().push(alias);
        }
    }

    /// The handle of a metric's overflow context. The look-up counts as a call.
    pub(super) fn overflow(&self, name: &str, make: impl FnOnce() -> Kept<H>) -> Arc<Kept<H>> {
        if let Some(kept) = self.read().overflows.get(name) {
            kept.call();
            return Arc::clone(kept);
        }
        let mut known = self.write();
        let kept = known.overflows.entry(name.into()).or_insert_with(|| Arc::new(make()));
        kept.call();
        Arc::clone(kept)
    }

    /// Releases handles that were idle for too long. Keeps the traces of up to `limit` of them.
    pub(super) fn on_flush(&self, flush: FlushInfo<'_>, limit: usize) {
        let known = self.read();
        let links = known.links.values().flatten();
        // Every handle must be visited, because the visit ages it.
        let old = links.filter(|link| link.grows_old(flush)).count()
            + known.overflows.values().filter(|kept| kept.grows_old(flush)).count();
        drop(known);
        if old > 0 {
            let gone = self.write().let_go(limit, |kept| kept.is_old(flush));
            // Not under the lock: a handle may be the last reference to its client.
            drop(gone);
        }
    }

    /// Locks the table for as long as the returned guard lives.
    pub(super) fn freeze(&self) -> impl Held + '_ {
        self.write()
    }

    pub(super) fn len(&self) -> usize {
        let known = self.read();
        known.links.values().map(Vec::len).sum::<usize>() + known.overflows.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Known<H>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known<H>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table<GaugeHandle> {
    /// Adds the gauges that were neither held nor called since the last flush.
    pub(super) fn find_spare(&self, spare: &mut SpareGauges) {
        let known = self.read();
        for link in known.links.values().flatten() {
            if let Link::Own(kept) = link
                && Arc::strong_count(kept) == 1
                && !kept.is_called()
            {
                spare.add(kept.gauge(), kept.idle_flushes());
            }
        }
    }

    /// Releases those gauges that are still unused. Keeps their traces, as [`on_flush`](Self::on_flush) does.
    pub(super) fn release(&self, gauges: &HashSet<GaugeId>, limit: usize) {
        let gone = self.write().let_go(limit, |kept| gauges.contains(&kept.gauge()));
        drop(gone);
    }
}

impl<H: Handle> Link<H> {
    fn grows_old(&self, flush: FlushInfo<'_>) -> bool {
        match self {
            Self::Own(kept) => kept.grows_old(flush),
            Self::Alias(_, kept) => kept.strong_count() == 0,
        }
    }
}

impl<H: Handle> Known<H> {
    fn find(&self, key: &Key) -> Option<Arc<Kept<H>>> {
        self.links.get(&key.get_hash())?.iter().find_map(|link| link.find(key))
    }

    fn let_go(&mut self, limit: usize, is_old: impl Fn(&Kept<H>) -> bool) -> Vec<Kept<H>> {
        let mut gone = Vec::new();
        let aliases = &mut self.aliases;
        self.links.retain(|_, links| {
            let stays = |link| match link {
                Link::Own(kept) => unless_old(kept, &is_old, &mut gone).map(Link::Own),
                Link::Alias(key, kept) if kept.strong_count() > 0 => Some(Link::Alias(key, kept)),
                Link::Alias(..) => {
                    *aliases -= 1;
                    None
                }
            };
            *links = mem::take(links).into_iter().filter_map(stays).collect();
            !links.is_empty()
        });
        // Overflow handles, which follow, leave no trace: many keys shared one, so it says nothing about any of them.
        for (key, trace) in gone.iter().filter_map(Kept::trace) {
            self.forgotten.note(key, trace, limit);
        }
        let overflows = mem::take(&mut self.overflows).into_iter();
        self.overflows = overflows
            .filter_map(|(name, kept)| Some((name, unless_old(kept, &is_old, &mut gone)?)))
            .collect();
        gone
    }
}

/// Sets old handles aside. Until a handle is unreferenced, a thread that remembers it may take hold of it: then it
/// stays, or is put back.
fn unless_old<H: Handle>(
    kept: Arc<Kept<H>>,
    is_old: impl Fn(&Kept<H>) -> bool,
    gone: &mut Vec<Kept<H>>,
) -> Option<Arc<Kept<H>>> {
    if !is_old(&kept) {
        return Some(kept);
    }
    match Arc::try_unwrap(kept) {
        Err(held) => Some(held),
        Ok(called) if called.is_called() => Some(Arc::new(called)),
        Ok(old) => {
            gone.push(old);
            None
        }
    }
}
