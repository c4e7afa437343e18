//! A table of values that only grows, so that readers need no lock.

use crate::process::fork::make_whole;
use crate::vocabulary::text::{self, Seed};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Characters of a value: what a line has room for. The rest is cut, so that a place's size has a limit too.
const MAX_VALUE: usize = 100;
/// Calls from one try to the next, when the last one was refused.
pub(super) const CALLS_PER_TRY: usize = 1024;

/// What holds a place for each of a limited number of values.
pub(crate) struct Places<T> {
    table: Box<[OnceLock<Place<T>>]>,
    seed: Seed,
    // Places that nobody has yet; written under the lock.
    room: AtomicUsize,
    refusals: AtomicUsize,
}

struct Place<T> {
    hash: u64,
    value: Box<str>,
    holder: T,
}

impl<T> Places<T> {
    /// A table for `limit` values, of which `kept` are there from the start, and for one beyond the limit.
    pub(crate) fn new(limit: usize, kept: usize) -> Self {
        // A quarter full at most, so that three of four values without a place are known as such at the first look.
        let len = 4 * (limit.max(kept) + 1);
        Self {
            table: (0..len.next_power_of_two()).map(|_| OnceLock::new()).collect(),
            seed: Seed::random(),
            room: AtomicUsize::new(limit),
            refusals: AtomicUsize::new(0),
        }
    }

    /// Gives a value a place before others come; it takes one out of the limit as long as there are any.
    pub(crate) fn keep<E>(&self, value: &str, make: impl FnOnce(&str) -> Result<T, E>) -> Result<(), E> {
        let (hash, value) = self.hash_of(value);
        if self.find(hash, value).is_none() {
            self.fill(value, make(value)?);
            self.room.store(self.room.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        Ok(())
    }

    /// What holds a value's place, once `make` has made it where the value is new. `None` where no place is left, or
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

    /// As much of a value as a line has room for, and the hash of that.
    #[inline]
    pub(super) fn hash_of<'a>(&self, value: &'a str) -> (u64, &'a str) {
        clip_and_hash(&self.seed, value)
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, value: &str) -> Option<&T> {
        // Nearly all are where they are looked for first.
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
            // Not `text::same`, which would take both ends of the value before anything else.
            if place.hash == hash && *place.value == *value {
                return Some(&place.holder);
            }
        }
        None
    }

    /// Gives a new value a place, where one is left and `make` does not refuse.
    #[inline]
    pub(super) fn admit(&self, hash: u64, value: &str, make: impl FnOnce(&str) -> Option<T>) -> Option<&T> {
        if self.may_try() { self.take_place(hash, value, make) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn take_place(&self, hash: u64, value: &str, make: impl FnOnce(&str) -> Option<T>) -> Option<&T> {
        // One at a time, of all families: new values are rare.
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

    /// Whether there is a place left, and the last try was not refused.
    #[inline]
    fn may_try(&self) -> bool {
        self.room.load(Ordering::Relaxed) > 0
            && (self.refusals.load(Ordering::Relaxed) == 0
                || self.refusals.fetch_add(1, Ordering::Relaxed).is_multiple_of(CALLS_PER_TRY))
    }

    /// Puts a value into the first free place on its way; there always is one.
    pub(crate) fn fill(&self, value: &str, holder: T) -> Option<&T> {
        let (hash, value) = self.hash_of(value);
        let mut place = Place { hash, value: value.into(), holder };
        for step in 0..self.table.len() {
            let free = self.table.get(self.nth(hash, step))?;
            match free.set(place) {
                Ok(()) => return free.get().map(|place| &place.holder),
                Err(back) => place = back,
            }
        }
        None
    }

    #[inline]
    fn nth(&self, hash: u64, step: usize) -> usize {
        nth(hash, step, self.table.len())
    }
}

impl<T> fmt::Debug for Places<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("room", &self.room).finish_non_exhaustive()
    }
}

/// Where a table's `step`th look for a hash goes. Its length is a power of two.
#[inline]
pub(super) fn nth(hash: u64, step: usize, len: usize) -> usize {
    // The upper bits are the better mixed ones.
    ((hash >> 32) as usize).wrapping_add(step) & (len - 1)
}

/// As much of a value as a line has room for, and its hash. What is out of line is handed on in registers.
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

/// As much of a value as a line has room for.
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
        let places = Places::new(2, 0);
        assert_eq!(places.at("/a", |_| Some(1)), Some(&1));
        let (hash, value) = places.hash_of("/a");
        assert!(places.find(hash, value).is_some());
        assert!(places.find(hash, "/b").is_none());
    }

    #[test]
    fn anything_can_hold_a_place_and_is_made_once() {
        let places = Places::new(2, 1);
        places.keep("kept", |value| Ok::<_, ()>(value.len())).unwrap();
        places.keep("kept", |_| Err("made twice")).unwrap();
        assert_eq!(places.keep("refused", |_| Err("refused")), Err("refused"));
        assert_eq!(places.at("a", |_| None), None);
        // It was refused: of so many calls, the last one tries again.
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
