//! When each current hold began: of a holder, or of an occupancy.

use super::start::Start;
use crate::process::fork;
use crate::process::sync::{AtomicU64, AtomicUsize, Ordering};
use std::{array, fmt};

/// The number of holds at once whose starts are known. A model checker keeps track of each.
const ENTRIES: usize = if cfg!(tasktag_loom) { 2 } else { 128 };
/// An entry without a hold. No start is this word.
const FREE: u64 = 0;
/// The number of holds without an entry is in the lower half of its word, and the generation of the process in the
/// upper.
const COUNT_BITS: u32 = 32;

/// An entry for the start of each hold, so that the oldest can be found without a lock.
///
/// A hold takes the next free entry and clears it at its end. A hold that never ends keeps its entry, and the others go
/// around it. If no entry is free, the hold is only counted.
///
/// Every access is relaxed: an entry publishes nothing but itself, and only its own hold clears it. Entries of a parent
/// count as free in a forked child, because a start names its process.
pub(crate) struct Holds {
    entries: [AtomicU64; ENTRIES],
    // Where the next search begins. Holds end roughly in the order in which they began, so most entries ahead are free.
    next: AtomicUsize,
    untracked: AtomicU64,
}

/// Where the start of a hold is, or `None` if it is only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(Option<u8>);

const _: () = assert!(ENTRIES <= 1 << u8::BITS, "an entry's number fits a byte");

impl Entry {
    /// The code of a hold that is only counted.
    const COUNTED: u16 = u16::MAX;

    /// Returns the entry in a number that is never 0.
    #[inline]
    pub(super) fn to_code(self) -> u16 {
        self.0.map_or(Self::COUNTED, |at| u16::from(at) + 1)
    }

    /// Returns the entry that became this number.
    #[inline]
    pub(super) fn from_code(code: u16) -> Self {
        Self(u8::try_from(code.wrapping_sub(1)).ok())
    }
}

impl Holds {
    pub(crate) fn new() -> Self {
        Self {
            entries: array::from_fn(|_| AtomicU64::new(FREE)),
            next: AtomicUsize::new(0),
            untracked: AtomicU64::new(0),
        }
    }

    /// Notes a hold that begins.
    #[inline]
    pub(crate) fn begin(&self, start: Start) -> Entry {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..ENTRIES {
            let at = first.wrapping_add(step) % ENTRIES;
            if self.take(at, start) {
                return Entry(u8::try_from(at).ok());
            }
        }
        self.count_untracked();
        Entry(None)
    }

    #[inline]
    fn take(&self, at: usize, start: Start) -> bool {
        let Some(entry) = self.entries.get(at) else { return false };
        let known = entry.load(Ordering::Relaxed);
        is_free(known)
            && entry.compare_exchange(known, start.to_word(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    #[cold]
    #[inline(never)]
    fn count_untracked(&self) {
        let own = u64::from(fork::generation()) << COUNT_BITS;
        let more = |word: u64| Some(if is_of_process(word) { word } else { own }.wrapping_add(1));
        let _ = self.untracked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Notes the end of a hold that began in the process of this generation.
    #[inline]
    pub(crate) fn end(&self, entry: Entry, generation: u32) {
        match entry.0.and_then(|at| self.entries.get(usize::from(at))) {
            Some(entry) => {
                let known = entry.load(Ordering::Relaxed);
                // In a process that is being restored, another hold may have the entry already, or take it meanwhile.
                if Start::from_word(known).is_of(generation) {
                    let _ = entry.compare_exchange(known, FREE, Ordering::Relaxed, Ordering::Relaxed);
                }
            }
            None => self.uncount_untracked(),
        }
    }

    #[cold]
    #[inline(never)]
    fn uncount_untracked(&self) {
        let less = |word: u64| (is_of_process(word) && count(word) > 0).then(|| word - 1);
        let _ = self.untracked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Returns the age of the oldest hold that has an entry, in nanoseconds.
    pub(crate) fn oldest(&self, now: u64) -> Option<u64> {
        let words = self.entries.iter().map(|entry| entry.load(Ordering::Relaxed));
        words.filter(|word| !is_free(*word)).map(|word| Start::from_word(word).until(now)).max()
    }

    /// Returns the number of current holds without an entry. While there are any, the oldest hold may be older than
    /// [`oldest`](Self::oldest).
    pub(crate) fn untracked(&self) -> u64 {
        let word = self.untracked.load(Ordering::Relaxed);
        if is_of_process(word) { count(word) } else { 0 }
    }
}

#[inline]
fn is_free(word: u64) -> bool {
    word == FREE || !Start::from_word(word).is_here()
}

fn is_of_process(word: u64) -> bool {
    word >> COUNT_BITS == u64::from(fork::generation())
}

fn count(word: u64) -> u64 {
    word & ((1 << COUNT_BITS) - 1)
}

impl fmt::Debug for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holds").field("untracked", &self.untracked()).finish_non_exhaustive()
    }
}

#[cfg(all(test, tasktag_loom))]
mod model;

#[cfg(all(test, not(tasktag_loom)))]
mod tests;
