//! Counts how often something happened, in one word per lane. The worker sums the words.

use super::lane;
use crate::process::sync::{AtomicU64, Ordering};
use std::fmt;
use std::sync::Arc;

/// The number of counters of a block, whose words lie together in each row. With more, a single counter would cost
/// more, and many would cost hardly less.
const COLUMNS: usize = 16;

/// A word of each of a block's counters, for one lane, or for what was subtracted. They fill two cache lines of 64
/// bytes, because Intel's processors fetch lines in pairs: if two threads wrote the two lines of a pair, each would
/// take both from the other now and then, and a call by name would take twice as long. Where lines have 128 bytes, they
/// fill one.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Row([AtomicU64; COLUMNS]);

/// What was counted since the cell was made. Its lanes only grow: the worker reads them and never writes them.
pub(crate) struct CounterCell {
    // The lanes, and after them a row of what was subtracted. Words that only grow need no order between them.
    rows: Arc<[Row]>,
    column: usize,
}

/// The amounts added to and subtracted from a cell since it was made, both modulo 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    added: u64,
    taken_off: u64,
}

impl Counted {
    /// Returns the difference from an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> i128 {
        let added = self.added.wrapping_sub(earlier.added);
        let taken_off = self.taken_off.wrapping_sub(earlier.taken_off);
        i128::from(added) - i128::from(taken_off)
    }
}

impl CounterCell {
    /// Subtracts `n`, modulo 2^64. It uses a locked addition, because only bridges count down.
    #[allow(dead_code, reason = "not every build has a neighbour that counts down")]
    pub(crate) fn take_off(&self, n: u64) {
        if let Some(word) = self.taken_off() {
            word.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Returns the amounts whose differences the worker reports.
    pub(crate) fn counted(&self) -> Counted {
        let taken_off = self.taken_off().map_or(0, |word| word.load(Ordering::Relaxed));
        Counted { added: self.sum(), taken_off }
    }

    /// Adds `n`, modulo 2^64.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.add_to_lane(n);
    }

    /// Does the same as [`add`](Self::add), and returns the count of the thread's lane before that.
    #[inline]
    pub(crate) fn add_to_lane(&self, n: u64) -> u64 {
        self.add_at_once(n).unwrap_or_else(|| self.add_slowly(n))
    }

    /// Adds for a thread that has no lane of its own, or does not know it yet.
    #[inline(never)]
    fn add_slowly(&self, n: u64) -> u64 {
        lane::current();
        let shared = || self.word(lane::count() - 1).map(|word| word.fetch_add(n, Ordering::Relaxed));
        self.add_at_once(n).or_else(shared).unwrap_or(0)
    }

    /// Returns the word of a row. The owned lanes come first, and the shared one is the last lane. A thread without a
    /// lane of its own has an index beyond all rows, so the bounds check detects it.
    #[inline]
    fn word(&self, row: usize) -> Option<&AtomicU64> {
        self.rows.get(row).and_then(|row| row.0.get(self.column % COLUMNS))
    }

    /// Returns the word of what was subtracted.
    fn taken_off(&self) -> Option<&AtomicU64> {
        self.word(lane::count())
    }

    /// Does the same as [`add_to_lane`](Self::add_to_lane) in a few instructions, if the thread already has a lane of
    /// its own.
    #[inline]
    pub(crate) fn add_at_once(&self, n: u64) -> Option<u64> {
        let word = self.word(lane::own())?;
        // No other thread writes the word, so nothing is lost between the load and the store.
        let before = word.load(Ordering::Relaxed);
        word.store(before.wrapping_add(n), Ordering::Relaxed);
        Some(before)
    }

    /// Returns what was added since the cell was made, modulo 2^64.
    pub(crate) fn sum(&self) -> u64 {
        let words = (0..lane::count()).filter_map(|lane| self.word(lane));
        words.fold(0, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed)))
    }
}

/// This leaves out the rows of the block, because there are as many as threads may have.
impl fmt::Debug for CounterCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterCell").field("sum", &self.sum()).finish_non_exhaustive()
    }
}

/// Allocates counters in blocks, so that padding and lanes cost no more than necessary.
#[derive(Debug, Default)]
pub(crate) struct CounterBlock {
    rows: Option<Arc<[Row]>>,
    used: usize,
}

impl CounterBlock {
    /// Returns the cell of the next counter.
    pub(crate) fn cell(&mut self) -> CounterCell {
        if self.used == COLUMNS {
            *self = Self::default();
        }
        let new = || (0..=lane::count()).map(|_| Row::default()).collect();
        let rows = Arc::clone(self.rows.get_or_insert_with(new));
        let column = self.used;
        self.used += 1;
        CounterCell { rows, column }
    }
}

/// Counts that are identified by a number. Each lane has one row of them.
#[derive(Debug)]
pub(crate) struct CounterGrid {
    words: Box<[AtomicU64]>,
    // The width of a row, with padding that separates it from the pairs of cache lines of the next row.
    width: usize,
}

impl CounterGrid {
    /// Returns a grid of at least `columns` counts of 0.
    pub(crate) fn new(columns: usize) -> Self {
        let width = columns + COLUMNS;
        Self { words: (0..width * lane::count()).map(|_| AtomicU64::new(0)).collect(), width }
    }

    /// Adds one, modulo 2^64.
    #[inline]
    pub(crate) fn add_one(&self, column: usize) {
        match self.word(lane::own(), column) {
            // No other thread writes the word, as in `CounterCell::add_at_once`.
            Some(word) => word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed),
            None => self.add_one_slowly(column),
        }
    }

    /// Adds for a thread that has no lane of its own, or does not know it yet. It must not use a load and a store: a
    /// thread that is preempted between the two would undo what all others counted meanwhile.
    #[cold]
    #[inline(never)]
    fn add_one_slowly(&self, column: usize) {
        lane::current();
        let row = lane::own().min(lane::count() - 1);
        if let Some(word) = self.word(row, column) {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns a count since the grid was made, modulo 2^64.
    pub(crate) fn sum(&self, column: usize) -> u64 {
        let words = (0..lane::count()).filter_map(|row| self.word(row, column));
        words.fold(0, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed)))
    }

    /// Returns a word of a row. The rows of the owned lanes come first, and that of the shared one is the last. A
    /// thread without a lane of its own has an index beyond them, so the bounds check detects it.
    #[inline]
    fn word(&self, row: usize, column: usize) -> Option<&AtomicU64> {
        self.words.get(row.wrapping_mul(self.width).wrapping_add(column))
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_grid_are_apart_whoever_counts() {
        let grid = CounterGrid::new(20);
        std::thread::scope(|scope| {
            for _ in 0..lane::count() + 5 {
                scope.spawn(|| {
                    for column in 0..20 {
                        (0..=column).for_each(|_| grid.add_one(column));
                    }
                });
            }
        });
        let threads = lane::count() as u64 + 5;
        let sums: Vec<_> = (0..20).map(|column| grid.sum(column)).collect();
        assert_eq!(sums, (1..=20).map(|n| n * threads).collect::<Vec<_>>());
    }

    #[test]
    fn threads_without_a_lane_of_their_own_undo_nothing_of_each_others_counts() {
        let (grid, calls) = (CounterGrid::new(1), 50_000);
        let threads = lane::count() + 20;
        // All are there before any counts, so that some must share a lane.
        let met = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    lane::current();
                    met.wait();
                    (0..calls).for_each(|_| grid.add_one(0));
                });
            }
        });
        assert_eq!(grid.sum(0), threads as u64 * calls);
    }

    #[test]
    fn counters_of_a_block_are_apart() {
        let mut block = CounterBlock::default();
        let cells: Vec<_> = (0..40).map(|_| block.cell()).collect();
        for (n, cell) in (1..).zip(&cells) {
            cell.add(n);
        }
        assert_eq!(cells.iter().map(CounterCell::sum).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    }

    #[test]
    fn a_difference_has_a_sign_and_wraps_in_neither_direction() {
        let cell = CounterBlock::default().cell();
        cell.add(3);
        let earlier = cell.counted();
        assert_eq!(earlier.since(Counted::default()), 3);
        cell.take_off(5);
        assert_eq!(cell.counted().since(earlier), -5);
        let earlier = cell.counted();
        cell.take_off(u64::MAX);
        assert_eq!(cell.counted().since(earlier), -i128::from(u64::MAX));
        let earlier = cell.counted();
        cell.add(u64::MAX);
        assert_eq!(cell.counted().since(earlier), i128::from(u64::MAX));
    }

    #[test]
    fn threads_that_come_and_go_lose_nothing() {
        let cell = CounterBlock::default().cell();
        // More at a time than there are lanes, so that some share one.
        for _ in 0..5 {
            std::thread::scope(|scope| {
                for _ in 0..lane::count() + 5 {
                    scope.spawn(|| (0..1000).for_each(|_| cell.add(1)));
                }
            });
        }
        assert_eq!(cell.sum(), 5 * (lane::count() as u64 + 5) * 1000);
    }
}
