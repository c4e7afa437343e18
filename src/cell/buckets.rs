//! The tables of a distribution, which fold values into logarithmic buckets.

use super::lane;
use super::table::{Table, bucket_of, rank_of};
use crate::process::fork;
use crate::process::sync::{AtomicUsize, Ordering};
use crate::vocabulary::unit::KnownUnit;
use std::sync::OnceLock;

/// The number of distinct buckets that always fit: 32 octaves with every bucket in use. The Agent's own sketch keeps as
/// many.
const SLOTS: usize = if cfg!(tasktag_loom) { 2 } else { 4096 };
/// The slots of a further table: 8 octaves, which is more than a metric's busy values span. The other values go to the
/// first table.
const FURTHER_SLOTS: usize = if cfg!(tasktag_loom) { 1 } else { 1024 };

/// The maximum number of tables besides the first.
const MAX_FURTHER: usize = 7;
const _: () = assert!((MAX_FURTHER + 1).is_power_of_two());

type Further = Table<FURTHER_SLOTS>;

/// The spread of buckets that nobody reads. This mask contains no lane, and it is not 0, so every record takes the slow
/// path, where it is dropped.
const UNREAD: usize = 1 << (usize::BITS - 1);

/// The buckets of a distribution, in one or more tables.
///
/// Threads that record at the same time take the table's cache lines from each other, and a record then takes several
/// times as long. Failed exchanges show this. The worker, which may allocate, then doubles the number of tables, and
/// each thread uses the table of its lane. Buckets that occur in several tables are merged when they are taken.
#[derive(Debug)]
pub(crate) struct Buckets {
    first: Table<SLOTS>,
    // The number of further tables in use. It is 0, 1, 3 or 7, so that it is also a mask of lanes.
    spread: AtomicUsize,
    further: [OnceLock<Further>; MAX_FURTHER],
    pub(crate) unit: KnownUnit,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self {
            first: Table::new(),
            spread: AtomicUsize::new(0),
            further: [const { OnceLock::new() }; MAX_FURTHER],
            unit: KnownUnit::new(),
        }
    }

    /// Returns buckets that nobody reads. They accept everything and keep nothing.
    pub(crate) fn unread() -> Self {
        Self { spread: AtomicUsize::new(UNREAD), ..Self::new() }
    }

    /// Counts a countable value `n` times if that takes only a few instructions. If it returns `false`,
    /// [`add_apart`](Self::add_apart) and then [`add`](Self::add) must be called.
    #[inline]
    pub(crate) fn add_at_once(&self, value: f64, n: u64) -> bool {
        self.spread.load(Ordering::Relaxed) == 0 && self.first.add_at_once(value, n)
    }

    /// Does the same as [`add_at_once`](Self::add_at_once) in the table of the thread's lane, if the lane is known.
    #[inline]
    pub(crate) fn add_apart(&self, value: f64, n: u64) -> bool {
        lane::known().is_some_and(|lane| self.add_at_once_from(lane, value, n))
    }

    #[inline]
    fn add_at_once_from(&self, lane: usize, value: f64, n: u64) -> bool {
        let spread = self.spread();
        match self.further_of(lane & spread) {
            Some(table) => table.add_at_once(value, n),
            None => spread == UNREAD || self.first.add_at_once(value, n),
        }
    }

    /// Counts a countable value `n` times. It returns `false` if there is no room for its bucket, or if `n` is more
    /// than a slot holds. The caller must then record the value elsewhere.
    pub(crate) fn add(&self, value: f64, n: u64) -> bool {
        self.add_from(lane::current, value, n)
    }

    fn add_from(&self, lane: impl FnOnce() -> usize, value: f64, n: u64) -> bool {
        let spread = self.spread();
        if spread == UNREAD {
            return true;
        }
        // Lanes are scarce, so a thread claims none for a single table.
        let own = if spread == 0 { None } else { self.further_of(lane() & spread) };
        // A value that does not fit into a further table goes to the first one.
        own.is_some_and(|table| table.add(value, n)) || self.first.add(value, n)
    }

    #[inline]
    fn spread(&self) -> usize {
        // Pairs with the Release in `widen`: a thread that sees the spread also sees the tables.
        self.spread.load(Ordering::Acquire)
    }

    /// Returns a table by its number, unless it is the first.
    #[inline]
    fn further_of(&self, table: usize) -> Option<&Further> {
        self.further.get(table.checked_sub(1)?)?.get()
    }

    /// Takes the value and the count of every bucket, in ascending order, and leaves the tables empty.
    pub(crate) fn take(&self, mut each: impl FnMut(f64, u64)) {
        let mut found = Vec::new();
        self.first.take(&mut found);
        let further = || self.further.iter().map_while(OnceLock::get);
        further().for_each(|table| table.take(&mut found));
        if found.is_empty() {
            return;
        }
        // Every table is checked, because the check resets its collisions.
        let crowded = further().map(Table::take_crowded).fold(self.first.take_crowded(), |a, b| a | b);
        if crowded {
            self.widen();
        }
        if !found.is_sorted_by(|(a, _), (b, _)| rank_of(*a) < rank_of(*b)) {
            unite(&mut found);
        }
        for (value, n) in found {
            each(value, n);
        }
    }

    /// Empties the tables in a forked child, because their values belong to the parent.
    pub(crate) fn start_over(&self) {
        self.first.start_over();
        self.further.iter().map_while(OnceLock::get).for_each(Table::start_over);
    }

    /// Doubles the number of tables, up to the limit.
    #[cold]
    fn widen(&self) {
        let spread = (2 * self.spread.load(Ordering::Relaxed) + 1).min(MAX_FURTHER);
        for further in self.further.iter().take(spread).filter(|further| further.get().is_none()) {
            // If the parent forked meanwhile, a plain initialization would make the child's worker wait for the
            // parent's.
            fork::fill(further, Table::new());
        }
        self.spread.store(spread, Ordering::Release);
    }
}

/// Sorts the values by bucket, and merges those that share a bucket.
fn unite(found: &mut Vec<(f64, u64)>) {
    // The sort is stable, so a bucket of several tables keeps the value of the first one. It makes use of the order
    // within each table.
    found.sort_by_key(|(value, _)| rank_of(*value));
    found.dedup_by(|(later, more), (earlier, n)| {
        let same = bucket_of(*later) == bucket_of(*earlier);
        if same {
            *n += *more;
        }
        same
    });
}

#[cfg(all(test, tasktag_loom))]
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// Records a value as a handle does.
    fn record(buckets: &Buckets, lane: usize, value: f64) {
        assert!(buckets.add_at_once_from(lane, value, 1) || buckets.add_from(|| lane, value, 1));
    }

    /// What one sweep and a later one find together is what was recorded, in whatever order things happen.
    fn counts_are_conserved(values: [f64; 2], start: impl Fn(&Buckets) + Copy + Send + Sync + 'static) {
        crate::process::sync::model(move || {
            let buckets = Arc::new(Buckets::new());
            // One caller finds the slot taken, and goes the short way.
            record(&buckets, 1, values[0]);
            let writers = [1, 2].map(|lane| {
                let buckets = Arc::clone(&buckets);
                thread::spawn(move || record(&buckets, lane, values[lane - 1]))
            });
            start(&buckets);
            let mut total = 0;
            let mut take = || {
                let mut last = None;
                buckets.take(|value, n| {
                    let rank = rank_of(value);
                    assert!(values.map(rank_of).contains(&rank) && last.replace(rank) < Some(rank));
                    total += n;
                });
            };
            take();
            for writer in writers {
                writer.join().unwrap();
            }
            // No later value marks the table: what the first sweep passed by must be marked still.
            take();
            assert_eq!(total, 3);
        });
    }

    #[test]
    fn two_callers_in_one_bucket_and_a_sweep() {
        counts_are_conserved([1.0, 1.001], |_| ());
    }

    #[test]
    fn two_callers_in_two_buckets_and_a_sweep() {
        counts_are_conserved([1.0, 1.5], |_| ());
    }

    #[test]
    fn two_callers_in_one_bucket_while_the_tables_double_and_a_sweep() {
        counts_are_conserved([1.0, 1.001], Buckets::widen);
    }

    #[test]
    fn two_callers_in_two_buckets_while_the_tables_double_and_a_sweep() {
        counts_are_conserved([1.0, 1.5], Buckets::widen);
    }

    /// A further table of the model has one slot: of two buckets one goes to the first table.
    #[test]
    fn two_callers_where_only_one_has_room_in_a_further_table() {
        crate::process::sync::model(|| {
            let buckets = Arc::new(Buckets::new());
            buckets.widen();
            let writers = [1.0, 1.5].map(|value| {
                let buckets = Arc::clone(&buckets);
                thread::spawn(move || record(&buckets, 1, value))
            });
            let mut found = Vec::new();
            buckets.take(|value, n| found.push((value, n)));
            for writer in writers {
                writer.join().unwrap();
            }
            buckets.take(|value, n| found.push((value, n)));
            assert_eq!((found.len(), found.iter().map(|(_, n)| n).sum::<u64>()), (2, 2));
            assert_ne!(rank_of(found[0].0), rank_of(found[1].0));
        });
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;
    use crate::cell::countable;
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::{Duration, Instant};

    fn taken(buckets: &Buckets) -> Vec<(f64, u64)> {
        let mut found = Vec::new();
        buckets.take(|value, n| found.push((value, n)));
        found
    }

    /// A forked child would wait for the rest.
    #[test]
    fn no_table_is_put_in_place_while_a_thread_forks() {
        let buckets = Buckets::new();
        thread::scope(|scope| {
            let forking = fork::make_whole();
            let widening = scope.spawn(|| buckets.widen());
            fork::waiting::wait_for(&widening);
            assert!(buckets.spread() == 0 && buckets.further.iter().all(|table| table.get().is_none()));
            drop(forking);
        });
        assert!(buckets.spread() == 1 && buckets.further_of(1).is_some());
    }

    /// With as many tables as there can be.
    fn wide() -> Buckets {
        let buckets = Buckets::new();
        (0..5).for_each(|_| buckets.widen());
        buckets
    }

    /// The least values of as many buckets in a row as fit.
    fn dense() -> impl Iterator<Item = f64> + Clone {
        (0..SLOTS as u64).map(|step| f64::from_bits((0x3FF << 52) + (step << 45)))
    }

    #[test]
    fn lone_values_come_back_exactly_from_the_least_to_the_greatest() {
        let values = [-1e300, -12.5, 0.0, 1e-300, 1e-9, 0.1, 1.0, 3.0, 1e18, f64::MAX];
        for buckets in [Buckets::new(), wide()] {
            for (lane, value) in values.into_iter().enumerate() {
                assert!(buckets.add_from(|| lane, value, 1));
            }
            assert_eq!(taken(&buckets), values.map(|value| (value, 1)));
            assert_eq!(taken(&buckets), []);
        }
    }

    #[test]
    fn buckets_that_nobody_reads_take_everything_and_keep_nothing() {
        let buckets = Buckets::unread();
        let record =
            |value| buckets.add_at_once(value, 1) || buckets.add_apart(value, 1) || buckets.add(value, 1);
        // More of them than a table has room for, by a thread without a lane and by one with it.
        assert!(dense().chain([-1.0, 0.0, f64::MAX]).all(record));
        lane::current();
        assert!(dense().chain([-1.0, 0.0, f64::MAX]).all(record));
        assert_eq!(taken(&buckets), []);
    }

    #[test]
    fn the_zeroes_share_a_bucket() {
        let buckets = Buckets::new();
        assert!(buckets.add(countable(-0.0).unwrap(), 1) && buckets.add(countable(0.0).unwrap(), 2));
        assert_eq!(taken(&buckets), [(0.0, 3)]);
    }

    #[test]
    fn a_bucket_that_several_tables_had_is_one_with_the_sum_of_its_counts() {
        let buckets = wide();
        for lane in 0..20 {
            for value in [-7.0, 0.0, 1.001, 1.0, 250.0] {
                assert!(buckets.add_from(|| lane, value, 3));
            }
        }
        assert_eq!(taken(&buckets), [(-7.0, 60), (0.0, 60), (1.001, 120), (250.0, 60)]);
    }

    #[test]
    fn a_bucket_that_several_tables_had_has_the_value_of_the_first() {
        let buckets = wide();
        for (lane, value) in [(1, 1.003), (2, 1.001), (0, 1.002)] {
            assert!(buckets.add_from(|| lane, value, 1));
        }
        assert_eq!(taken(&buckets), [(1.002, 3)]);
    }

    #[test]
    fn the_tables_double_up_to_eight() {
        let buckets = Buckets::new();
        let tables = |buckets: &Buckets| {
            let made = buckets.further.iter().filter(|table| table.get().is_some()).count();
            assert_eq!(made, buckets.spread.load(Ordering::Relaxed));
            1 + made
        };
        let grown = [(); 6].map(|()| {
            let before = tables(&buckets);
            buckets.widen();
            before
        });
        assert_eq!(grown, [1, 2, 4, 8, 8, 8]);
    }

    #[test]
    fn each_lane_keeps_to_its_table_and_shares_it_when_there_are_more_lanes() {
        let buckets = wide();
        for lane in 0..16 {
            assert!(buckets.add_from(|| lane, 2.5, 1) && buckets.add_at_once_from(lane, 2.5, 1));
        }
        let mut found = Vec::new();
        buckets.first.take(&mut found);
        buckets.further.iter().for_each(|table| table.get().unwrap().take(&mut found));
        assert_eq!(found, [(2.5, 4); 8]);
    }

    #[test]
    fn one_thread_has_one_table_however_much_it_records() {
        let buckets = Buckets::new();
        for value in dense().cycle().take(100_000) {
            assert!(buckets.add(value, 1));
        }
        assert_eq!(taken(&buckets).len(), SLOTS);
        assert_eq!(buckets.spread.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn threads_that_meet_often_get_tables_of_their_own_at_a_sweep() {
        let buckets = Buckets::new();
        let spread = || buckets.spread.load(Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(60);
        let stop = AtomicBool::new(false);
        let record = || {
            let mut added = 0;
            while !stop.load(Ordering::Relaxed) {
                assert!(buckets.add_at_once(12.5, 1) || buckets.add(12.5, 1));
                added += 1;
            }
            added
        };
        let mut total = 0;
        let added: u64 = thread::scope(|scope| {
            let writers = [(); 2].map(|()| scope.spawn(record));
            while !buckets.first.is_crowded() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            buckets.take(|_, n| total += n);
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert!(spread() > 0);
        total += taken(&buckets).iter().map(|(_, n)| n).sum::<u64>();
        assert_eq!(total, added);
    }

    #[test]
    fn thirty_two_dense_octaves_fit_in_one_table_and_in_several() {
        for buckets in [Buckets::new(), wide()] {
            for lane in [0, 5, 6] {
                assert!(dense().all(|value| buckets.add_from(|| lane, value, 1)), "{lane}");
            }
            assert_eq!(taken(&buckets), dense().map(|value| (value, 3)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_is_lost_between_threads_and_a_sweep() {
        for buckets in [Buckets::new(), wide()] {
            let mut total = 0;
            thread::scope(|scope| {
                let writers: Vec<_> = (0..2)
                    .map(|writer| {
                        let buckets = &buckets;
                        scope.spawn(move || {
                            (0..20_000_u32).filter(|i| buckets.add(f64::from(i % 97 + writer), 1)).count()
                                as u64
                        })
                    })
                    .collect();
                while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
                    buckets.take(|_, n| total += n);
                }
                let added: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
                buckets.take(|_, n| total += n);
                assert_eq!(total, added);
            });
        }
    }
}
