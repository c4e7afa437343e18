//! Estimates how often values without a slot are seen, in memory that depends only on the limit.

use super::sampling::Sampling;
use super::slots::nth;
use crate::process::sync::wide::AtomicU64;
use std::sync::atomic::Ordering;

/// The number of candidates in a corner. A new candidate replaces the least seen one.
const CORNER: usize = 4;
/// The minimum number of corners. There is one per slot.
const MIN_CORNERS: usize = 64;

/// The hash of a value, and how often it was seen lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranked {
    pub(super) hash: u64,
    pub(super) seen: u64,
}

/// The values that may get a slot when the slots are reassigned.
pub(super) struct Candidates {
    corners: Box<[[Candidate; CORNER]]>,
    sampling: Sampling,
}

#[derive(Default)]
struct Candidate {
    hash: AtomicU64,
    seen: AtomicU64,
}

impl Candidates {
    /// Creates the candidates for that many slots.
    pub(super) fn new(places: usize) -> Self {
        let corners = places.max(MIN_CORNERS).next_power_of_two();
        Self { corners: (0..corners).map(|_| Default::default()).collect(), sampling: Sampling::new(corners) }
    }

    /// Returns whether the `nth` call without a slot is noted.
    #[inline]
    pub(super) fn selects(&self, nth: u64) -> bool {
        self.sampling.selects(nth)
    }

    /// Counts a call of a value without a slot, or as many calls as it stands for.
    ///
    /// If two threads use one corner at the same time, a call may be counted for the other's value, or not at all: the
    /// result is an estimate.
    #[inline]
    pub(super) fn note(&self, hash: u64) {
        let calls = self.sampling.note();
        let Some(corner) = self.corner(hash) else { return };
        match corner.iter().find(|known| known.hash.load(Ordering::Relaxed) == hash) {
            // This is not a load and a store, because a thread that pauses between the two would undo the counts of
            // others.
            Some(known) => drop(known.seen.fetch_add(calls, Ordering::Relaxed)),
            None => challenge(corner, hash, calls),
        }
    }

    #[inline]
    fn corner(&self, hash: u64) -> Option<&[Candidate; CORNER]> {
        self.corners.get(nth(hash, 0, self.corners.len()))
    }

    /// Starts a half-life, and empties the corners.
    pub(super) fn take_all(&self) -> Vec<Ranked> {
        let take = |candidate: &Candidate| {
            let seen = candidate.seen.swap(0, Ordering::Relaxed);
            let hash = candidate.hash.swap(0, Ordering::Relaxed);
            (hash != 0 && seen != 0).then_some(Ranked { hash, seen })
        };
        let taken = self.corners.iter().flatten().filter_map(take).collect();
        self.start_over();
        taken
    }

    /// Starts a half-life.
    pub(super) fn start_over(&self) {
        self.sampling.start_over();
    }

    /// Puts a candidate back, unless its corner filled up in the meantime.
    pub(super) fn give_back(&self, candidate: Ranked) {
        let free = |spot: &&Candidate| spot.seen.load(Ordering::Relaxed) == 0;
        if let Some(spot) = self.corner(candidate.hash).and_then(|corner| corner.iter().find(free)) {
            spot.hash.store(candidate.hash, Ordering::Relaxed);
            spot.seen.store(candidate.seen, Ordering::Relaxed);
        }
    }
}

/// A new value in a corner reduces the count of the least seen candidate there, and replaces it at 0.
#[cold]
#[inline(never)]
fn challenge(corner: &[Candidate; CORNER], hash: u64, calls: u64) {
    // Among equals the choice is random, so that no candidate stays because of its position.
    let chance = hash.rotate_left(32) >> 32;
    let ranked = corner.iter().zip(chance..).map(|(known, spot)| {
        let seen = known.seen.load(Ordering::Relaxed);
        ((seen, spot % CORNER as u64), known)
    });
    let Some(((seen, _), least)) = ranked.min_by_key(|(rank, _)| *rank) else { return };
    // Each call of a new value costs the candidate one of its calls, and the candidate is replaced once it has none
    // left. In this way values that come once replace each other, but not those that come again. A new value starts
    // with one call, also if its call stands for eight.
    let left = if seen == 0 { 1 } else { seen.saturating_sub(calls) };
    // A candidate that was called in the meantime is left alone, so that no other thread's counts are undone.
    let paid = least.seen.compare_exchange(seen, left, Ordering::Relaxed, Ordering::Relaxed);
    if seen == 0 && paid.is_ok() {
        least.hash.store(hash, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(candidates: &Candidates, hash: u64) -> u64 {
        let mut all = candidates.corners.iter().flatten();
        let known = all.find(|candidate| candidate.hash.load(Ordering::Relaxed) == hash);
        known.map_or(0, |candidate| candidate.seen.load(Ordering::Relaxed))
    }

    /// Hashes that share one corner, in any order.
    fn strangers() -> impl Iterator<Item = u64> {
        (1..=u64::from(u32::MAX)).map(|n| n.wrapping_mul(2_654_435_761) & u64::from(u32::MAX))
    }

    #[test]
    fn who_comes_again_is_known_among_many_who_come_once() {
        let candidates = Candidates::new(1);
        let mut strangers = strangers();
        strangers.by_ref().take(100).for_each(|stranger| candidates.note(stranger));
        let regular = u64::from(u32::MAX);
        for _ in 0..500 {
            candidates.note(regular);
            strangers.by_ref().take(6).for_each(|stranger| candidates.note(stranger));
        }
        assert!((400..=500).contains(&seen(&candidates, regular)), "{}", seen(&candidates, regular));
    }

    #[test]
    fn a_stranger_costs_the_least_seen_one_call() {
        let candidates = Candidates::new(1);
        for (hash, times) in [(1, 10), (2, 20), (3, 30), (4, 5)] {
            (0..times).for_each(|_| candidates.note(hash));
        }
        candidates.note(5);
        assert_eq!([1, 2, 3, 4, 5].map(|hash| seen(&candidates, hash)), [10, 20, 30, 4, 0]);
        (0..5).for_each(|_| candidates.note(5));
        assert_eq!([1, 2, 3, 4, 5].map(|hash| seen(&candidates, hash)), [10, 20, 30, 0, 1]);
    }

    #[test]
    fn threads_that_note_one_value_undo_nothing_of_each_others_counts() {
        // There are so many corners that every call is noted, and stands for itself.
        let (candidates, threads, calls) = (Candidates::new(10_000), 8, 100_000);
        candidates.note(7);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..calls).for_each(|_| candidates.note(7)));
            }
        });
        assert_eq!(seen(&candidates, 7), 1 + threads * calls);
    }

    #[test]
    fn of_many_calls_one_in_eight_is_heard_and_stands_for_all_whatever_their_rhythm() {
        for rhythm in [2, 3, 5, 8, 13, 16, 64] {
            let candidates = Candidates::new(1);
            let calls = 200_000;
            let mut noted = 0;
            for nth in 0..calls {
                if candidates.selects(nth) {
                    noted += 1;
                    // There is one candidate per corner, so that none is replaced.
                    candidates.note((nth % rhythm) << 32);
                }
            }
            assert!((calls / 8..calls / 8 + 4_500).contains(&noted), "{noted}");
            for value in 1..rhythm {
                let (seen, due) = (seen(&candidates, value << 32), calls / rhythm);
                assert!(
                    (due * 9 / 10..=due * 11 / 10).contains(&seen),
                    "{value} of {rhythm}: {seen} of {due}"
                );
            }
        }
    }

    #[test]
    fn one_that_was_heard_once_stands_for_one_call() {
        let candidates = Candidates::new(1);
        (0..4096).for_each(|_| candidates.note(1));
        candidates.note(2 << 32);
        candidates.note(3 << 32);
        candidates.note(3 << 32);
        assert_eq!([2, 3].map(|value| seen(&candidates, value << 32)), [1, 9]);
    }

    #[test]
    fn a_half_life_begins_with_every_call() {
        let candidates = Candidates::new(1);
        (0..4096).for_each(|_| candidates.note(1));
        let selected = || (0..1000).filter(|nth| candidates.selects(*nth)).count();
        assert!((120..=130).contains(&selected()), "{}", selected());
        assert_eq!(candidates.take_all(), [Ranked { hash: 1, seen: 4096 }]);
        assert_eq!((selected(), candidates.take_all()), (1000, Vec::new()));
    }
}
