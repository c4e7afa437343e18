//! Keepers hold handles for callers by name. They are notified of every flush, so that they can drop handles.

use crate::cell::GaugeCell;
use crate::context::crowd::Crowd;
use crate::context::index::Index;
use crate::process::fork::Freeze;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The data of a flush that keepers need.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "for bridges, each of which is optional")]
pub(crate) struct Tidying<'a> {
    /// The clock's nanoseconds.
    pub(crate) now: u64,
    /// What was refused for lack of room.
    pub(crate) crowd: Option<&'a Crowd>,
    pub(crate) idle_gauges: IdleGauges,
    pub(crate) index: &'a Index,
}

#[allow(dead_code, reason = "for bridges, each of which is optional")]
impl Tidying<'_> {
    /// Returns whether a context with this name takes room from something that was refused.
    pub(crate) fn is_crowded(self, name: &str) -> bool {
        self.crowd.is_some_and(|crowd| crowd.concerns(&self.index.written_name(name)))
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

/// Gauges that only keepers hold, and that nothing else used since the last flush.
#[derive(Debug, Default)]
pub(crate) struct SpareGauges(HashMap<GaugeId, Spare>);

/// How a spare gauge is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spare {
    /// The number of handles that keepers have of it.
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
pub(crate) trait Keep: Freeze {
    /// Runs at the start of a flush. Drops handles that were not used for a long time.
    fn tidy(&self, flush: Tidying<'_>);

    /// Adds the gauges that could be dropped to make room.
    fn find_spare_gauges(&self, spare: &mut SpareGauges);

    /// Drops those gauges, unless they were called in the meantime.
    fn release_gauges(&self, gauges: &HashSet<GaugeId>);
}

/// The keepers of a client.
#[derive(Default)]
pub(crate) struct Keepers(Mutex<Vec<Weak<dyn Keep>>>);

impl Keepers {
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn add(&self, keeper: Weak<dyn Keep>) {
        let mut known = self.freeze();
        known.retain(|known| known.strong_count() > 0);
        known.push(keeper);
    }

    /// Notifies each keeper of a flush.
    pub(crate) fn tidy(&self, flush: Tidying<'_>) {
        self.each(|keeper| keeper.tidy(flush));
    }

    /// Returns the gauges that could be dropped to make room.
    pub(crate) fn spare_gauges(&self) -> SpareGauges {
        let mut spare = SpareGauges::default();
        self.each(|keeper| keeper.find_spare_gauges(&mut spare));
        spare
    }

    /// Makes the keepers drop those gauges.
    pub(crate) fn release_gauges(&self, gauges: &HashSet<GaugeId>) {
        self.each(|keeper| keeper.release_gauges(gauges));
    }

    fn each(&self, mut act: impl FnMut(&dyn Keep)) {
        // The lock is released first, because a keeper with no other reference is dropped here.
        let known: Vec<_> = present(&self.freeze()).collect();
        for keeper in known {
            act(&*keeper);
        }
    }

    /// Locks the list for as long as the returned guard lives.
    pub(crate) fn freeze(&self) -> MutexGuard<'_, Vec<Weak<dyn Keep>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the keepers of a list that still exist.
pub(crate) fn present(known: &[Weak<dyn Keep>]) -> impl Iterator<Item = Arc<dyn Keep>> {
    known.iter().filter_map(Weak::upgrade)
}

impl std::fmt::Debug for Keepers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keepers").finish_non_exhaustive()
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

    impl Keep for Told {
        fn tidy(&self, flush: Tidying<'_>) {
            self.0.fetch_add(if flush.crowd.is_some() { 100 } else { 1 }, Ordering::Relaxed);
        }

        fn find_spare_gauges(&self, spare: &mut SpareGauges) {
            spare.add(GaugeId(7), self.0.load(Ordering::Relaxed));
        }

        fn release_gauges(&self, _: &HashSet<GaugeId>) {}
    }

    #[test]
    fn each_is_told_for_as_long_as_it_lives() {
        let keepers = Keepers::default();
        let (first, second) = (Arc::new(Told::default()), Arc::new(Told::default()));
        keepers.add(Arc::downgrade(&first) as Weak<dyn Keep>);
        keepers.add(Arc::downgrade(&second) as Weak<dyn Keep>);
        let index = Index::of(10);
        let calm = Tidying { now: 0, crowd: None, idle_gauges: IdleGauges(None), index: &index };
        keepers.tidy(calm);
        drop(first);
        keepers.tidy(Tidying { crowd: Some(&Crowd::default()), ..calm });
        assert_eq!(second.0.load(Ordering::Relaxed), 101);
        assert_eq!(keepers.freeze().len(), 2);
        keepers.add(Arc::downgrade(&second) as Weak<dyn Keep>);
        assert_eq!(keepers.freeze().len(), 2, "what is gone makes room");
    }

    #[test]
    fn a_gauge_that_two_keep_is_as_old_as_its_last_call() {
        let keepers = Keepers::default();
        let [first, second] = [5, 3].map(|idle| Arc::new(Told(AtomicU32::new(idle))));
        keepers.add(Arc::downgrade(&first) as Weak<dyn Keep>);
        keepers.add(Arc::downgrade(&second) as Weak<dyn Keep>);
        let spare = keepers.spare_gauges().get(GaugeId(7)).unwrap();
        assert_eq!((spare.handles, spare.idle_flushes), (2, 3));
        assert!(keepers.spare_gauges().get(GaugeId(8)).is_none());
    }
}
