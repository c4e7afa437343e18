//! How often something happened: a word a lane, summed by the worker.

use super::lane;
use crate::process::sync::{AtomicU64, Ordering};
use std::fmt;
use std::sync::Arc;

/// Counters that stand side by side in a cache line of each lane.
const COLUMNS: usize = 8;

/// A lane's words of eight counters. Lines are 64 bytes on the machines that matter; where they are longer, two
/// threads may share one, which is slower and nothing worse.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Lane([AtomicU64; COLUMNS]);

/// What was counted since the cell was made, in lanes that only grow: the worker reads and never writes them.
pub(crate) struct CounterCell {
    lanes: Arc<[Lane]>,
    column: usize,
    // Beside the lanes: two words that only grow need no order between them.
    taken_off: AtomicU64,
}

/// How much was added to a cell and taken off it since it was made, both modulo 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    added: u64,
    taken_off: u64,
}

impl Counted {
    /// The difference to an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> i128 {
        let added = self.added.wrapping_sub(earlier.added);
        let taken_off = self.taken_off.wrapping_sub(earlier.taken_off);
        i128::from(added) - i128::from(taken_off)
    }
}

impl CounterCell {
    /// Takes `n` off; wraps at 2^64. A locked addition: only bridges count down.
    #[allow(dead_code, reason = "not every build has a neighbour that counts down")]
    pub(crate) fn take_off(&self, n: u64) {
        self.taken_off.fetch_add(n, Ordering::Relaxed);
    }

    /// What the worker reports the differences of.
    pub(crate) fn counted(&self) -> Counted {
        Counted { added: self.sum(), taken_off: self.taken_off.load(Ordering::Relaxed) }
    }

    /// Adds; wraps at 2^64.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.add_to_lane(n);
    }

    /// As [`add`](Self::add), and says what the thread's lane had before: its threads count it up.
    #[inline]
    pub(crate) fn add_to_lane(&self, n: u64) -> u64 {
        self.add_at_once(n).unwrap_or_else(|| self.add_slowly(n))
    }

    /// For a thread that has no lane of its own, or does not know it yet.
    #[inline(never)]
    fn add_slowly(&self, n: u64) -> u64 {
        lane::current();
        let shared = || self.word(self.lanes.len() - 1).map(|word| word.fetch_add(n, Ordering::Relaxed));
        self.add_at_once(n).or_else(shared).unwrap_or(0)
    }

    /// The lanes are the owned ones, and the shared one behind them. There is none beyond, so that a thread without a lane of
    /// its own is told by the same check as any index.
    #[inline]
    fn word(&self, lane: usize) -> Option<&AtomicU64> {
        self.lanes.get(lane).and_then(|lane| lane.0.get(self.column % COLUMNS))
    }

    /// As [`add_to_lane`](Self::add_to_lane), where the thread has a lane of its own already: a matter of a few instructions.
    #[inline]
    pub(crate) fn add_at_once(&self, n: u64) -> Option<u64> {
        let word = self.word(lane::own())?;
        // Nobody else writes it, so nothing is lost between the two.
        let before = word.load(Ordering::Relaxed);
        word.store(before.wrapping_add(n), Ordering::Relaxed);
        Some(before)
    }

    /// What was added since the cell was made, modulo 2^64.
    pub(crate) fn sum(&self) -> u64 {
        let words = self.lanes.iter().filter_map(|lane| lane.0.get(self.column % COLUMNS));
        words.fold(0, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed)))
    }
}

/// Not all lanes of its block, of which there are as many as threads may have.
impl fmt::Debug for CounterCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CounterCell").field("sum", &self.sum()).finish_non_exhaustive()
    }
}

/// Places counters: eight to a block, so that neither padding nor lanes cost more than they must.
#[derive(Debug, Default)]
pub(crate) struct CounterBlock {
    lanes: Option<Arc<[Lane]>>,
    used: usize,
}

impl CounterBlock {
    /// The next counter's cell.
    pub(crate) fn cell(&mut self) -> CounterCell {
        if self.used == COLUMNS {
            *self = Self::default();
        }
        let new = || (0..lane::count()).map(|_| Lane::default()).collect();
        let lanes = Arc::clone(self.lanes.get_or_insert_with(new));
        let column = self.used;
        self.used += 1;
        CounterCell { lanes, column, taken_off: AtomicU64::new(0) }
    }
}

/// Counts side by side, for whoever tells them apart by a number: each lane has a row of them.
#[derive(Debug)]
pub(crate) struct CounterGrid {
    words: Box<[AtomicU64]>,
    // Of a row, with as much behind it as keeps it off the lines of the next.
    width: usize,
}

impl CounterGrid {
    /// At least `columns` counts of 0.
    pub(crate) fn new(columns: usize) -> Self {
        let width = columns + COLUMNS;
        Self { words: (0..width * lane::count()).map(|_| AtomicU64::new(0)).collect(), width }
    }

    /// Adds one; wraps at 2^64.
    #[inline]
    pub(crate) fn add_one(&self, column: usize) {
        match self.word(lane::own(), column) {
            // As in `CounterCell::add`.
            Some(word) => word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed),
            None => self.add_one_slowly(column),
        }
    }

    /// For a thread that has no lane of its own, or does not know it yet. Not a load and a store: one that is put off
    /// between the two would undo what all others counted meanwhile.
    #[cold]
    #[inline(never)]
    fn add_one_slowly(&self, column: usize) {
        lane::current();
        let row = lane::own().min(lane::count() - 1);
        if let Some(word) = self.word(row, column) {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A count since the grid was made, modulo 2^64.
    pub(crate) fn sum(&self, column: usize) -> u64 {
        let words = (0..lane::count()).filter_map(|row| self.word(row, column));
        words.fold(0, |sum, word| sum.wrapping_add(word.load(Ordering::Relaxed)))
    }

    /// Rows are those of the owned lanes, and the shared one's behind them. There is none beyond, so that a thread without
    /// a lane of its own is told by the same check as any index.
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
        let cells: Vec<_> = (0..20).map(|_| block.cell()).collect();
        for (n, cell) in (1..).zip(&cells) {
            cell.add(n);
        }
        assert_eq!(cells.iter().map(CounterCell::sum).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
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
