//! Tables in stock for callers, who don't allocate.

use super::table::{CLASSES, Table};
use crate::process::bell::Bell;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The most tables that are kept of each class, without the smallest: 48, 200, 72 and 64 KiB. Most distributions that
/// outgrow a table at once outgrow the next one too, so there are nearly as many of the third class as of the second.
const MAX: [usize; 4] = if cfg!(tasktag_loom) { [2; 4] } else { [24, 20, 3, 1] };
const _: () = assert!(CLASSES - 1 <= MAX.len());

/// Tables that callers put in place where a distribution has no room, without a lock and without allocating. The worker
/// replaces them at the next collection. Taking one wakes a worker that rests. Taking one wakes any worker if it is the
/// last of its class, or if there is none of the next class. So does finding none.
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
        for (shelf, wanted) in self.shelves.iter().zip(self.wanted()) {
            shelf.refill(wanted);
        }
    }

    /// Returns whether no table is missing.
    pub(crate) fn is_full(&self) -> bool {
        self.shelves.iter().zip(self.wanted()).all(|(shelf, wanted)| shelf.missing(wanted) == 0)
    }

    /// The number of tables that each shelf is to have. There is one of the largest class from the first distribution
    /// on, because a burst may need all of 30 octaves before the first collection. Those of the class before it are
    /// made once one was asked for, or may soon be: a forked child has distributions that have grown already.
    fn wanted(&self) -> impl Iterator<Item = usize> {
        let distributions = self.distributions();
        self.shelves.iter().enumerate().map(move |(place, shelf)| {
            let is_in_between = place > 1 && place + 1 < self.shelves.len();
            let before = || self.shelves.get(place - 1).is_some_and(Shelf::was_asked);
            if is_in_between && !shelf.was_asked() && !before() { 0 } else { distributions.min(shelf.max) }
        })
    }

    pub(super) fn take(&self, class: usize) -> Option<Box<Table>> {
        let source = self.shelf(class)?;
        let table = source.take();
        if source.is_empty() || self.shelf(class + 1).is_some_and(Shelf::is_empty) {
            // Until there is another, the values of distributions that need one cross the channel, and a burst may fill
            // it before the worker is awake.
            self.bell.ring();
        } else {
            self.bell.rouse();
        }
        table
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
    // Whether a caller ever wanted one.
    was_asked: AtomicBool,
}

impl Shelf {
    fn new(class: usize) -> Self {
        let max = MAX.get(class - 1).copied().unwrap_or_default();
        // There is as much room again for what callers give back while the worker makes up for it.
        let (way_in, way_out) = bounded(2 * max);
        Self { class, way_in, way_out, max, was_asked: AtomicBool::new(false) }
    }

    fn refill(&self, wanted: usize) {
        for _ in 0..self.missing(wanted) {
            self.give(Table::of(self.class));
        }
    }

    fn missing(&self, wanted: usize) -> usize {
        wanted.saturating_sub(self.way_out.len())
    }

    fn is_empty(&self) -> bool {
        self.way_out.is_empty()
    }

    fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }

    fn take(&self) -> Option<Box<Table>> {
        self.was_asked.store(true, Ordering::Relaxed);
        self.way_out.try_recv().ok()
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
    fn there_are_tables_for_each_distribution_up_to_a_limit() {
        let stock = Stock::of(0);
        assert_eq!(in_stock(&stock), [0; 4]);
        stock.expect_another();
        assert_eq!(in_stock(&stock), [1, 1, 0, 1]);
        (0..1000).for_each(|_| stock.expect_another());
        assert_eq!(in_stock(&stock), [24, 20, 0, 1]);
        assert_eq!(in_stock(&Stock::of(stock.distributions())), [24, 20, 0, 1]);
    }

    #[test]
    fn tables_of_the_class_before_the_largest_are_made_once_the_one_before_may_be_outgrown() {
        let bell = Arc::<Bell>::default();
        let stock = Stock::new(9, Arc::clone(&bell));
        assert!(stock.take(1).is_some() && !bell.answer());
        assert!(stock.take(2).is_some() && bell.answer() && !stock.is_full(), "at once");
        stock.refill();
        assert_eq!(in_stock(&stock), [9, 9, 3, 1]);
        assert!(stock.take(2).is_some() && !bell.answer(), "there are some");
    }

    #[test]
    fn a_table_that_was_asked_for_in_vain_is_there_from_then_on() {
        let bell = Arc::<Bell>::default();
        // As in a forked child, whose distributions have outgrown the tables before.
        let stock = Stock::new(2, Arc::clone(&bell));
        assert!(stock.take(3).is_none() && bell.answer() && !stock.is_full());
        stock.refill();
        assert_eq!(in_stock(&stock), [2, 2, 2, 1]);
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
        assert_eq!(in_stock(&stock), [1, 2, 1, 1], "and one for who took it");
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
        assert!(stock.take(4).is_some() && bell.answer() && stock.take(4).is_none() && bell.answer());
    }
}
