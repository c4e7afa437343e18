//! Which values of a tag have a place: read by callers without a lock.

use super::candidates::Candidates;
use crate::cell::CounterGrid;
use crate::process::fork::{self, PerProcess};
use crate::process::sync::wide::AtomicU64;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Places of a table that are an eighth of it.
const FEW_PLACES: usize = 1024;
const MIN_LEN: usize = 32;

/// What callers see: which values, known by their hashes, have a place.
///
/// The orderings are `Relaxed` but for the table in use. A caller that reads a table while the worker fills it for the next
/// round may find that a value has no place, or still has one: it is sent either way.
pub(super) struct Board {
    // Hashes in open addressing, 0 for a free place: a table in use, and one for the worker to fill. A value that has 0 for
    // its own, one in 2^64, needs no place to be let through. Two values of one hash would share a place and no more:
    // the call by name tells them apart.
    words: Box<[AtomicU64]>,
    // How often each was called, whichever table is in use: a value that keeps its place is mostly where it was.
    calls: CounterGrid,
    // Places of a table, less one: a power of two is.
    mask: usize,
    // Where the table in use begins.
    used: AtomicUsize,
    room: AtomicUsize,
    // Whoever gives away a place: callers try it and never wait.
    growth: PerProcess<Mutex<()>>,
    places: usize,
    /// Those that may get a place.
    pub(super) candidates: Candidates,
}

impl Board {
    /// A board with that many places, some of them taken.
    pub(super) fn new(places: usize, pinned: &[u64]) -> Self {
        // Few of those without a place are looked for twice; a large table has the same room at half the memory.
        let len = (2 * places).max(8 * places.min(FEW_PLACES)).max(MIN_LEN).next_power_of_two();
        let board = Self {
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
            board.insert(0, *hash);
        }
        board
    }

    /// In a forked child, before it takes or deals a place: another thread of the parent may have been at that.
    pub(super) fn start_over(&self) {
        self.growth.renew(Mutex::new(()));
        let taken = self.values().filter(|(hash, _)| *hash != 0).count();
        self.room.store(self.places.saturating_sub(taken), Ordering::Relaxed);
        self.candidates.start_over();
    }

    /// Whether a value has a place. Counts the call then.
    #[inline]
    pub(super) fn keeps(&self, hash: u64) -> bool {
        let found = self.find(hash);
        found.inspect(|place| self.calls.add_one(*place)).is_some()
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Whether a value gets a place now. Counts the call then.
    #[cold]
    pub(super) fn take_place(&self, hash: u64) -> bool {
        fork::check();
        // Nothing panics under it; a poisoned one would be as good.
        let _growing = match self.growth.get().try_lock() {
            Ok(lock) => lock,
            Err(TryLockError::Poisoned(lock)) => lock.into_inner(),
            // Someone else takes a place, or the worker deals them anew.
            Err(TryLockError::WouldBlock) => return false,
        };
        if self.find(hash).is_none() {
            let Some(room) = self.room.load(Ordering::Relaxed).checked_sub(1) else { return false };
            self.room.store(room, Ordering::Relaxed);
            self.insert(self.used(), hash);
        }
        self.keeps(hash)
    }

    /// Nobody gets a place until the answer is dropped. For the worker: it waits for a caller that is about to take one.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.growth.get().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Places that nobody has.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.room.load(Ordering::Relaxed)
    }

    /// The places of the table in use: hashes, 0 for a free one, and how often each was called so far.
    pub(super) fn values(&self) -> impl Iterator<Item = (u64, u64)> {
        let words = self.table(self.used()).enumerate();
        words.map(|(place, word)| (word.load(Ordering::Relaxed), self.calls.sum(place)))
    }

    /// Gives the places to these, while it is [held](Self::hold): fills the spare table and has callers use it.
    pub(super) fn deal(&self, hashes: impl Iterator<Item = u64>, room: usize) {
        let spare = (self.mask + 1).saturating_sub(self.used.load(Ordering::Relaxed));
        self.table(spare).for_each(|word| word.store(0, Ordering::Relaxed));
        hashes.for_each(|hash| self.insert(spare, hash));
        // Release: whoever sees the new table sees what is in it.
        self.used.store(spare, Ordering::Release);
        self.room.store(room, Ordering::Relaxed);
    }

    #[inline]
    fn used(&self) -> usize {
        // Pairs with the Release of `deal`.
        self.used.load(Ordering::Acquire)
    }

    /// The place of a hash in the table in use.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        // Nearly all are in one of the two places where they are looked for first.
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

    /// The places where a hash may be, in the order in which it is looked for: by twos that share a cache line.
    fn way(&self, hash: u64) -> impl Iterator<Item = usize> {
        let (first, mask) = (top(hash), self.mask);
        (0..=mask).map(move |step| first.wrapping_add(step & !1) & mask ^ (step & 1))
    }

    /// Fills the first free place on the hash's way; only ever called by one thread at a time.
    fn insert(&self, table: usize, hash: u64) {
        let mut way = self.way(hash).filter_map(|place| self.words.get(table + place));
        if let Some(free) = way.find(|word| [0, hash].contains(&word.load(Ordering::Relaxed))) {
            free.store(hash, Ordering::Relaxed);
        }
    }

    /// The places of the table that begins there.
    fn table(&self, begin: usize) -> impl Iterator<Item = &AtomicU64> {
        self.words.iter().skip(begin).take(self.mask + 1)
    }
}

/// The upper bits of a hash are the better mixed ones.
#[inline]
fn top(hash: u64) -> usize {
    (hash >> 32) as usize
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("room", &self.room).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_that_begin_at_one_place_are_all_found_and_fill_the_table_to_the_last() {
        for first in [0, 5, 30, 31] {
            let hashes: Vec<u64> = (1..=MIN_LEN as u64).map(|n| first << 32 | n).collect();
            let board = Board::new(1, &hashes);
            assert_eq!(board.mask + 1, MIN_LEN);
            assert!(hashes.iter().all(|hash| board.keeps(*hash)), "{first}");
            assert!(!board.keeps(first << 32 | 0xff));
            assert!(board.values().all(|(_, calls)| calls == 1));
        }
    }
}
