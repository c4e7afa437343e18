//! When each of a holder's current holds began.

use crate::api::handle::Start;
use crate::process::fork;
use crate::process::sync::wide::AtomicU64;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of holds at once whose starts are known.
pub(super) const ENTRIES: usize = 128;
/// An entry without a hold. No start is this word.
const FREE: u64 = 0;
/// The number of holds without an entry is in the lower half of its word, and the generation of the process in the upper.
const COUNT_BITS: u32 = 32;

/// An entry for the start of each hold, so that the oldest can be found without a lock.
///
/// A hold takes the next free entry and clears it at its end. A hold that never ends keeps its entry, and the others go
/// around it. If no entry is free, the hold is only counted.
///
/// Every access is relaxed: an entry publishes nothing but itself, and only its own hold clears it. Entries of a parent
/// count as free in a forked child, because a start names its process.
pub(super) struct Holds {
    entries: [AtomicU64; ENTRIES],
    // Where the next search begins. Holds end roughly in the order in which they began, so most entries ahead are free.
    next: AtomicUsize,
    untracked: AtomicU64,
}

/// Where the start of a hold is, or `None` if it is only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(Option<u8>);

const _: () = assert!(ENTRIES <= 1 << u8::BITS, "an entry's number fits a byte");

impl Holds {
    pub(super) fn new() -> Self {
        Self {
            entries: [const { AtomicU64::new(FREE) }; ENTRIES],
            next: AtomicUsize::new(0),
            untracked: AtomicU64::new(0),
        }
    }

    /// Notes a hold that begins.
    #[inline]
    pub(super) fn begin(&self, start: Start) -> Entry {
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

    /// Notes the end of a hold of this process.
    #[inline]
    pub(super) fn end(&self, entry: Entry, start: Start) {
        match entry.0.and_then(|at| self.entries.get(usize::from(at))) {
            // In a process that is being restored, another hold may have the entry already.
            Some(entry) => {
                let _ = entry.compare_exchange(start.to_word(), FREE, Ordering::Relaxed, Ordering::Relaxed);
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
    pub(super) fn oldest(&self, now: u64) -> Option<u64> {
        let words = self.entries.iter().map(|entry| entry.load(Ordering::Relaxed));
        words.filter(|word| !is_free(*word)).map(|word| Start::from_word(word).until(now)).max()
    }

    /// Returns the number of current holds without an entry. While there are any, the oldest hold may be older than
    /// [`oldest`](Self::oldest).
    pub(super) fn untracked(&self) -> u64 {
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

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_hold_that_never_ends_stays_the_oldest_whatever_comes_after_it() {
        let holds = Holds::new();
        let _leaked = holds.begin(Start::at(0));
        for now in 1..10 * ENTRIES as u64 {
            let start = Start::at(now);
            let entry = holds.begin(start);
            assert_ne!(entry, Entry(None));
            holds.end(entry, start);
            assert_eq!(holds.oldest(now), Some(now));
        }
        assert_eq!(holds.untracked(), 0);
    }

    #[test]
    fn as_many_holds_as_there_are_entries_are_all_known_and_further_ones_are_counted() {
        let holds = Holds::new();
        let starts: Vec<_> = (0..ENTRIES as u64).map(|now| Start::at(now * 10)).collect();
        let mut entries: Vec<_> = starts.iter().map(|start| (holds.begin(*start), *start)).collect();
        assert_eq!(holds.untracked(), 0);
        let further: Vec<_> = (0..3).map(|_| (holds.begin(Start::at(5_000)), Start::at(5_000))).collect();
        assert_eq!((holds.untracked(), holds.oldest(10_000)), (3, Some(10_000)));
        for (entry, start) in further {
            holds.end(entry, start);
        }
        assert_eq!(holds.untracked(), 0);
        // The oldest come first, so each end makes the next one the oldest.
        entries.reverse();
        while let Some((entry, start)) = entries.pop() {
            holds.end(entry, start);
            let next = entries.last().map(|(_, start)| start.until(10_000));
            assert_eq!(holds.oldest(10_000), next);
        }
    }

    #[test]
    fn threads_that_hold_at_once_never_share_a_entry() {
        let holds = Holds::new();
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let holds = &holds;
                scope.spawn(move || {
                    for turn in 0..20_000 {
                        let starts =
                            [thread, thread + 10, thread + 20].map(|n| Start::at(n * 1_000_000 + turn));
                        let entries = starts.map(|start| (holds.begin(start), start));
                        let is_own = |(entry, start): &(Entry, Start)| {
                            let at = usize::from(entry.0.expect("there are more entries than holds"));
                            holds.entries[at].load(Ordering::Relaxed) == start.to_word()
                        };
                        assert!(entries.iter().all(is_own));
                        for (entry, start) in entries {
                            holds.end(entry, start);
                        }
                    }
                });
            }
        });
        assert_eq!((holds.oldest(u64::MAX >> 8), holds.untracked()), (None, 0));
    }
}
