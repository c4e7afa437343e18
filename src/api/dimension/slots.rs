//! A table of values that only grows, so that readers need no lock.

use crate::process::fork::make_whole;
use crate::vocabulary::text::{self, Seed};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The characters of a value that a line has room for. The rest is truncated, so that the size of a slot has a limit
/// too.
const MAX_VALUE: usize = 100;
/// The number of calls between two tries, if the last one was refused.
pub(super) const CALLS_PER_TRY: usize = 1024;

/// Holds a slot for each of a limited number of values.
pub(crate) struct Slots<T> {
    table: Box<[OnceLock<Slot<T>>]>,
    seed: Seed,
    // The number of free slots, written under the lock.
    room: AtomicUsize,
    refusals: AtomicUsize,
}

struct Slot<T> {
    hash: u64,
    value: Box<str>,
    holder: T,
}

impl<T> Slots<T> {
    /// Creates a table for `limit` values, of which `kept` are there from the start, and for one beyond the limit.
    pub(crate) fn new(limit: usize, kept: usize) -> Self {
        // The table is at most a quarter full, so that the first look identifies three of four values without a slot.
        let len = 4 * (limit.max(kept) + 1);
        Self {
            table: (0..len.next_power_of_two()).map(|_| OnceLock::new()).collect(),
            seed: Seed::random(),
            room: AtomicUsize::new(limit),
            refusals: AtomicUsize::new(0),
        }
    }

    /// Gives a value a slot before others arrive. The slot counts towards the limit as long as there are any.
    pub(crate) fn keep<E>(&self, value: &str, make: impl FnOnce(&str) -> Result<T, E>) -> Result<(), E> {
        let (hash, value) = self.hash_of(value);
        if self.find(hash, value).is_none() {
            self.fill(value, make(value)?);
            self.room.store(self.room.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Returns what holds a value's slot. For a new value, `make` creates it. Returns `None` if no slot is left, or if
    /// `make` refused.
    #[inline]
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn at(&self, value: &str, make: impl FnOnce(&str) -> Option<T>) -> Option<&T> {
        let (hash, value) = self.hash_of(value);
        match self.find(hash, value) {
            None => self.admit(hash, value, make),
            found => found,
        }
    }

    /// Returns as much of a value as a line has room for, and the hash of that part.
    #[inline]
    pub(super) fn hash_of<'a>(&self, value: &'a str) -> (u64, &'a str) {
        clip_and_hash(&self.seed, value)
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, value: &str) -> Option<&T> {
        // Nearly all values are at the first entry of their probe sequence.
        let place = self.table.get(self.nth(hash, 0))?.get()?;
        if place.hash == hash && text::same(value, &place.value) {
            Some(&place.holder)
        } else {
            self.find_further(hash, value)
        }
    }

    #[inline(never)]
    fn find_further(&self, hash: u64, value: &str) -> Option<&T> {
        for step in 1..self.table.len() {
            let place = self.table.get(self.nth(hash, step))?.get()?;
            // `text::same` would load both ends of the value before anything else.
            if place.hash == hash && *place.value == *value {
                return Some(&place.holder);
            }
        }
        None
    }

    /// Gives a new value a slot, if one is left and `make` does not refuse.
    #[inline]
    pub(super) fn admit(&self, hash: u64, value: &str, make: impl FnOnce(&str) -> Option<T>) -> Option<&T> {
        if self.may_try() { self.take_slot(hash, value, make) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn take_slot(&self, hash: u64, value: &str, make: impl FnOnce(&str) -> Option<T>) -> Option<&T> {
        // One lock for all families is enough, because new values are rare.
        let _growing = make_whole();
        // Another thread may have been faster.
        if let Some(holder) = self.find(hash, value) {
            return Some(holder);
        }
        let room = self.room.load(Ordering::Relaxed).checked_sub(1)?;
        let Some(holder) = make(value) else {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.refusals.store(0, Ordering::Relaxed);
        self.room.store(room, Ordering::Relaxed);
        self.fill(value, holder)
    }

    /// Returns whether there is a free slot, and the last try was not refused.
    #[inline]
    fn may_try(&self) -> bool {
        self.room.load(Ordering::Relaxed) > 0
            && (self.refusals.load(Ordering::Relaxed) == 0
                || self.refusals.fetch_add(1, Ordering::Relaxed).is_multiple_of(CALLS_PER_TRY))
    }

    /// Stores a value in the first free entry of its probe sequence. There is always one.
    pub(crate) fn fill(&self, value: &str, holder: T) -> Option<&T> {
        let (hash, value) = self.hash_of(value);
        let mut place = Slot { hash, value: value.into(), holder };
        for step in 0..self.table.len() {
            let free = self.table.get(self.nth(hash, step))?;
            match free.set(place) {
                Ok(()) => return free.get().map(|place| &place.holder),
                Err(back) => place = back,
            }
        }
        None
    }

    /// Returns all values that have a slot, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.table.iter().filter_map(OnceLock::get).map(|place| &place.holder)
    }

    #[inline]
    fn nth(&self, hash: u64, step: usize) -> usize {
        nth(hash, step, self.table.len())
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("room", &self.room).finish_non_exhaustive()
    }
}

/// Returns the entry for step `step` of a hash's probe sequence. The length is a power of two.
#[inline]
pub(super) fn nth(hash: u64, step: usize, len: usize) -> usize {
    // The upper bits are mixed better.
    ((hash >> 32) as usize).wrapping_add(step) & (len - 1)
}

/// Returns as much of a value as a line has room for, and its hash. It is out of line, and its results are passed in
/// registers.
#[inline]
pub(super) fn clip_and_hash<'a>(seed: &Seed, value: &'a str) -> (u64, &'a str) {
    if value.len() <= Seed::SHORT {
        return (seed.hash(value), value);
    }
    let value = clip(value);
    (hash_long(seed, value), value)
}

#[inline(never)]
fn hash_long(seed: &Seed, value: &str) -> u64 {
    seed.hash(value)
}

/// Returns as much of a value as a line has room for.
#[inline]
pub(super) fn clip(value: &str) -> &str {
    if value.len() <= MAX_VALUE { value } else { cut(value) }
}

#[cold]
fn cut(value: &str) -> &str {
    let end = value.char_indices().nth(MAX_VALUE).map_or(value.len(), |(end, _)| end);
    value.get(..end).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_never_stands_for_equality() {
        let places = Slots::new(2, 0);
        assert_eq!(places.at("/a", |_| Some(1)), Some(&1));
        let (hash, value) = places.hash_of("/a");
        assert!(places.find(hash, value).is_some());
        assert!(places.find(hash, "/b").is_none());
    }

    #[test]
    fn anything_can_hold_a_place_and_is_made_once() {
        let places = Slots::new(2, 1);
        places.keep("kept", |value| Ok::<_, ()>(value.len())).unwrap();
        places.keep("kept", |_| Err("made twice")).unwrap();
        assert_eq!(places.keep("refused", |_| Err("refused")), Err("refused"));
        assert_eq!(places.at("a", |_| None), None);
        // The value was refused. Of that many calls, the last one tries again.
        let admitted = (0..CALLS_PER_TRY).filter(|_| places.at("a", |value| Some(value.len())).is_some());
        assert_eq!(admitted.count(), 1);
        assert_eq!(places.at("a", |_| unreachable!()), Some(&1));
        assert_eq!(places.at("b", |_| unreachable!()), None, "no place is left");
        assert_eq!(places.at("kept", |_| unreachable!()), Some(&4));
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let exact = "ü".repeat(MAX_VALUE);
        assert_eq!(clip(&exact), exact);
        assert_eq!(clip(&"ü".repeat(MAX_VALUE + 1)), exact);
        assert_eq!(clip("short"), "short");
    }
}
