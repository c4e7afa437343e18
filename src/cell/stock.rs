//! Tables in stock for callers, who don't allocate.

use super::slot::Slot;
use super::table::{CLASSES, Table, slots_of};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes of tables that are kept of each class, as far as that is more than one table.
const MAX_BYTES: usize = 96 * 1024;

/// How many classes are kept beyond the largest one that was ever taken. A distribution would have to outgrow two tables
/// between two collections to find none. The largest tables take the most memory, and most programs never need them.
const AHEAD: usize = 2;

/// Tables that callers put in place where a distribution has no room, without a lock and without allocating. The worker
/// replaces them at each collection.
pub(crate) struct Stock {
    // By class, without the smallest, with which every distribution starts.
    shelves: [Shelf; CLASSES - 1],
    // The number of distributions that there may be, as far as it matters.
    distributions: AtomicUsize,
    // The largest class that was taken.
    reached: AtomicUsize,
}

impl Stock {
    /// Makes a stock for no distribution yet.
    pub(crate) fn new() -> Self {
        Self::expecting(0, 0)
    }

    /// Makes a stock for the same distributions.
    pub(crate) fn renewed(&self) -> Self {
        let stock = Self::expecting(self.distributions(), self.reached.load(Ordering::Relaxed));
        stock.refill();
        stock
    }

    fn expecting(distributions: usize, reached: usize) -> Self {
        let shelves = std::array::from_fn(|shelf| Shelf::new(shelf + 1));
        let [distributions, reached] = [distributions, reached].map(AtomicUsize::new);
        Self { shelves, distributions, reached }
    }

    /// The number of distributions that it is made for.
    fn distributions(&self) -> usize {
        self.distributions.load(Ordering::Relaxed)
    }

    /// Prepares for one more distribution. It may allocate.
    pub(crate) fn expect_another(&self) {
        // Of two that come at once, one may go uncounted.
        self.distributions.store(self.distributions().saturating_add(1), Ordering::Relaxed);
        self.refill();
    }

    /// Makes the tables that are missing.
    pub(crate) fn refill(&self) {
        let (distributions, largest) = (self.distributions(), self.reached.load(Ordering::Relaxed) + AHEAD);
        let kept = self.shelves.iter().filter(|shelf| shelf.class <= largest);
        kept.for_each(|shelf| shelf.refill(distributions));
    }

    pub(super) fn take(&self, class: usize) -> Option<Box<Table>> {
        let table = self.shelf(class)?.way_out.try_recv().ok()?;
        self.reached.fetch_max(class, Ordering::Relaxed);
        Some(table)
    }

    /// Takes back a table that was not needed.
    pub(super) fn give(&self, class: usize, table: Box<Table>) {
        if let Some(shelf) = self.shelf(class) {
            shelf.give(table);
        }
    }

    fn shelf(&self, class: usize) -> Option<&Shelf> {
        self.shelves.get(class.checked_sub(1)?)
    }
}

/// The tables of one class.
struct Shelf {
    class: usize,
    way_in: Sender<Box<Table>>,
    way_out: Receiver<Box<Table>>,
    max: usize,
}

impl Shelf {
    fn new(class: usize) -> Self {
        // In the model, each of two callers may take one.
        let max =
            if cfg!(tasktag_loom) { 2 } else { MAX_BYTES / (slots_of(class) * size_of::<Slot>()) }.max(1);
        // There is as much room again for what callers give back while the worker makes up for it.
        let (way_in, way_out) = bounded(2 * max);
        Self { class, way_in, way_out, max }
    }

    fn refill(&self, distributions: usize) {
        for _ in self.way_out.len()..distributions.min(self.max) {
            self.give(Table::of(self.class));
        }
    }

    fn give(&self, table: Box<Table>) {
        drop(self.way_in.try_send(table));
    }
}

#[cfg(test)]
impl Stock {
    /// Makes a stock of every class for a number of distributions.
    pub(super) fn full(distributions: usize) -> Self {
        let stock = Self::expecting(distributions, CLASSES);
        stock.refill();
        stock
    }
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stock").field("distributions", &self.distributions).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    fn in_stock(stock: &Stock) -> [usize; 4] {
        std::array::from_fn(|shelf| stock.shelves[shelf].way_out.len())
    }

    #[test]
    fn there_are_tables_for_each_distribution_up_to_a_limit_two_sizes_ahead_of_what_was_needed() {
        let stock = Stock::new();
        stock.refill();
        assert_eq!(in_stock(&stock), [0; 4]);
        stock.expect_another();
        assert_eq!(in_stock(&stock), [1, 1, 0, 0]);
        (0..1000).for_each(|_| stock.expect_another());
        assert_eq!(in_stock(&stock), [48, 9, 0, 0]);
        for (taken, expected) in [(1, [48, 9, 4, 0]), (2, [48, 9, 4, 1]), (4, [48, 9, 4, 1])] {
            stock.take(taken).unwrap();
            stock.refill();
            assert_eq!(in_stock(&stock), expected);
            assert_eq!(in_stock(&stock.renewed()), expected);
        }
    }

    #[test]
    fn what_was_taken_is_replaced_and_what_comes_back_is_kept() {
        let stock = Stock::new();
        stock.expect_another();
        let table = stock.take(2).unwrap();
        assert!(stock.take(2).is_none() && stock.take(0).is_none() && stock.take(CLASSES).is_none());
        stock.refill();
        stock.give(2, table);
        assert_eq!(in_stock(&stock), [1, 2, 1, 1]);
    }
}
