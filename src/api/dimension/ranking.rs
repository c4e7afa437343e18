//! Deals the places of a tag's values to the most frequent: the worker's side.

use super::board::Board;
use super::candidates::Ranked;
use crate::callback::probe::Collect;
use crate::process::clock::Clock;
use std::sync::Arc;

/// One in so many places may get another value in a half-life: each is a context more, for as long as the one before
/// is not forgotten.
const CHANGED: usize = 4;
/// A candidate takes the place of a value that was seen less than one time in so many of its own.
const LEAD: u64 = 2;

/// The worker's side: deals the places anew every half-life.
pub(super) struct Ranking {
    board: Arc<Board>,
    // Sorted.
    pinned: Vec<u64>,
    places: usize,
    half_life: u64,
    clock: Clock,
    due: u64,
    // What was seen before, sorted by hash, and where each place's count stood.
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
        let (counted, room) = (board.values().map(|(_, calls)| calls).collect(), board.room());
        Self { board, pinned, places, half_life, clock, due, before: Vec::new(), counted, room, given_up: 0 }
    }

    fn deal(&mut self) {
        let board = Arc::clone(&self.board);
        let _dealing = board.hold();
        let unused = self.unused(&board);
        let values: Vec<_> = board.values().collect();
        let mut kept = self.kept(&values);
        kept.retain(|value| value.seen > 0);
        let mut candidates = board.candidates.take_all();
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
            board.candidates.give_back(Ranked { seen: candidate.seen / 2, ..candidate });
        }
        self.room = unused + self.given_up;
        let holders = self.pinned.iter().copied().chain(kept.iter().map(|value| value.hash));
        board.deal(holders, self.room);
        self.counted = values.into_iter().map(|(_, calls)| calls).collect();
        kept.sort_unstable_by_key(|value| value.hash);
        self.before = kept;
    }

    /// All values with a place of their own making, and how often they were seen.
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

    /// Places that nobody ever had: those that were given up are taken before them.
    fn unused(&self, board: &Board) -> usize {
        let taken = self.room.saturating_sub(board.room());
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
