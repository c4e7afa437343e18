//! A number that many threads add to at once, and of which some count a share of their own.

use crate::cell::{CounterBlock, CounterCell};
use crate::process::fork::make_whole;
use crate::process::sync::wide::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A number that only grows. What is counted in a [`Share`] is added up when the number is asked for.
#[derive(Debug)]
pub(crate) struct StripedCount {
    cell: CounterCell,
    // What is counted from.
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

/// A link of a chain: as many as there were shares at once, since the next share takes over what another let go.
#[derive(Debug)]
struct Part {
    cell: CounterCell,
    is_taken: AtomicBool,
    next: OnceLock<Arc<Part>>,
}

impl Drop for Part {
    fn drop(&mut self) {
        // One after another: a long chain would be as many calls in each other.
        let mut next = self.next.take();
        while let Some(mut part) = next.and_then(Arc::into_inner) {
            next = part.next.take();
        }
    }
}

/// What one counts of a number, and can ask for alone.
#[derive(Debug)]
pub(crate) struct Share {
    part: Arc<Part>,
    start: u64,
}

impl Share {
    /// Adds one, and says what the thread's lane had before.
    #[inline]
    pub(crate) fn add_one(&self) -> u64 {
        self.part.cell.add_to_lane(1)
    }

    /// As [`add_one`](Self::add_one), where that is a matter of a few instructions.
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
        // Release, for the Acquire of the next one who counts there.
        self.part.is_taken.store(false, Ordering::Release);
    }
}

impl StripedCount {
    pub(crate) fn add(&self, n: u64) {
        self.cell.add(n);
    }

    /// A count of its own within this one.
    pub(crate) fn share(&self) -> Share {
        // A forked child would wait for a part that was being made.
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
