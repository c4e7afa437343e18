//! A counter that many threads increment at once, with separately readable shares.

use crate::cell::{CounterBlock, CounterCell};
use crate::process::fork::make_whole;
use crate::process::sync::wide::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A number that only grows. Reading it adds up the [`Share`]s.
#[derive(Debug)]
pub(crate) struct StripedCount {
    cell: CounterCell,
    // The base that the parts are added to.
    start: AtomicU64,
    first: OnceLock<Arc<Part>>,
}

impl Default for StripedCount {
    fn default() -> Self {
        Self { cell: new_cell(), start: AtomicU64::new(0), first: OnceLock::new() }
    }
}

fn new_cell() -> CounterCell {
    CounterBlock::default().cell()
}

/// A link of a chain. The chain is as long as there were shares at the same time, because a new share reuses a released
/// link.
#[derive(Debug)]
struct Part {
    cell: CounterCell,
    is_taken: AtomicBool,
    next: OnceLock<Arc<Part>>,
}

impl Drop for Part {
    fn drop(&mut self) {
        // The loop drops one link after another. Recursion on a long chain would take as many nested calls.
        let mut next = self.next.take();
        while let Some(mut part) = next.and_then(Arc::into_inner) {
            next = part.next.take();
        }
    }
}

/// A share of a count, which can be read alone.
#[derive(Debug)]
pub(crate) struct Share {
    part: Arc<Part>,
    start: u64,
}

impl Share {
    /// Adds one, and returns the previous count of the thread's lane.
    #[inline]
    pub(crate) fn add_one(&self) -> u64 {
        self.part.cell.add_to_lane(1)
    }

    /// Does the same as [`add_one`](Self::add_one), but only if it takes just a few instructions.
    #[inline]
    pub(crate) fn add_one_at_once(&self) -> Option<u64> {
        self.part.cell.add_at_once(1)
    }

    pub(crate) fn get(&self) -> u64 {
        self.part.cell.sum().wrapping_sub(self.start)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // This Release pairs with the Acquire of the next share that uses the part.
        self.part.is_taken.store(false, Ordering::Release);
    }
}

impl StripedCount {
    pub(crate) fn add(&self, n: u64) {
        self.cell.add(n);
    }

    /// Returns a new share of this count.
    pub(crate) fn share(&self) -> Share {
        // Otherwise a forked child would wait for a part that another thread was creating.
        let _whole = make_whole();
        let new =
            || Arc::new(Part { cell: new_cell(), is_taken: AtomicBool::new(false), next: OnceLock::new() });
        let mut part = self.first.get_or_init(new);
        while part.is_taken.swap(true, Ordering::Acquire) {
            part = part.next.get_or_init(new);
        }
        Share { start: part.cell.sum(), part: Arc::clone(part) }
    }

    pub(crate) fn get(&self) -> u64 {
        self.sum().wrapping_sub(self.start.load(Ordering::Relaxed))
    }

    pub(super) fn clear(&self) {
        self.start.store(self.sum(), Ordering::Relaxed);
    }

    fn sum(&self) -> u64 {
        let mut sum = self.cell.sum();
        let mut next = self.first.get();
        while let Some(part) = next {
            sum = sum.wrapping_add(part.cell.sum());
            next = part.next.get();
        }
        sum
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn shares_are_part_of_the_sum_and_apart_from_each_other() {
        let count = StripedCount::default();
        let (one, other) = (count.share(), count.share());
        count.add(100);
        assert_eq!([one.add_one(), one.add_one(), other.add_one()], [0, 1, 0]);
        assert_eq!((one.get(), other.get(), count.get()), (2, 1, 103));
    }

    #[test]
    fn what_was_counted_stays_when_a_share_is_let_go_and_the_next_one_begins_at_0() {
        let count = StripedCount::default();
        for turn in 0..1000 {
            let share = count.share();
            assert_eq!((share.get(), count.get()), (0, turn));
            share.add_one();
            assert_eq!((share.get(), count.get()), (1, turn + 1));
        }
        let first = count.first.get().unwrap();
        assert!(first.next.get().is_none(), "there was one at a time");
        count.clear();
        assert_eq!(count.get(), 0);
    }

    #[test]
    fn a_long_chain_is_dropped_by_whoever_comes_last() {
        for shares_last in [true, false] {
            let count = StripedCount::default();
            let shares: Vec<_> = (0..5_000).map(|_| count.share()).collect();
            if shares_last {
                drop(count);
                drop(shares);
            } else {
                drop(shares);
                drop(count);
            }
        }
    }
}
