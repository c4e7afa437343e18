//! The values of a tag that have a slot. Callers read them without a lock.

use super::candidates::Candidates;
use crate::cell::CounterGrid;
use crate::process::fork::{self, PerProcess};
use crate::process::sync::wide::AtomicU64;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Up to this number of slots, the table has eight times as many entries.
const FEW_SLOTS: usize = 1024;
const MIN_LEN: usize = 32;

/// The values that have a slot, by their hashes, as callers see them.
///
/// All orderings are `Relaxed` except that of the table in use. A caller that reads a table while the worker refills it
/// may find that a value has no slot, or still has one. The value is sent in both cases.
pub(super) struct SlotTable {
    // Two hash tables with open addressing, in which 0 marks a free entry: one in use, and one for the worker to fill.
    // A value whose hash is 0, one in 2^64, is let through without a slot. Two values with one hash would share a slot
    // and nothing else, because the call by name tells them apart.
    words: Box<[AtomicU64]>,
    // The number of calls per entry, for both tables. A value that keeps its slot is mostly at the same entry in both.
    calls: CounterGrid,
    // The number of entries of a table minus one. The number is a power of two.
    mask: usize,
    // The index at which the table in use begins.
    used: AtomicUsize,
    room: AtomicUsize,
    // The lock for assigning a slot. Callers try to take it and never wait.
    growth: PerProcess<Mutex<()>>,
    places: usize,
    /// The values that may get a slot.
    pub(super) candidates: Candidates,
}

impl SlotTable {
    /// Creates a slot table with that many slots, of which some are taken.
    pub(super) fn new(places: usize, pinned: &[u64]) -> Self {
        // Few values without a slot need a second look at the table. A large table gets the same number of slots at
        // half the memory.
        let len = (2 * places).max(8 * places.min(FEW_SLOTS)).max(MIN_LEN).next_power_of_two();
        let slot_table = Self {
            words: (0..2 * len).map(|_| AtomicU64::new(0)).collect(),
            calls: CounterGrid::new(len),
            mask: len - 1,
            used: AtomicUsize::new(0),
            room: AtomicUsize::new(places.saturating_sub(pinned.len())),
            growth: PerProcess::new(Mutex::new(())),
            places,
            candidates: Candidates::new(places),
        };
        for hash in pinned {
            slot_table.insert(0, *hash);
        }
        slot_table
    }

    /// Runs in a forked child before it assigns slots. Another thread of the parent may have been assigning one at the
    /// fork.
    pub(super) fn start_over(&self) {
        self.growth.renew(Mutex::new(()));
        let taken = self.values().filter(|(hash, _)| *hash != 0).count();
        self.room.store(self.places.saturating_sub(taken), Ordering::Relaxed);
        self.candidates.start_over();
    }

    /// Returns whether a value has a slot, and counts the call if so.
    #[inline]
    pub(super) fn keeps(&self, hash: u64) -> bool {
        let found = self.find(hash);
        found.inspect(|place| self.calls.add_one(*place)).is_some()
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Returns whether a value gets a slot now, and counts the call if so.
    #[cold]
    pub(super) fn take_slot(&self, hash: u64) -> bool {
        fork::check();
        // Nothing panics while holding the lock, so a poisoned lock is still consistent.
        let _growing = match self.growth.get().try_lock() {
            Ok(lock) => lock,
            Err(TryLockError::Poisoned(lock)) => lock.into_inner(),
            // Another thread is assigning a slot, or the worker is reassigning all of them.
            Err(TryLockError::WouldBlock) => return false,
        };
        if self.find(hash).is_none() {
            let Some(room) = self.room.load(Ordering::Relaxed).checked_sub(1) else { return false };
            self.room.store(room, Ordering::Relaxed);
            self.insert(self.used(), hash);
        }
        self.keeps(hash)
    }

    /// No value gets a slot until the returned guard is dropped. The worker calls this, and waits for a caller that is
    /// assigning a slot.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.growth.get().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of free slots.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    /// Iterates over the entries of the table in use: the hash, or 0 for a free entry, and the number of calls so far.
    pub(super) fn values(&self) -> impl Iterator<Item = (u64, u64)> {
        let words = self.table(self.used()).enumerate();
        words.map(|(place, word)| (word.load(Ordering::Relaxed), self.calls.sum(place)))
    }

    /// Assigns the slots to these values while the slot table is [held](Self::hold): fills the spare table, and
    /// switches callers to it.
    pub(super) fn deal(&self, hashes: impl Iterator<Item = u64>, room: usize) {
        let spare = (self.mask + 1).saturating_sub(self.used.load(Ordering::Relaxed));
        self.table(spare).for_each(|word| word.store(0, Ordering::Relaxed));
        hashes.for_each(|hash| self.insert(spare, hash));
        // This Release ensures that a thread which sees the new table also sees its contents.
        self.used.store(spare, Ordering::Release);
        self.room.store(room, Ordering::Relaxed);
    }

    #[inline]
    fn used(&self) -> usize {
        // This Acquire pairs with the Release of `deal`.
        self.used.load(Ordering::Acquire)
    }

    /// Returns the entry of a hash in the table in use.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        // Nearly all hashes are in one of the first two entries of their probe sequence.
        let (table, place) = (self.used(), top(hash) & self.mask);
        match self.words.get(table + place)?.load(Ordering::Relaxed) {
            found if found == hash => return Some(place),
            0 => return None,
            _ => {}
        }
        match self.words.get(table + (place ^ 1))?.load(Ordering::Relaxed) {
            found if found == hash => Some(place ^ 1),
            0 => None,
            _ => self.find_further(table, hash),
        }
    }

    #[inline(never)]
    fn find_further(&self, table: usize, hash: u64) -> Option<usize> {
        for place in self.way(hash).skip(2) {
            match self.words.get(table + place)?.load(Ordering::Relaxed) {
                found if found == hash => return Some(place),
                0 => return None,
                _ => {}
            }
        }
        None
    }

    /// Returns the probe sequence of a hash, in pairs of entries that share a cache line.
    fn way(&self, hash: u64) -> impl Iterator<Item = usize> {
        let (first, mask) = (top(hash), self.mask);
        (0..=mask).map(move |step| first.wrapping_add(step & !1) & mask ^ (step & 1))
    }

    /// Fills the first free entry in the hash's probe sequence. Only one thread at a time calls this.
    fn insert(&self, table: usize, hash: u64) {
        let mut way = self.way(hash).filter_map(|place| self.words.get(table + place));
        if let Some(free) = way.find(|word| [0, hash].contains(&word.load(Ordering::Relaxed))) {
            free.store(hash, Ordering::Relaxed);
        }
    }

    /// Iterates over the entries of the table that begins at this index.
    fn table(&self, begin: usize) -> impl Iterator<Item = &AtomicU64> {
        self.words.iter().skip(begin).take(self.mask + 1)
    }
}

/// The upper bits of a hash are mixed better.
#[inline]
fn top(hash: u64) -> usize {
    (hash >> 32) as usize
}

impl fmt::Debug for SlotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotTable").field("room", &self.room).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_begin_at_one_place_are_all_found_and_fill_the_table_to_the_last() {
        for first in [0, 5, 30, 31] {
            let hashes: Vec<u64> = (1..=MIN_LEN as u64).map(|n| first << 32 | n).collect();
            let slot_table = SlotTable::new(1, &hashes);
            assert_eq!(slot_table.mask + 1, MIN_LEN);
            assert!(hashes.iter().all(|hash| slot_table.keeps(*hash)), "{first}");
            assert!(!slot_table.keeps(first << 32 | 0xff));
            assert!(slot_table.values().all(|(_, calls)| calls == 1));
        }
    }
}
