//! Slices of time, each with the number of items that entered in it and have not left.

use super::Group;
use crate::process::sync::{AtomicU64, Ordering};
use std::array;

/// The number of slices. They take 16 KiB. A model checker keeps track of each.
pub(super) const SLICES: usize = if cfg!(tasktag_loom) { 2 } else { 2048 };
/// A new slice is at most one part in 64 of the oldest one's age. From the shortest slice on, there are 64 slices until
/// an age has doubled, and so fewer than there is room for until an age of four years.
const PRECISION_BITS: u32 = 7;
/// The time is in units of 4.2 ms, which is the shortest slice. They wrap around, so an age is known up to four years.
const UNIT_SHIFT: u32 = 22;

// A slice has these fields, from its lowest bit: the items, the generation of their process, and its start.
const ITEMS_MASK: u64 = (1 << 20) - 1;
const GENERATION_SHIFT: u32 = 20;
const GENERATION_MASK: u64 = 0xff << GENERATION_SHIFT;
const START_SHIFT: u32 = 28;
const START_MASK: u64 = u64::MAX >> START_SHIFT;
const OLDEST_AGE: u64 = START_MASK / 2;
/// Spreads starts over the table: the golden ratio in 64 bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A table of slices, found by their start.
///
/// The longer the oldest item has waited, the longer is a new slice. Its length depends on the oldest item at the last
/// count, so it also grows if nobody counts.
#[derive(Debug)]
pub(super) struct Slices {
    words: Box<[AtomicU64; SLICES]>,
    /// The start of the oldest slice at the last count, or the time of that count, in nanoseconds.
    oldest: AtomicU64,
}

impl Default for Slices {
    fn default() -> Self {
        Self { words: Box::new(array::from_fn(|_| AtomicU64::new(0))), oldest: AtomicU64::new(0) }
    }
}

impl Slices {
    /// Counts an item in the slice of the time. Returns `None` if every slice is full.
    #[cold]
    #[inline(never)]
    pub(super) fn enter(&self, now: u64, generation: u8) -> Option<u16> {
        let fresh = self.start_at(now) << START_SHIFT | generation_bits(generation);
        let first = (fresh & !GENERATION_MASK).wrapping_mul(SPREAD) >> 32;
        let mut order =
            (0..SLICES as u64).filter_map(|step| usize::try_from((first + step) % SLICES as u64).ok());
        let found =
            order.find(|&slice| self.join(slice, fresh)).or_else(|| self.join_youngest(now, fresh))?;
        u16::try_from(found).ok()
    }

    /// Returns the start of the slice that a time is in, in units.
    fn start_at(&self, now: u64) -> u64 {
        let age = now.saturating_sub(self.oldest.load(Ordering::Relaxed)) >> UNIT_SHIFT;
        let scale = (u64::BITS - age.leading_zeros()).saturating_sub(PRECISION_BITS);
        ((now >> UNIT_SHIFT) >> scale << scale) & START_MASK
    }

    /// Counts an item in a slice, unless the slice has another start or is full.
    fn join(&self, slice: usize, fresh: u64) -> bool {
        self.change(slice, |word| {
            let is_free = word & ITEMS_MASK == 0 || (word ^ fresh) & GENERATION_MASK != 0;
            match (is_free, word & !ITEMS_MASK == fresh && word & ITEMS_MASK < ITEMS_MASK) {
                (true, _) => Some(fresh + 1),
                (false, true) => Some(word + 1),
                (false, false) => None,
            }
        })
    }

    /// Counts an item in the youngest slice there is. Nothing else is left if each has another start.
    fn join_youngest(&self, now: u64, fresh: u64) -> Option<usize> {
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed)).enumerate();
        let open = words.filter(|(_, word)| word & ITEMS_MASK < ITEMS_MASK);
        let (youngest, seen) = open.max_by_key(|(_, word)| since(*word, now))?;
        let start = seen & !ITEMS_MASK;
        ((start ^ fresh) & GENERATION_MASK == 0 && self.join(youngest, start)).then_some(youngest)
    }

    pub(super) fn leave(&self, slice: u16, generation: u8) {
        self.change(usize::from(slice), |word| {
            let is_ours = word & GENERATION_MASK == generation_bits(generation);
            (is_ours && word & ITEMS_MASK > 0).then(|| word - 1)
        });
    }

    /// Changes a slice, unless `act` leaves it alone. Returns whether it was changed.
    fn change(&self, slice: usize, act: impl Fn(u64) -> Option<u64>) -> bool {
        let word = self.words.get(slice);
        word.is_some_and(|word| word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, act).is_ok())
    }

    pub(super) fn count(&self, group: &mut Group, now: u64, generation: u8) {
        let mut counted = Group::default();
        for word in self.words.iter().map(|word| word.load(Ordering::Relaxed)) {
            let items = word & ITEMS_MASK;
            if items > 0 && word & GENERATION_MASK == generation_bits(generation) {
                counted.add(items, since(word, now));
            }
        }
        self.oldest.store(counted.since.unwrap_or(now), Ordering::Relaxed);
        if let Some(since) = counted.since {
            group.add(counted.items, since);
        }
    }
}

/// Returns the start of a slice in nanoseconds. It is at most `now`.
fn since(word: u64, now: u64) -> u64 {
    let now_units = now >> UNIT_SHIFT;
    let age = now_units.wrapping_sub(word >> START_SHIFT) & START_MASK;
    // A slice may be younger than a reading of the clock that was made before it began.
    let age = if age > OLDEST_AGE { 0 } else { age };
    now_units.saturating_sub(age) << UNIT_SHIFT
}

fn generation_bits(generation: u8) -> u64 {
    u64::from(generation) << GENERATION_SHIFT
}
