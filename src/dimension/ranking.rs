//! Which values of a tag are the most frequent: read by callers without a lock, ranked by the worker.

use super::hearing::Hearing;
use super::places::nth;
use crate::cell::CounterGrid;
use crate::clock::Clock;
use crate::fork::{self, PerProcess};
use crate::probe::Collect;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Candidates of a corner: a new one takes the place of the least seen of these.
const CORNER: usize = 4;
/// Corners: one for each place, and not fewer than these.
const MIN_CORNERS: usize = 64;
/// Places of a table that are a quarter of it.
const FEW_PLACES: usize = 1024;
const MIN_LEN: usize = 32;
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
    // Hashes in open addressing, 0 for a free place: a table in use, and one for the worker to fill. A value that has 0 for
    // its own, one in 2^64, needs no place to be let through. Two values of one hash would share a place and no more:
    // the call by name tells them apart.
    words: Box<[AtomicU64]>,
    // How often each was called.
    calls: CounterGrid,
    // Places of a table, less one: a power of two is.
    mask: usize,
    // Where the table in use begins.
    used: AtomicUsize,
    room: AtomicUsize,
    // Whoever gives away a place: callers try it and never wait.
    growth: PerProcess<Mutex<()>>,
    places: usize,
    candidates: Box<[[Candidate; CORNER]]>,
    hearing: Hearing,
}

#[derive(Default)]
struct Candidate {
    hash: AtomicU64,
    seen: AtomicU64,
}

impl Board {
    /// A board with that many places, some of them taken.
    pub(super) fn new(places: usize, pinned: &[u64]) -> Self {
        // Few of those without a place are looked for twice; a large table has the same room at half the memory.
        let len = (2 * places).max(4 * places.min(FEW_PLACES)).max(MIN_LEN).next_power_of_two();
        let corners = places.max(MIN_CORNERS).next_power_of_two();
        let board = Self {
            words: (0..2 * len).map(|_| AtomicU64::new(0)).collect(),
            calls: CounterGrid::new(2 * len),
            mask: len - 1,
            used: AtomicUsize::new(0),
            room: AtomicUsize::new(places.saturating_sub(pinned.len())),
            growth: PerProcess::new(Mutex::new(())),
            places,
            candidates: (0..corners).map(|_| Default::default()).collect(),
            hearing: Hearing::new(corners),
        };
        for hash in pinned {
            board.insert(0, *hash);
        }
        board
    }

    /// In a forked child, before it takes or deals a place: another thread of the parent may have been at that.
    pub(super) fn start_over(&self) {
        self.growth.renew(Mutex::new(()));
        let taken = self.table(self.used()).filter(|(word, _)| word.load(Ordering::Relaxed) != 0).count();
        self.room.store(self.places.saturating_sub(taken), Ordering::Relaxed);
        self.hearing.start_over();
    }

    /// Whether a value has a place. Counts the call then.
    #[inline]
    pub(super) fn keeps(&self, hash: u64) -> bool {
        let found = self.find(hash);
        found.inspect(|place| self.calls.add_one(*place)).is_some()
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.room.load(Ordering::Relaxed) > 0
    }

    /// Whether the `nth` call without a place is to be noted.
    #[inline]
    pub(super) fn hears(&self, nth: u64) -> bool {
        self.hearing.hears(nth)
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

    /// Counts a call of a value without a place, or as many as it stands for.
    ///
    /// Of two threads in one corner one may be counted for the other's value, or not at all: it is an estimate.
    #[inline]
    pub(super) fn note(&self, hash: u64) {
        let calls = self.hearing.note();
        let Some(corner) = self.candidates.get(nth(hash, 0, self.candidates.len())) else { return };
        match corner.iter().find(|known| known.hash.load(Ordering::Relaxed) == hash) {
            Some(known) => {
                known.seen.store(known.seen.load(Ordering::Relaxed).wrapping_add(calls), Ordering::Relaxed);
            }
            None => challenge(corner, hash, calls),
        }
    }

    #[inline]
    fn used(&self) -> usize {
        // Acquire pairs with the Release of `publish`: a caller that sees the new table sees what is in it.
        self.used.load(Ordering::Acquire)
    }

    /// Where the table that is not in use begins.
    fn spare(&self) -> usize {
        (self.mask + 1).saturating_sub(self.used.load(Ordering::Relaxed))
    }

    fn publish(&self, room: usize) {
        self.used.store(self.spare(), Ordering::Release);
        self.room.store(room, Ordering::Relaxed);
    }

    /// The place of a hash in the table in use.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        // Nearly all are in one of the two places where they are looked for first.
        let table = self.used();
        let place = table + (top(hash) & self.mask);
        match self.words.get(place)?.load(Ordering::Relaxed) {
            found if found == hash => return Some(place),
            0 => return None,
            _ => {}
        }
        match self.words.get(place ^ 1)?.load(Ordering::Relaxed) {
            found if found == hash => Some(place ^ 1),
            0 => None,
            _ => self.find_further(table, hash),
        }
    }

    #[inline(never)]
    fn find_further(&self, table: usize, hash: u64) -> Option<usize> {
        for place in self.way(table, hash).skip(2) {
            match self.words.get(place)?.load(Ordering::Relaxed) {
                found if found == hash => return Some(place),
                0 => return None,
                _ => {}
            }
        }
        None
    }

    /// Where a hash may be in the table that begins there, in the order in which it is looked for: by twos that share a
    /// cache line.
    fn way(&self, table: usize, hash: u64) -> impl Iterator<Item = usize> {
        let (first, mask) = (top(hash), self.mask);
        (0..=mask).map(move |step| table + (first.wrapping_add(step & !1) & mask ^ (step & 1)))
    }

    /// Fills the first free place on the hash's way; only ever called by one thread at a time.
    fn insert(&self, table: usize, hash: u64) {
        let mut way = self.way(table, hash).filter_map(|place| self.words.get(place));
        if let Some(free) = way.find(|word| [0, hash].contains(&word.load(Ordering::Relaxed))) {
            free.store(hash, Ordering::Relaxed);
        }
    }

    /// All places of a table: their hashes, and how often they were called so far.
    fn table(&self, begin: usize) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let places = self.words.iter().enumerate().skip(begin).take(self.mask + 1);
        places.map(|(place, word)| (word, self.calls.sum(place)))
    }
}

/// A value that is new in a corner takes from the least seen candidate there, and its spot where nothing is left.
#[cold]
#[inline(never)]
fn challenge(corner: &[Candidate; CORNER], hash: u64, calls: u64) {
    // Which of several equals goes is left to chance, so that none stays for standing in a good spot.
    let chance = hash.rotate_left(32) >> 32;
    let ranked = corner.iter().zip(chance..).map(|(known, spot)| {
        let seen = known.seen.load(Ordering::Relaxed);
        ((seen, spot % CORNER as u64), known)
    });
    let Some(((seen, _), least)) = ranked.min_by_key(|(rank, _)| *rank) else { return };
    // It pays with one of its calls for each of a stranger's, and goes when it has none left: values that come once
    // drive each other out, and not those that come again.
    if seen == 0 {
        least.hash.store(hash, Ordering::Relaxed);
    }
    // Seen once is known of a new one, and no more: none that came once stands where eight calls would.
    least.seen.store(if seen == 0 { 1 } else { seen.saturating_sub(calls) }, Ordering::Relaxed);
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
        let counted = board.table(board.used()).map(|(_, calls)| calls).collect();
        let room = board.room.load(Ordering::Relaxed);
        Self { board, pinned, places, half_life, clock, due, before: Vec::new(), counted, room, given_up: 0 }
    }

    fn deal(&mut self) {
        let board = Arc::clone(&self.board);
        let _dealing = board.growth.get().lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.unused(&board);
        let mut kept = self.kept(&board);
        kept.retain(|value| value.seen > 0);
        let mut candidates = take_candidates(&board);
        board.hearing.start_over();
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
    fn kept(&self, board: &Board) -> Vec<Ranked> {
        board
            .table(board.used())
            .zip(&self.counted)
            .filter_map(|((word, calls), counted)| {
                let hash = word.load(Ordering::Relaxed);
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

    /// Places that nobody ever had: those that were given up are taken before them.
    fn unused(&self, board: &Board) -> usize {
        let taken = self.room.saturating_sub(board.room.load(Ordering::Relaxed));
        (self.room - self.given_up.min(self.room)).saturating_sub(taken.saturating_sub(self.given_up))
    }

    /// Fills the spare table and has callers use it.
    fn show(&mut self, board: &Board, kept: &[Ranked], unused: usize) {
        let spare = board.spare();
        self.counted = board
            .table(spare)
            .map(|(word, calls)| {
                word.store(0, Ordering::Relaxed);
                calls
            })
            .collect();
        for hash in self.pinned.iter().copied().chain(kept.iter().map(|value| value.hash)) {
            board.insert(spare, hash);
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
    fn hashes_that_begin_at_one_place_are_all_found_and_fill_the_table_to_the_last() {
        for first in [0, 5, 30, 31] {
            let hashes: Vec<u64> = (1..=MIN_LEN as u64).map(|n| first << 32 | n).collect();
            let board = Board::new(1, &hashes);
            assert_eq!(board.mask + 1, MIN_LEN);
            assert!(hashes.iter().all(|hash| board.keeps(*hash)), "{first}");
            assert!(!board.keeps(first << 32 | 0xff));
            assert!(board.table(0).all(|(_, calls)| calls == 1) && board.table(MIN_LEN).all(|(_, n)| n == 0));
        }
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

    #[test]
    fn of_many_calls_one_in_eight_is_heard_and_stands_for_all_whatever_their_rhythm() {
        for rhythm in [2, 3, 5, 8, 13, 16, 64] {
            let board = Board::new(1, &[]);
            let calls = 200_000;
            let mut heard = 0;
            for nth in 0..calls {
                if board.hears(nth) {
                    heard += 1;
                    // One candidate a corner: none drives another out.
                    board.note((nth % rhythm) << 32);
                }
            }
            assert!((calls / 8..calls / 8 + 4_500).contains(&heard), "{heard}");
            for value in 1..rhythm {
                let (seen, due) = (seen(&board, value << 32), calls / rhythm);
                assert!(
                    (due * 9 / 10..=due * 11 / 10).contains(&seen),
                    "{value} of {rhythm}: {seen} of {due}"
                );
            }
        }
    }

    #[test]
    fn a_half_life_begins_with_every_call() {
        let board = Board::new(1, &[]);
        (0..4096).for_each(|_| board.note(1));
        let heard = |board: &Board| (0..1000).filter(|nth| board.hears(*nth)).count();
        assert!((120..=130).contains(&heard(&board)), "{}", heard(&board));
        let board = Arc::new(board);
        Ranking::new(Arc::clone(&board), Vec::new(), 1, 1, Clock::monotonic()).deal();
        assert_eq!(heard(&board), 1000);
    }

    #[test]
    fn one_that_was_heard_once_stands_for_one_call() {
        let board = Board::new(1, &[]);
        (0..4096).for_each(|_| board.note(1));
        board.note(2 << 32);
        board.note(3 << 32);
        board.note(3 << 32);
        assert_eq!([2, 3].map(|value| seen(&board, value << 32)), [1, 9]);
    }
}
