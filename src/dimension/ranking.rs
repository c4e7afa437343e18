//! Which values of a tag are the most frequent: read by callers without a lock, ranked by the worker.

use super::bounded::nth;
use crate::cell::{CounterBlock, CounterCell};
use crate::clock::Clock;
use crate::probe::Collect;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Candidates of a corner: a new one takes the place of the least seen of these.
const CORNER: usize = 4;
/// Corners: one for each place, and not fewer than these.
const MIN_CORNERS: usize = 64;
/// One in so many places may get another value in a half-life: each is a context more, for as long as the one before
/// is not forgotten.
const CHANGED: usize = 4;
/// A candidate takes the place of a value that was seen less than one time in so many of its own.
const LEAD: u64 = 2;

/// What callers see: which values, known by their hashes, have a place.
///
/// The orderings are `Relaxed` but for the table in use. A caller that reads a table while the worker fills it for the next
/// round may find that a value has no place, or still has one: it is sent either way.
pub(super) struct Board {
    // One in use, and one for the worker to fill.
    tables: [Table; 2],
    used: AtomicUsize,
    room: AtomicUsize,
    // Whoever gives away a place: callers try it and never wait.
    growth: Mutex<()>,
    candidates: Box<[[Candidate; CORNER]]>,
}

struct Table {
    // Hashes in open addressing, 0 for a free place.
    words: Box<[AtomicU64]>,
    calls: Box<[CounterCell]>,
}

#[derive(Default)]
struct Candidate {
    hash: AtomicU64,
    seen: AtomicU64,
}

impl Board {
    /// A board with that many places, some of them taken.
    pub(super) fn new(places: usize, pinned: &[u64]) -> Self {
        let len = (2 * places).next_power_of_two();
        let mut cells = CounterBlock::default();
        let mut table = || Table {
            words: (0..len).map(|_| AtomicU64::new(0)).collect(),
            calls: (0..len).map(|_| cells.cell()).collect(),
        };
        let tables = [table(), table()];
        for (table, hash) in tables.iter().flat_map(|table| pinned.iter().map(move |hash| (table, hash))) {
            table.insert(*hash);
        }
        let corners = places.max(MIN_CORNERS).next_power_of_two();
        Self {
            tables,
            used: AtomicUsize::new(0),
            room: AtomicUsize::new(places.saturating_sub(pinned.len())),
            growth: Mutex::new(()),
            candidates: (0..corners).map(|_| Default::default()).collect(),
        }
    }

    /// Whether a value has a place, or gets one now. Counts the call.
    #[inline]
    pub(super) fn keeps(&self, hash: u64) -> bool {
        match self.table().find(hash) {
            Some(calls) => {
                calls.add(1);
                true
            }
            None => self.admit(hash),
        }
    }

    #[inline(never)]
    fn admit(&self, hash: u64) -> bool {
        if self.room.load(Ordering::Relaxed) > 0 && self.take_place(hash) {
            return true;
        }
        self.note(hash);
        false
    }

    fn take_place(&self, hash: u64) -> bool {
        // Nothing panics under it; a poisoned one would be as good.
        let _growing = match self.growth.try_lock() {
            Ok(lock) => lock,
            Err(TryLockError::Poisoned(lock)) => lock.into_inner(),
            // Someone else takes a place, or the worker deals them anew.
            Err(TryLockError::WouldBlock) => return false,
        };
        let table = self.table();
        if table.find(hash).is_none() {
            let Some(room) = self.room.load(Ordering::Relaxed).checked_sub(1) else { return false };
            self.room.store(room, Ordering::Relaxed);
            table.insert(hash);
        }
        if let Some(calls) = table.find(hash) {
            calls.add(1);
        }
        true
    }

    /// Counts a call of a value without a place.
    ///
    /// Of two threads in one corner one may be counted for the other's value, or not at all: it is an estimate.
    fn note(&self, hash: u64) {
        let Some(corner) = self.candidates.get(nth(hash, 0, self.candidates.len())) else { return };
        if let Some(known) = corner.iter().find(|known| known.hash.load(Ordering::Relaxed) == hash) {
            known.seen.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Which of several equals goes is left to chance, so that none stays for standing in a good spot.
        let turn = corner.iter().cycle().skip(nth(hash.rotate_left(32), 0, CORNER)).take(CORNER);
        let Some(least) = turn.min_by_key(|known| known.seen.load(Ordering::Relaxed)) else { return };
        // It pays with one of its calls for each of a stranger's, and goes when it has none left: values that come once
        // drive each other out, and not those that come again.
        let seen = least.seen.load(Ordering::Relaxed);
        if seen == 0 {
            least.hash.store(hash, Ordering::Relaxed);
        }
        least.seen.store(if seen == 0 { 1 } else { seen - 1 }, Ordering::Relaxed);
    }

    #[inline]
    fn table(&self) -> &Table {
        // Acquire pairs with the Release of `publish`: a caller that sees the new table sees what is in it.
        let [first, second] = &self.tables;
        if self.used.load(Ordering::Acquire) == 0 { first } else { second }
    }

    fn spare(&self) -> &Table {
        let [first, second] = &self.tables;
        if self.used.load(Ordering::Relaxed) == 0 { second } else { first }
    }

    fn publish(&self, room: usize) {
        let next = 1 - self.used.load(Ordering::Relaxed).min(1);
        self.used.store(next, Ordering::Release);
        self.room.store(room, Ordering::Relaxed);
    }
}

impl Table {
    #[inline]
    fn find(&self, hash: u64) -> Option<&CounterCell> {
        for step in 0..self.words.len() {
            let place = nth(hash, step, self.words.len());
            match self.words.get(place)?.load(Ordering::Relaxed) {
                found if found == hash => return self.calls.get(place),
                0 => return None,
                _ => {}
            }
        }
        None
    }

    /// Fills the first free place on the hash's way; only ever called by one thread at a time.
    fn insert(&self, hash: u64) {
        let len = self.words.len();
        let mut way = (0..len).filter_map(|step| self.words.get(nth(hash, step, len)));
        if let Some(free) = way.find(|word| [0, hash].contains(&word.load(Ordering::Relaxed))) {
            free.store(hash, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("room", &self.room).finish_non_exhaustive()
    }
}

/// A value and how often it was seen lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranked {
    hash: u64,
    seen: u64,
}

/// The worker's side: deals the places anew every half-life.
pub(super) struct Ranking {
    board: Arc<Board>,
    // Sorted.
    pinned: Vec<u64>,
    places: usize,
    half_life: u64,
    clock: Clock,
    due: u64,
    // Of the table in use: what was seen before, sorted by hash, and where each place's count stood.
    before: Vec<Ranked>,
    counted: Vec<u64>,
    // Free places when they were dealt last, and how many of them were given up by a value.
    room: usize,
    given_up: usize,
}

impl Ranking {
    pub(super) fn new(
        board: Arc<Board>,
        mut pinned: Vec<u64>,
        places: usize,
        half_life: u64,
        clock: Clock,
    ) -> Self {
        pinned.sort_unstable();
        let due = clock.now().saturating_add(half_life);
        let counted = vec![0; board.table().calls.len()];
        let room = board.room.load(Ordering::Relaxed);
        Self { board, pinned, places, half_life, clock, due, before: Vec::new(), counted, room, given_up: 0 }
    }

    fn deal(&mut self) {
        let board = Arc::clone(&self.board);
        let _dealing = board.growth.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.unused(&board);
        let mut kept = self.kept(board.table());
        kept.retain(|value| value.seen > 0);
        let mut candidates = take_candidates(&board);
        candidates.sort_unstable_by_key(|candidate| candidate.seen);
        let given_up = self.places.saturating_sub(self.pinned.len() + kept.len() + unused);
        let mut changes = (self.places / CHANGED).max(1);
        let filled = given_up.min(changes).min(candidates.len());
        let newcomers = candidates.split_off(candidates.len() - filled);
        changes -= filled;
        changes -= swap(&mut kept, &mut candidates, changes);
        kept.extend(newcomers);
        // What is left of both goes to who comes first.
        self.given_up = (given_up - filled).min(changes);
        // Whoever gets no place stays a candidate, at half its count.
        for candidate in candidates {
            give_back(&board, Ranked { seen: candidate.seen / 2, ..candidate });
        }
        self.show(&board, &kept, unused);
        kept.sort_unstable_by_key(|value| value.hash);
        self.before = kept;
    }

    /// All values with a place of their own making, and how often they were seen.
    fn kept(&self, table: &Table) -> Vec<Ranked> {
        let words = table.words.iter().zip(&table.calls).zip(&self.counted);
        words
            .filter_map(|((word, calls), counted)| {
                let hash = word.load(Ordering::Relaxed);
                let seen = self.seen_before(hash) / 2 + calls.sum().wrapping_sub(*counted);
                let is_pinned = self.pinned.binary_search(&hash).is_ok();
                (hash != 0 && !is_pinned).then_some(Ranked { hash, seen })
            })
            .collect()
    }

    fn seen_before(&self, hash: u64) -> u64 {
        let place = self.before.binary_search_by_key(&hash, |value| value.hash);
        place.ok().and_then(|place| self.before.get(place)).map_or(0, |value| value.seen)
    }

    /// Places that nobody ever had: those that were given up are taken before them.
    fn unused(&self, board: &Board) -> usize {
        let taken = self.room.saturating_sub(board.room.load(Ordering::Relaxed));
        (self.room - self.given_up.min(self.room)).saturating_sub(taken.saturating_sub(self.given_up))
    }

    /// Fills the spare table and has callers use it.
    fn show(&mut self, board: &Board, kept: &[Ranked], unused: usize) {
        let spare = board.spare();
        for word in &spare.words {
            word.store(0, Ordering::Relaxed);
        }
        self.counted = spare.calls.iter().map(CounterCell::sum).collect();
        for hash in self.pinned.iter().copied().chain(kept.iter().map(|value| value.hash)) {
            spare.insert(hash);
        }
        self.room = unused + self.given_up;
        board.publish(self.room);
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

/// Gives places to candidates that are well ahead, and says how many. `candidates` end with the most frequent.
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

/// Empties the corners.
fn take_candidates(board: &Board) -> Vec<Ranked> {
    let all = board.candidates.iter().flatten();
    all.filter_map(|candidate| {
        let seen = candidate.seen.swap(0, Ordering::Relaxed);
        let hash = candidate.hash.swap(0, Ordering::Relaxed);
        (hash != 0 && seen != 0).then_some(Ranked { hash, seen })
    })
    .collect()
}

/// Puts a candidate back, unless its corner filled up in the meantime.
fn give_back(board: &Board, candidate: Ranked) {
    let Some(corner) = board.candidates.get(nth(candidate.hash, 0, board.candidates.len())) else { return };
    if let Some(free) = corner.iter().find(|free| free.seen.load(Ordering::Relaxed) == 0) {
        free.hash.store(candidate.hash, Ordering::Relaxed);
        free.seen.store(candidate.seen, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(board: &Board, hash: u64) -> u64 {
        let mut all = board.candidates.iter().flatten();
        let known = all.find(|candidate| candidate.hash.load(Ordering::Relaxed) == hash);
        known.map_or(0, |candidate| candidate.seen.load(Ordering::Relaxed))
    }

    /// Hashes that meet in one corner, in whatever order.
    fn strangers() -> impl Iterator<Item = u64> {
        (1..=u64::from(u32::MAX)).map(|n| n.wrapping_mul(2_654_435_761) & u64::from(u32::MAX))
    }

    #[test]
    fn who_comes_again_is_known_among_many_who_come_once() {
        let board = Board::new(1, &[]);
        let mut strangers = strangers();
        strangers.by_ref().take(100).for_each(|stranger| board.note(stranger));
        let regular = u64::from(u32::MAX);
        for _ in 0..500 {
            board.note(regular);
            strangers.by_ref().take(6).for_each(|stranger| board.note(stranger));
        }
        assert!((400..=500).contains(&seen(&board, regular)), "{}", seen(&board, regular));
    }

    #[test]
    fn a_stranger_costs_the_least_seen_one_call() {
        let board = Board::new(1, &[]);
        for (hash, times) in [(1, 10), (2, 20), (3, 30), (4, 5)] {
            (0..times).for_each(|_| board.note(hash));
        }
        board.note(5);
        assert_eq!([1, 2, 3, 4, 5].map(|hash| seen(&board, hash)), [10, 20, 30, 4, 0]);
        (0..5).for_each(|_| board.note(5));
        assert_eq!([1, 2, 3, 4, 5].map(|hash| seen(&board, hash)), [10, 20, 30, 0, 1]);
    }
}
