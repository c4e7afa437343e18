//! Tables of growing size, of which the newest counts.

use super::bucket::bucket_of;
use super::slot::MAX_COUNT;
use super::stock::Stock;
use super::table::{CLASSES, LARGEST, Table};
use crate::process::sync::{AtomicUsize, Ordering};
use once_cell::race::OnceBox;

/// Set in the number of the newest class once further tables share the records. No class has such a number, so every
/// record takes the slow path, where its place is found.
const SHARED: usize = 8;
const _: () = assert!(CLASSES <= SHARED);

/// Tables of growing size. All records go to the newest, so that a record looks at one table only. The others stay,
/// because a caller may still be writing there, and are empty after the next sweep. A bucket may be in several tables.
///
/// A caller that finds no room puts a larger table in place. It takes that from a [stock](Stock), because callers don't
/// allocate.
#[derive(Debug)]
pub(super) struct Chain {
    // The class of the newest table, and `SHARED`.
    newest: AtomicUsize,
    // By class. Some may be left out.
    tables: [OnceBox<Table>; CLASSES],
}

impl Chain {
    /// Makes a chain without a table, which has no room for anything.
    pub(super) fn new() -> Self {
        Self { newest: AtomicUsize::new(0), tables: [const { OnceBox::new() }; CLASSES] }
    }

    /// Makes a chain with the smallest table.
    pub(super) fn started() -> Self {
        let chain = Self::new();
        chain.install(0);
        chain
    }

    /// Returns the class of the newest table.
    #[inline]
    pub(super) fn class(&self) -> usize {
        // Pairs with the Release in `renew`.
        self.newest.load(Ordering::Acquire) & !SHARED
    }

    #[inline]
    fn newest(&self) -> Option<&Table> {
        self.table(self.class())
    }

    #[inline]
    fn table(&self, class: usize) -> Option<&Table> {
        self.tables.get(class)?.get()
    }

    /// All tables, the newest first.
    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().rev().filter_map(OnceBox::get)
    }

    /// Does the same as [`Table::add_at_once`], unless further tables share the records.
    #[inline]
    pub(super) fn add_at_once(&self, value: f64, n: u64) -> bool {
        self.table(self.newest.load(Ordering::Acquire)).is_some_and(|table| table.add_at_once(value, n))
    }

    /// Does the same as [`Table::add_at_once`], whether or not further tables share the records.
    #[inline]
    pub(super) fn add_at_once_here(&self, value: f64, n: u64) -> bool {
        self.newest().is_some_and(|table| table.add_at_once(value, n))
    }

    /// Makes records take the slow path from now on, because further tables share them.
    pub(super) fn share(&self) {
        self.newest.fetch_or(SHARED, Ordering::Relaxed);
    }

    /// Counts a value `n` times if the newest table has its bucket. The value need not be countable. It may return
    /// `false` if a larger table is worthwhile.
    pub(super) fn add_known(&self, value: f64, n: u64) -> bool {
        let class = self.class();
        self.table(class).is_some_and(|table| table.add_known(value, n, class < LARGEST))
    }

    /// Counts a countable value `n` times. It takes a larger table from the stock if it needs one or if one is
    /// worthwhile. It returns `false` if there is no room for the bucket, or if `n` is more than a slot holds.
    pub(super) fn add(&self, value: f64, n: u64, stock: Option<&Stock>) -> bool {
        // A larger table would not help.
        if n > MAX_COUNT {
            return false;
        }
        loop {
            let class = self.class();
            let Some(table) = self.table(class) else { return false };
            let grow = || stock.is_some_and(|stock| self.grow(class, stock));
            if table.is_strained() {
                if grow() {
                    continue;
                }
                // The stock is empty until the worker refills it, and not every record is to find that out.
                table.forget_strays();
            }
            if table.add(value, n) {
                return true;
            }
            if !grow() {
                // The older tables were emptied at the last sweep.
                return self.tables().any(|table| table.add(value, n));
            }
        }
    }

    /// Puts a table in place that is larger than that of a class, or notices that another caller has done so.
    #[cold]
    fn grow(&self, class: usize, stock: &Stock) -> bool {
        for (larger, place) in self.tables.iter().enumerate().skip(class + 1) {
            if place.get().is_none() {
                let Some(table) = stock.take(larger) else { continue };
                // Of two callers, the slower one gives its table back.
                if let Err(table) = place.set(table) {
                    stock.give(larger, table);
                }
            }
            self.renew(larger);
            return true;
        }
        false
    }

    /// Makes room for a value that crossed the channel because there was none. It may allocate.
    pub(super) fn make_room_for(&self, value: f64) {
        let class = self.class();
        let has_room = self.table(class).is_none_or(|table| table.has_room_for(bucket_of(value)));
        if !has_room && class < LARGEST {
            self.install(class + 1);
        }
    }

    pub(super) fn install(&self, class: usize) {
        if let Some(place) = self.tables.get(class) {
            place.get_or_init(|| Table::of(class));
            self.renew(class);
        }
    }

    /// Makes the table of a class the newest, unless a larger one is.
    fn renew(&self, class: usize) {
        let renewed = |newest: usize| Some(class.max(newest & !SHARED) | newest & SHARED);
        let _ = self.newest.fetch_update(Ordering::Release, Ordering::Relaxed, renewed);
    }

    /// Takes the value and the count of every bucket, and leaves the tables empty.
    pub(super) fn take(&self, found: &mut Vec<(f64, u64)>) {
        self.tables().for_each(|table| table.take(found));
    }

    /// Returns whether callers often met in a slot since the last call.
    pub(super) fn take_crowded(&self) -> bool {
        // Every table is checked, because the check resets its collisions.
        self.tables().map(Table::take_crowded).fold(false, |a, b| a | b)
    }

    #[cfg(all(test, not(tasktag_loom)))]
    pub(super) fn is_crowded(&self) -> bool {
        self.tables().any(Table::is_crowded)
    }

    /// Empties the tables in a forked child.
    pub(super) fn start_over(&self) {
        self.tables().for_each(Table::start_over);
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::super::table::slots_of;
    use super::*;

    fn taken(chain: &Chain) -> Vec<(f64, u64)> {
        let mut found = Vec::new();
        chain.take(&mut found);
        found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        found
    }

    /// The least values of buckets in a row.
    fn dense(buckets: u64) -> impl Iterator<Item = f64> + Clone {
        (0..buckets).map(|step| f64::from_bits((0x3FF << 52) + (step << 45)))
    }

    fn slots(chain: &Chain) -> Vec<usize> {
        let is_made = |class: &usize| chain.table(*class).is_some();
        (0..CLASSES).filter(is_made).map(slots_of).collect()
    }

    #[test]
    fn a_chain_grows_with_what_it_holds() {
        for (buckets, expected) in [
            (30, &[31][..]),
            (100, &[31, 127]),
            (500, &[31, 127, 639]),
            (1400, &[31, 127, 639, 1535]),
            (4096, &[31, 127, 639, 1535, 4097]),
        ] {
            let (chain, stock) = (Chain::started(), Stock::of(1));
            for _ in 0..2 {
                assert!(dense(buckets).all(|value| chain.add(value, 1, Some(&stock))), "{buckets}");
            }
            assert_eq!(slots(&chain), expected);
            assert_eq!(taken(&chain).iter().map(|(_, n)| n).sum::<u64>(), 2 * buckets);
            assert_eq!(taken(&chain), []);
        }
    }

    #[test]
    fn a_class_that_is_not_in_stock_is_left_out() {
        let (chain, stock) = (Chain::started(), Stock::of(1));
        while stock.take(1).is_some() {}
        assert!(dense(100).all(|value| chain.add(value, 1, Some(&stock))));
        assert_eq!(slots(&chain), [31, 639]);
    }

    #[test]
    fn without_a_stock_there_is_room_for_what_fits_in_the_tables_that_there_are() {
        let chain = Chain::started();
        let kept = |chain: &Chain| dense(4096).filter(|value| chain.add(*value, 1, None)).count();
        assert_eq!((kept(&chain), kept(&chain)), (31, 31));
        taken(&chain);
        chain.install(1);
        assert_eq!(kept(&chain), 31 + 127);
    }

    #[test]
    fn room_is_made_once_for_values_that_crossed_the_channel() {
        let chain = Chain::started();
        let refused: Vec<f64> = dense(100).filter(|value| !chain.add(*value, 1, None)).collect();
        for value in &refused {
            chain.make_room_for(*value);
        }
        assert_eq!(slots(&chain), [31, 127]);
        assert!(refused.iter().all(|value| chain.add(*value, 1, None)));
        (0..10).for_each(|_| chain.make_room_for(1.5));
        assert_eq!(slots(&chain), [31, 127]);
    }

    #[test]
    fn a_chain_never_grows_beyond_the_largest_table() {
        let (chain, stock) = (Chain::started(), Stock::of(1));
        let kept = dense(8000).filter(|value| chain.add(*value, 1, Some(&stock))).count();
        assert!((4096..8000).contains(&kept), "{kept}");
        dense(8000).for_each(|value| chain.make_room_for(value));
        assert_eq!(slots(&chain), [31, 127, 639, 1535, 4097]);
    }

    #[test]
    fn a_busy_chain_grows_until_its_buckets_are_in_their_own_slots() {
        let (chain, stock) = (Chain::started(), Stock::of(1));
        // In a table of 127 slots, the second half meets the first.
        let values: Vec<f64> =
            dense(127 + 55).enumerate().filter(|(n, _)| n % 127 < 55).map(|(_, value)| value).collect();
        let record = |value: &f64| {
            chain.add_at_once(*value, 1) || chain.add_known(*value, 1) || chain.add(*value, 1, Some(&stock))
        };
        for _ in 0..1000 {
            assert!(values.iter().all(record));
        }
        assert!(values.iter().all(|value| chain.add_at_once(*value, 1)));
        assert_eq!(chain.class(), 2);
    }

    #[test]
    fn a_chain_without_a_table_has_no_room() {
        let chain = Chain::new();
        assert!(!chain.add_at_once(1.0, 1) && !chain.add_known(1.0, 1) && !chain.add(1.0, 1, None));
        chain.make_room_for(1.0);
        assert_eq!((slots(&chain), taken(&chain)), (vec![], vec![]));
    }
}
