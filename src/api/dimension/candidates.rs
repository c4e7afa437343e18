//! Values without a place, and how often they are seen: an estimate, in memory that depends on the limit alone.

use super::hearing::Hearing;
use super::places::nth;
use crate::process::sync::wide::AtomicU64;
use std::sync::atomic::Ordering;

/// Candidates of a corner: a new one takes the place of the least seen of these.
const CORNER: usize = 4;
/// Corners: one for each place, and not fewer than these.
const MIN_CORNERS: usize = 64;

/// A value, known by its hash, and how often it was seen lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ranked {
    pub(super) hash: u64,
    pub(super) seen: u64,
}

/// Who may get a place when they are dealt anew.
pub(super) struct Candidates {
    corners: Box<[[Candidate; CORNER]]>,
    hearing: Hearing,
}

#[derive(Default)]
struct Candidate {
    hash: AtomicU64,
    seen: AtomicU64,
}

impl Candidates {
    /// Of that many places.
    pub(super) fn new(places: usize) -> Self {
        let corners = places.max(MIN_CORNERS).next_power_of_two();
        Self { corners: (0..corners).map(|_| Default::default()).collect(), hearing: Hearing::new(corners) }
    }

    /// Whether the `nth` call without a place is to be noted.
    #[inline]
    pub(super) fn hears(&self, nth: u64) -> bool {
        self.hearing.hears(nth)
    }

    /// Counts a call of a value without a place, or as many as it stands for.
    ///
    /// Of two threads in one corner one may be counted for the other's value, or not at all: it is an estimate.
    #[inline]
    pub(super) fn note(&self, hash: u64) {
        let calls = self.hearing.note();
        let Some(corner) = self.corner(hash) else { return };
        match corner.iter().find(|known| known.hash.load(Ordering::Relaxed) == hash) {
            // Not a load and a store: a thread that is put off between the two would undo what others counted meanwhile.
            Some(known) => drop(known.seen.fetch_add(calls, Ordering::Relaxed)),
            None => challenge(corner, hash, calls),
        }
    }

    #[inline]
    fn corner(&self, hash: u64) -> Option<&[Candidate; CORNER]> {
        self.corners.get(nth(hash, 0, self.corners.len()))
    }

    /// Begins a half-life, and empties the corners.
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

    /// Begins a half-life.
    pub(super) fn start_over(&self) {
        self.hearing.start_over();
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
    // drive each other out, and not those that come again. Seen once is known of a new one, and no more: none that came
    // once stands where eight calls would.
    let left = if seen == 0 { 1 } else { seen.saturating_sub(calls) };
    // One that was called meanwhile is spared, so that nothing which others counted is undone.
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

    /// Hashes that meet in one corner, in whatever order.
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
        // So many that all calls are noted, each for itself.
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
            let mut heard = 0;
            for nth in 0..calls {
                if candidates.hears(nth) {
                    heard += 1;
                    // One candidate a corner: none drives another out.
                    candidates.note((nth % rhythm) << 32);
                }
            }
            assert!((calls / 8..calls / 8 + 4_500).contains(&heard), "{heard}");
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
        let heard = || (0..1000).filter(|nth| candidates.hears(*nth)).count();
        assert!((120..=130).contains(&heard()), "{}", heard());
        assert_eq!(candidates.take_all(), [Ranked { hash: 1, seen: 4096 }]);
        assert_eq!((heard(), candidates.take_all()), (1000, Vec::new()));
    }
}
