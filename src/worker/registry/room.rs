//! Selects what leaves if there was no room for another context: first the contexts that nobody misses, then idle
//! gauges. Gauges leave in the order in which they were last set, and only as many as needed.

use super::{IDLE_FLUSHES_IN_A_CROWD, Registry, Tracked};
use crate::cell::Cell;
use crate::context::handle_cache::{GaugeId, HandleCaches, SpareGauges};
use crate::context::index::Index;
use crate::context::shortage::Shortage;
use std::cmp::Reverse;
use std::collections::HashSet;

impl Registry {
    /// Removes contexts from the index. Their cells are read once more at the flush that follows.
    pub(super) fn make_room(&mut self, shortage: &Shortage, index: &Index, handle_caches: &HandleCaches) {
        let mut missing = shortage.clone();
        for tracked in &self.contexts {
            if tracked.leaves_any_shortage(shortage) && index.remove(&tracked.context) {
                missing.note_room(&tracked.context);
            }
        }
        if !missing.is_any_missing() {
            return;
        }
        let chosen = self.choose_gauges(missing, &handle_caches.spare_gauges());
        let gauges: HashSet<_> = chosen.iter().filter_map(|tracked| tracked.gauge_id()).collect();
        handle_caches.release_gauges(&gauges);
        for tracked in chosen {
            // A context that was called or got a handle in the meantime stays.
            index.remove(&tracked.context);
        }
    }

    /// Returns as many gauges that may leave as are needed. The needs of single metrics come first, because they also
    /// make room in the client.
    fn choose_gauges(&self, mut missing: Shortage, spare: &SpareGauges) -> Vec<&Tracked> {
        let of_use = self.contexts.iter().filter(|tracked| missing.gains_by(&tracked.context));
        let idle = |tracked| Some((tracked, Tracked::idle_gauge(tracked, spare)?));
        let mut gauges: Vec<_> = of_use.filter_map(idle).collect();
        // Among gauges that were last set between the same two flushes, the oldest one leaves first.
        gauges.sort_by_key(|(_, idle_flushes)| Reverse(*idle_flushes));
        let mut chosen = Vec::new();
        for gains in [Shortage::metric_gains_by, Shortage::gains_by] {
            gauges.retain(|(tracked, _)| {
                let leaves = gains(&missing, &tracked.context);
                if leaves {
                    missing.note_room(&tracked.context);
                    chosen.push(*tracked);
                }
                !leaves
            });
        }
        chosen
    }
}

impl Tracked {
    /// Returns whether it leaves as soon as there is no room for others, because it sends nothing that would be missed.
    fn leaves_any_shortage(&self, shortage: &Shortage) -> bool {
        let context = &self.context;
        if context.is_retired() || context.is_called() || context.is_held() {
            return false;
        }
        // Dropping the last handle ended it, so it leaves in any case.
        let is_over = !self.by_name || matches!(context.cell, Cell::Gauge(_)) && context.is_registered();
        let is_idle = self.idle_flushes.saturating_add(1) >= IDLE_FLUSHES_IN_A_CROWD;
        let is_of_use = context.is_overflow() || shortage.gains_by(context);
        is_over || is_idle && is_of_use && !self.is_lasting_gauge()
    }

    /// Returns the number of flushes since a gauge was set, if only handle caches hold it and it was idle long enough
    /// to leave.
    fn idle_gauge(&self, spare: &SpareGauges) -> Option<u32> {
        let Cell::Gauge(cell) = &self.context.cell else { return None };
        if !self.is_lasting_gauge() || self.context.is_retired() || self.context.is_called() {
            return None;
        }
        let kept = spare.get(GaugeId::of(cell));
        let idle_flushes = match kept {
            Some(kept) if !self.context.is_held_beside(kept.handles) => kept.idle_flushes,
            None if !self.context.is_held() => self.idle_flushes.saturating_add(1),
            _ => return None,
        };
        (idle_flushes >= IDLE_FLUSHES_IN_A_CROWD).then_some(idle_flushes)
    }

    fn gauge_id(&self) -> Option<GaugeId> {
        if let Cell::Gauge(cell) = &self.context.cell { Some(GaugeId::of(cell)) } else { None }
    }
}
