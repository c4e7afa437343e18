//! Tables in stock for callers, who don't allocate.

use super::table::{CLASSES, Table};
use crate::process::bell::Bell;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most tables that are kept of each class, without the smallest: 40, 160, 72 and 64 KiB. Where a class is used up, a
/// larger one serves. So before the worker is awake, forty distributions may outgrow their first table, and twenty of
/// those their second. In the model, each of two callers may take one.
const MAX: [usize; 4] = if cfg!(tasktag_loom) { [2; 4] } else { [20, 16, 3, 1] };
const _: () = assert!(CLASSES - 1 <= MAX.len());

/// Tables that callers put in place where a distribution has no room, without a lock and without allocating. The worker
/// replaces them at the next collection. Taking one wakes a worker that rests, and taking the last of a class wakes any
/// worker.
pub(crate) struct Stock {
    // By class, without the smallest, with which every distribution starts.
    shelves: [Shelf; CLASSES - 1],
    // The number of distributions that there may be, as far as it matters.
    distributions: AtomicUsize,
    bell: Arc<Bell>,
}

impl Stock {
    /// Makes a stock for a number of distributions. It rings when a table is taken while the worker rests.
    pub(crate) fn new(distributions: usize, bell: Arc<Bell>) -> Self {
        let shelves = std::array::from_fn(|shelf| Shelf::new(shelf + 1));
        let stock = Self { shelves, distributions: AtomicUsize::new(distributions), bell };
        stock.refill();
        stock
    }

    #[cfg(test)]
    pub(super) fn of(distributions: usize) -> Self {
        Self::new(distributions, Arc::default())
    }

    /// The number of distributions that it is made for.
    pub(crate) fn distributions(&self) -> usize {
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
        let distributions = self.distributions();
        self.shelves.iter().for_each(|shelf| shelf.refill(distributions));
    }

    /// Returns whether no table is missing.
    pub(crate) fn is_full(&self) -> bool {
        let distributions = self.distributions();
        self.shelves.iter().all(|shelf| shelf.missing(distributions) == 0)
    }

    pub(super) fn take(&self, class: usize) -> Option<Box<Table>> {
        let way_out = &self.shelf(class)?.way_out;
        let table = way_out.try_recv().ok()?;
        if way_out.is_empty() {
            // Until there is another, the values of distributions that need one cross the channel, and a burst may fill
            // it before the worker is awake.
            self.bell.ring();
        } else {
            self.bell.rouse();
        }
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
        let max = MAX.get(class - 1).copied().unwrap_or_default();
        // There is as much room again for what callers give back while the worker makes up for it.
        let (way_in, way_out) = bounded(2 * max);
        Self { class, way_in, way_out, max }
    }

    fn refill(&self, distributions: usize) {
        for _ in 0..self.missing(distributions) {
            self.give(Table::of(self.class));
        }
    }

    fn missing(&self, distributions: usize) -> usize {
        distributions.min(self.max).saturating_sub(self.way_out.len())
    }

    fn give(&self, table: Box<Table>) {
        drop(self.way_in.try_send(table));
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
    fn there_is_a_table_of_each_class_for_each_distribution_up_to_a_limit() {
        let stock = Stock::of(0);
        assert_eq!(in_stock(&stock), [0; 4]);
        stock.expect_another();
        assert_eq!(in_stock(&stock), [1, 1, 1, 1]);
        (0..1000).for_each(|_| stock.expect_another());
        assert_eq!(in_stock(&stock), [20, 16, 3, 1]);
        assert_eq!(in_stock(&Stock::of(stock.distributions())), [20, 16, 3, 1]);
    }

    #[test]
    fn who_takes_the_last_of_a_class_rings_for_more() {
        let bell = Arc::<Bell>::default();
        let stock = Stock::new(2, Arc::clone(&bell));
        let first = stock.take(1);
        assert!(first.is_some() && !bell.answer(), "there is another");
        let last = stock.take(1);
        assert!(last.is_some() && bell.answer() && stock.take(1).is_none());
    }

    #[test]
    fn what_was_taken_is_replaced_and_what_comes_back_is_kept() {
        let stock = Stock::of(1);
        assert!(stock.is_full());
        let table = stock.take(2).unwrap();
        assert!(!stock.is_full());
        assert!(stock.take(2).is_none() && stock.take(0).is_none() && stock.take(CLASSES).is_none());
        stock.refill();
        assert!(stock.is_full());
        stock.give(2, table);
        assert!(stock.is_full());
        assert_eq!(in_stock(&stock), [1, 2, 1, 1]);
    }

    #[test]
    fn a_worker_that_rests_is_roused_by_whoever_takes_a_table() {
        let bell = Arc::<Bell>::default();
        let stock = Stock::new(1, Arc::clone(&bell));
        assert!(bell.rest(|| stock.is_full()));
        assert!(stock.take(1).is_some() && bell.answer());
        assert!(!bell.rest(|| stock.is_full()), "a table is missing");
        stock.refill();
        assert!(bell.rest(|| stock.is_full()));
        // Of this class there is only one, which is taken by now.
        assert!(stock.take(4).is_some() && bell.answer() && stock.take(4).is_none() && !bell.answer());
    }
}
