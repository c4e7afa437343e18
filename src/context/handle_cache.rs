//! Caches of handles, for callers by name. They are notified of every flush, so that they can drop handles.

use crate::cell::GaugeCell;
use crate::context::index::Index;
use crate::context::shortage::Shortage;
use crate::process::fork::Freeze;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The data of a flush that handle caches need.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "for bridges, each of which is optional")]
pub(crate) struct FlushInfo<'a> {
    /// The clock's nanoseconds.
    pub(crate) now: u64,
    /// What was refused for lack of room.
    pub(crate) shortage: Option<&'a Shortage>,
    pub(crate) idle_gauges: IdleGauges,
    pub(crate) index: &'a Index,
}

#[allow(dead_code, reason = "for bridges, each of which is optional")]
impl FlushInfo<'_> {
    /// Returns whether a context with this name takes room from something that was refused.
    pub(crate) fn is_crowded(self, name: &str) -> bool {
        self.shortage.is_some_and(|shortage| shortage.concerns(&self.index.written_name(name)))
    }
}

/// The number of nanoseconds after which a gauge that was not set ends. `None` means never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdleGauges(pub(crate) Option<u64>);

impl IdleGauges {
    /// Returns whether a gauge that was last set at `set_at` has ended at `now`.
    pub(crate) fn end(self, set_at: u64, now: u64) -> bool {
        self.0.is_some_and(|most| now.saturating_sub(set_at) >= most)
    }
}

/// Identifies a gauge by the address of its cell, which is unique for as long as the cell is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GaugeId(usize);

impl GaugeId {
    pub(crate) fn of(cell: &Arc<GaugeCell>) -> Self {
        Self(Arc::as_ptr(cell).addr())
    }
}

/// Gauges that only handle caches hold, and that nothing else used since the last flush.
#[derive(Debug, Default)]
pub(crate) struct SpareGauges(HashMap<GaugeId, Spare>);

/// How a spare gauge is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spare {
    /// The number of handles that handle caches have of it.
    pub(crate) handles: usize,
    /// The number of flushes since it was last called.
    pub(crate) idle_flushes: u32,
}

impl SpareGauges {
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn add(&mut self, gauge: GaugeId, idle_flushes: u32) {
        let spare = self.0.entry(gauge).or_insert(Spare { handles: 0, idle_flushes });
        spare.handles += 1;
        spare.idle_flushes = spare.idle_flushes.min(idle_flushes);
    }

    pub(crate) fn get(&self, gauge: GaugeId) -> Option<Spare> {
        self.0.get(&gauge).copied()
    }
}

/// Holds handles on behalf of callers that have none. It lives beside the index, for as long as something refers to it.
pub(crate) trait HandleCache: Freeze {
    /// Runs at the start of a flush. Drops handles that were not used for a long time.
    fn on_flush(&self, flush: FlushInfo<'_>);

    /// Adds the gauges that could be dropped to make room.
    fn find_spare_gauges(&self, spare: &mut SpareGauges);

    /// Drops those gauges, unless they were called in the meantime.
    fn release_gauges(&self, gauges: &HashSet<GaugeId>);
}

/// The handle caches of a client.
#[derive(Default)]
pub(crate) struct HandleCaches(Mutex<Vec<Weak<dyn HandleCache>>>);

impl HandleCaches {
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn add(&self, handle_cache: Weak<dyn HandleCache>) {
        let mut known = self.freeze();
        known.retain(|known| known.strong_count() > 0);
        known.push(handle_cache);
    }

    /// Notifies each handle cache of a flush.
    pub(crate) fn on_flush(&self, flush: FlushInfo<'_>) {
        self.each(|handle_cache| handle_cache.on_flush(flush));
    }

    /// Returns the gauges that could be dropped to make room.
    pub(crate) fn spare_gauges(&self) -> SpareGauges {
        let mut spare = SpareGauges::default();
        self.each(|handle_cache| handle_cache.find_spare_gauges(&mut spare));
        spare
    }

    /// Makes the handle caches drop those gauges.
    pub(crate) fn release_gauges(&self, gauges: &HashSet<GaugeId>) {
        self.each(|handle_cache| handle_cache.release_gauges(gauges));
    }

    fn each(&self, mut act: impl FnMut(&dyn HandleCache)) {
        // The lock is released first, because a handle cache with no other reference is dropped here.
        let known: Vec<_> = present(&self.freeze()).collect();
        for handle_cache in known {
            act(&*handle_cache);
        }
    }

    /// Locks the list for as long as the returned guard lives.
    pub(crate) fn freeze(&self) -> MutexGuard<'_, Vec<Weak<dyn HandleCache>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the handle caches of a list that still exist.
pub(crate) fn present(known: &[Weak<dyn HandleCache>]) -> impl Iterator<Item = Arc<dyn HandleCache>> {
    known.iter().filter_map(Weak::upgrade)
}

impl std::fmt::Debug for HandleCaches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandleCaches").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::fork::Held;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Told(AtomicU32);

    impl Freeze for Told {
        fn freeze(&self) -> Box<dyn Held + '_> {
            Box::new(())
        }
    }

    impl HandleCache for Told {
        fn on_flush(&self, flush: FlushInfo<'_>) {
            self.0.fetch_add(if flush.shortage.is_some() { 100 } else { 1 }, Ordering::Relaxed);
        }

        fn find_spare_gauges(&self, spare: &mut SpareGauges) {
            spare.add(GaugeId(7), self.0.load(Ordering::Relaxed));
        }

        fn release_gauges(&self, _: &HashSet<GaugeId>) {}
    }

    #[test]
    fn each_is_told_for_as_long_as_it_lives() {
        let handle_caches = HandleCaches::default();
        let (first, second) = (Arc::new(Told::default()), Arc::new(Told::default()));
        handle_caches.add(Arc::downgrade(&first) as Weak<dyn HandleCache>);
        handle_caches.add(Arc::downgrade(&second) as Weak<dyn HandleCache>);
        let index = Index::of(10);
        let calm = FlushInfo { now: 0, shortage: None, idle_gauges: IdleGauges(None), index: &index };
        handle_caches.on_flush(calm);
        drop(first);
        handle_caches.on_flush(FlushInfo { shortage: Some(&Shortage::default()), ..calm });
        assert_eq!(second.0.load(Ordering::Relaxed), 101);
        assert_eq!(handle_caches.freeze().len(), 2);
        handle_caches.add(Arc::downgrade(&second) as Weak<dyn HandleCache>);
        assert_eq!(handle_caches.freeze().len(), 2, "what is gone makes room");
    }

    #[test]
    fn a_gauge_that_two_keep_is_as_old_as_its_last_call() {
        let handle_caches = HandleCaches::default();
        let [first, second] = [5, 3].map(|idle| Arc::new(Told(AtomicU32::new(idle))));
        handle_caches.add(Arc::downgrade(&first) as Weak<dyn HandleCache>);
        handle_caches.add(Arc::downgrade(&second) as Weak<dyn HandleCache>);
        let spare = handle_caches.spare_gauges().get(GaugeId(7)).unwrap();
        assert_eq!((spare.handles, spare.idle_flushes), (2, 3));
        assert!(handle_caches.spare_gauges().get(GaugeId(8)).is_none());
    }
}
