//! Assigns a tag's slots to the most frequent values. This is the worker's side.

use super::candidates::Ranked;
use super::slot_table::SlotTable;
use crate::callback::probe::Collect;
use crate::process::clock::Clock;
use std::sync::Arc;

/// At most one slot in this number may change its value in a half-life. Each change costs one more context until the
/// previous one is forgotten.
const CHANGED: usize = 4;
/// A candidate takes the slot of a value if it was seen more than this many times as often.
const LEAD: u64 = 2;

/// The worker's side, which reassigns the slots every half-life.
pub(super) struct Ranking {
    slot_table: Arc<SlotTable>,
    // The pinned hashes, sorted.
    pinned: Vec<u64>,
    places: usize,
    half_life: u64,
    clock: Clock,
    due: u64,
    // The counts before this half-life, sorted by hash, and the count of each entry at its start.
    before: Vec<Ranked>,
    counted: Vec<u64>,
    // The number of free slots at the last assignment, and how many of them a value had given up.
    room: usize,
    given_up: usize,
}

impl Ranking {
    pub(super) fn new(
        slot_table: Arc<SlotTable>,
        mut pinned: Vec<u64>,
        places: usize,
        half_life: u64,
        clock: Clock,
    ) -> Self {
        pinned.sort_unstable();
        let due = clock.now().saturating_add(half_life);
        let (counted, room) = (slot_table.values().map(|(_, calls)| calls).collect(), slot_table.room());
        Self {
            slot_table,
            pinned,
            places,
            half_life,
            clock,
            due,
            before: Vec::new(),
            counted,
            room,
            given_up: 0,
        }
    }

    fn deal(&mut self) {
        let slot_table = Arc::clone(&self.slot_table);
        let _dealing = slot_table.hold();
        let unused = self.unused(&slot_table);
        let values: Vec<_> = slot_table.values().collect();
        let mut kept = self.kept(&values);
        kept.retain(|value| value.seen > 0);
        let mut candidates = slot_table.candidates.take_all();
        candidates.sort_unstable_by_key(|candidate| candidate.seen);
        let given_up = self.places.saturating_sub(self.pinned.len() + kept.len() + unused);
        let mut changes = (self.places / CHANGED).max(1);
        let filled = given_up.min(changes).min(candidates.len());
        let newcomers = candidates.split_off(candidates.len() - filled);
        changes -= filled;
        changes -= swap(&mut kept, &mut candidates, changes);
        kept.extend(newcomers);
        // What is left of both goes to the next new values.
        self.given_up = (given_up - filled).min(changes);
        // A value without a slot stays a candidate, with half its count.
        for candidate in candidates {
            slot_table.candidates.give_back(Ranked { seen: candidate.seen / 2, ..candidate });
        }
        self.room = unused + self.given_up;
        let holders = self.pinned.iter().copied().chain(kept.iter().map(|value| value.hash));
        slot_table.deal(holders, self.room);
        self.counted = values.into_iter().map(|(_, calls)| calls).collect();
        kept.sort_unstable_by_key(|value| value.hash);
        self.before = kept;
    }

    /// Returns all values that are not pinned and have a slot, and how often they were seen.
    fn kept(&self, values: &[(u64, u64)]) -> Vec<Ranked> {
        values
            .iter()
            .zip(&self.counted)
            .filter_map(|(&(hash, calls), counted)| {
                let seen = self.seen_before(hash) / 2 + calls.wrapping_sub(*counted);
                let is_pinned = self.pinned.binary_search(&hash).is_ok();
                (hash != 0 && !is_pinned).then_some(Ranked { hash, seen })
            })
            .collect()
    }

    fn seen_before(&self, hash: u64) -> u64 {
        let place = self.before.binary_search_by_key(&hash, |value| value.hash);
        place.ok().and_then(|place| self.before.get(place)).map_or(0, |value| value.seen)
    }

    /// Returns the number of slots that were never used. Slots that were given up are reused first.
    fn unused(&self, slot_table: &SlotTable) -> usize {
        let taken = self.room.saturating_sub(slot_table.room());
        (self.room - self.given_up.min(self.room)).saturating_sub(taken.saturating_sub(self.given_up))
    }
}

impl Collect for Ranking {
    fn collect(&mut self) {
        let now = self.clock.now();
        if now >= self.due {
            self.due = now.saturating_add(self.half_life);
            self.deal();
        }
    }
}

/// Gives slots to candidates that are well ahead, and returns their number. `candidates` must end with the most
/// frequent ones.
fn swap(kept: &mut [Ranked], candidates: &mut Vec<Ranked>, most: usize) -> usize {
    kept.sort_unstable_by_key(|value| value.seen);
    let mut swapped = 0;
    for value in kept.iter_mut().take(most) {
        let ahead = |candidate: &mut Ranked| candidate.seen > value.seen.saturating_mul(LEAD);
        let Some(candidate) = candidates.pop_if(ahead) else { break };
        *value = candidate;
        swapped += 1;
    }
    swapped
}
