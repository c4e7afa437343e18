//! The buckets of a distribution, into which values are folded.

use super::bucket::{bucket_of, rank_of};
use super::chain::Chain;
use super::lane;
use super::stock::Stock;
use super::table::LARGEST;
use crate::process::sync::{AtomicUsize, Ordering};
use crate::vocabulary::unit::KnownUnit;
use once_cell::race::OnceBox;

/// The class of the largest table of a further chain. It has room for 5 octaves, which is more than a metric's busy values
/// span. The other values go to the first chain.
const LARGEST_FURTHER: usize = if cfg!(tasktag_loom) { 0 } else { 2 };

/// The maximum number of chains besides the first.
const MAX_FURTHER: usize = 7;
const _: () = assert!((MAX_FURTHER + 1).is_power_of_two());

/// The spread of buckets that nobody reads. This mask contains no lane, and it is not 0, so every record takes the slow
/// path, where it is dropped.
const UNREAD: usize = 1 << (usize::BITS - 1);

/// The buckets of a distribution, in one or more chains of tables.
///
/// Threads that record at the same time take a table's cache lines from each other, and a record then takes several
/// times as long. Failed exchanges show this. The worker, which may allocate, then doubles the number of chains, and
/// each thread uses the chain of its lane. Buckets that occur in several tables are merged when they are taken.
#[derive(Debug)]
pub(crate) struct Buckets {
    first: Chain,
    // The number of further chains in use. It is 0, 1, 3 or 7, so that it is also a mask of lanes.
    spread: AtomicUsize,
    further: OnceBox<[Chain; MAX_FURTHER]>,
    pub(crate) unit: KnownUnit,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self::with(Chain::started(LARGEST), 0)
    }

    /// Returns buckets that nobody reads. They accept everything and keep nothing.
    pub(crate) fn unread() -> Self {
        Self::with(Chain::new(LARGEST), UNREAD)
    }

    fn with(first: Chain, spread: usize) -> Self {
        Self { first, spread: AtomicUsize::new(spread), further: OnceBox::new(), unit: KnownUnit::new() }
    }

    /// Counts a value `n` times if that takes only a few instructions. The value need not be countable. If it returns
    /// `false`, [`add_apart`](Self::add_apart) and then, for a countable value, [`add`](Self::add) must be called.
    #[inline]
    pub(crate) fn add_at_once(&self, value: f64, n: u64) -> bool {
        self.first.add_at_once(value, n)
    }

    /// Counts a value `n` times if its bucket is known where the thread's lane leads. The value need not be countable.
    #[inline]
    pub(crate) fn add_apart(&self, value: f64, n: u64) -> bool {
        self.add_apart_from(lane::known(), value, n)
    }

    fn add_apart_from(&self, lane: Option<usize>, value: f64, n: u64) -> bool {
        let spread = self.spread();
        if spread == 0 {
            return self.first.add_known(value, n);
        }
        let add = |chain: &Chain| chain.add_at_once_here(value, n) || chain.add_known(value, n);
        spread == UNREAD
            || lane.is_some_and(|lane| add(self.further_of(lane & spread).unwrap_or(&self.first)))
    }

    /// Counts a countable value `n` times, if need be with a table from the stock. It returns `false` if there is no
    /// room for its bucket, or if `n` is more than a slot holds. The caller must then record the value elsewhere.
    pub(crate) fn add(&self, value: f64, n: u64, stock: Option<&Stock>) -> bool {
        self.add_from(lane::current, value, n, stock)
    }

    fn add_from(&self, lane: impl FnOnce() -> usize, value: f64, n: u64, stock: Option<&Stock>) -> bool {
        let spread = self.spread();
        if spread == UNREAD {
            return true;
        }
        // Lanes are scarce, so a thread claims none for a single chain.
        let own = if spread == 0 { None } else { self.further_of(lane() & spread) };
        // A value that does not fit into a further chain goes to the first one.
        own.is_some_and(|chain| chain.add(value, n, stock)) || self.first.add(value, n, stock)
    }

    /// Called by the worker for a value that crossed the channel. If the buckets had no room for it, they have from now
    /// on.
    pub(crate) fn make_room_for(&self, value: f64) {
        self.first.make_room_for(value);
    }

    #[inline]
    fn spread(&self) -> usize {
        // Pairs with the Release in `widen`: a thread that sees the spread also sees the chains.
        self.spread.load(Ordering::Acquire)
    }

    /// Returns a chain by its number, unless it is the first.
    #[inline]
    fn further_of(&self, chain: usize) -> Option<&Chain> {
        self.further.get()?.get(chain.checked_sub(1)?)
    }

    fn chains(&self) -> impl Iterator<Item = &Chain> {
        [&self.first].into_iter().chain(self.further.get().into_iter().flatten())
    }

    /// Takes the value and the count of every bucket, in ascending order, and leaves the tables empty.
    pub(crate) fn take(&self, mut each: impl FnMut(f64, u64)) {
        let mut found = Vec::new();
        self.chains().for_each(|chain| chain.take(&mut found));
        if found.is_empty() {
            return;
        }
        // Every chain is checked, because the check resets its collisions.
        if self.chains().map(Chain::take_crowded).fold(false, |a, b| a | b) {
            self.widen();
        }
        unite(&mut found);
        for (value, n) in found {
            each(value, n);
        }
    }

    /// Empties the tables in a forked child, because their values belong to the parent.
    pub(crate) fn start_over(&self) {
        self.chains().for_each(Chain::start_over);
    }

    /// Doubles the number of chains, up to the limit.
    #[cold]
    fn widen(&self) {
        let spread = (2 * self.spread.load(Ordering::Relaxed) + 1).min(MAX_FURTHER);
        let further =
            self.further.get_or_init(|| Box::new([(); MAX_FURTHER].map(|()| Chain::new(LARGEST_FURTHER))));
        // If the first chain has grown, the others will need to.
        let class = if self.first.class() == 0 { 0 } else { LARGEST_FURTHER };
        further.iter().take(spread).for_each(|chain| chain.start(class));
        self.spread.store(spread, Ordering::Release);
        self.first.share();
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
    fn record(buckets: &Buckets, lane: usize, value: f64, stock: Option<&Stock>) {
        let known = buckets.add_at_once(value, 1) || buckets.add_apart_from(Some(lane), value, 1);
        assert!(known || buckets.add_from(|| lane, value, 1, stock));
    }

    /// Buckets whose first table has two slots and never grows.
    fn grown() -> Buckets {
        let first = Chain::new(LARGEST);
        first.start(LARGEST);
        Buckets::with(first, 0)
    }

    /// What one sweep and a later one find together is what was recorded, in whatever order things happen.
    fn counts_are_conserved(
        values: [f64; 2],
        make: impl Fn() -> (Buckets, Option<Stock>) + Copy + Send + Sync + 'static,
        start: impl Fn(&Buckets) + Copy + Send + Sync + 'static,
    ) {
        crate::process::sync::model(move || {
            let all = Arc::new(make());
            // One caller finds the slot taken, and goes the short way.
            record(&all.0, 1, values[0], all.1.as_ref());
            let writers = [1, 2].map(|lane| {
                let all = Arc::clone(&all);
                thread::spawn(move || record(&all.0, lane, values[lane - 1], all.1.as_ref()))
            });
            start(&all.0);
            let mut total = 0;
            let mut take = || {
                let mut last = None;
                all.0.take(|value, n| {
                    let rank = rank_of(value);
                    assert!(values.map(rank_of).contains(&rank) && last.replace(rank) < Some(rank));
                    total += n;
                });
            };
            take();
            for writer in writers {
                writer.join().unwrap();
            }
            // No later value touches the table: what the first sweep passed by must be touched still.
            take();
            assert_eq!(total, 3);
        });
    }

    #[test]
    fn two_callers_in_one_bucket_and_a_sweep() {
        counts_are_conserved([1.0, 1.001], || (grown(), None), |_| ());
    }

    #[test]
    fn two_callers_in_two_buckets_and_a_sweep() {
        counts_are_conserved([1.0, 1.5], || (grown(), None), |_| ());
    }

    #[test]
    fn two_callers_in_one_bucket_while_the_chains_double_and_a_sweep() {
        counts_are_conserved([1.0, 1.001], || (grown(), None), Buckets::widen);
    }

    #[test]
    fn two_callers_in_two_buckets_while_the_chains_double_and_a_sweep() {
        counts_are_conserved([1.0, 1.5], || (grown(), None), Buckets::widen);
    }

    /// The smallest table of the model has one slot: of two buckets one makes the chain grow.
    #[test]
    fn two_callers_of_whom_one_makes_the_chain_grow_and_a_sweep() {
        counts_are_conserved([1.0, 1.5], || (Buckets::new(), Some(Stock::new(2))), |_| ());
    }

    /// Both callers may take a table from the stock, and one of them gives it back.
    #[test]
    fn two_callers_who_both_make_the_chain_grow() {
        crate::process::sync::model_within(2, || {
            let all = Arc::new((Buckets::new(), Stock::new(2)));
            record(&all.0, 1, 1.0, None);
            let writers = [1.5, 1.7].map(|value| {
                let all = Arc::clone(&all);
                thread::spawn(move || record(&all.0, 1, value, Some(&all.1)))
            });
            for writer in writers {
                writer.join().unwrap();
            }
            let mut total = 0;
            all.0.take(|_, n| total += n);
            assert_eq!(total, 3);
            assert!(all.1.take(LARGEST).is_some(), "one is left");
        });
    }

    /// A further table of the model has one slot: of two buckets one goes to the first chain.
    #[test]
    fn two_callers_where_only_one_has_room_in_a_further_chain() {
        crate::process::sync::model(|| {
            let buckets = Arc::new(grown());
            buckets.widen();
            let writers = [1.0, 1.5].map(|value| {
                let buckets = Arc::clone(&buckets);
                thread::spawn(move || record(&buckets, 1, value, None))
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

    /// With as many chains as there can be.
    fn wide() -> Buckets {
        let buckets = Buckets::new();
        (0..5).for_each(|_| buckets.widen());
        buckets
    }

    /// The least values of as many buckets in a row as fit.
    fn dense() -> impl Iterator<Item = f64> + Clone {
        (0..4096).map(|step| f64::from_bits((0x3FF << 52) + (step << 45)))
    }

    #[test]
    fn lone_values_come_back_exactly_from_the_least_to_the_greatest() {
        let values = [-1e300, -12.5, 0.0, 1e-300, 1e-9, 0.1, 1.0, 3.0, 1e18, f64::MAX];
        for buckets in [Buckets::new(), wide()] {
            for (lane, value) in values.into_iter().enumerate() {
                assert!(buckets.add_from(|| lane, value, 1, None));
            }
            assert_eq!(taken(&buckets), values.map(|value| (value, 1)));
            assert_eq!(taken(&buckets), []);
        }
    }

    #[test]
    fn buckets_that_nobody_reads_take_everything_and_keep_nothing() {
        let buckets = Buckets::unread();
        let record = |value| {
            buckets.add_at_once(value, 1) || buckets.add_apart(value, 1) || buckets.add(value, 1, None)
        };
        // More of them than a table has room for, by a thread without a lane and by one with it.
        assert!(dense().chain([-1.0, 0.0, f64::MAX]).all(record));
        lane::current();
        assert!(dense().chain([-1.0, 0.0, f64::MAX]).all(record));
        assert_eq!(taken(&buckets), []);
    }

    #[test]
    fn the_zeroes_share_a_bucket() {
        let buckets = Buckets::new();
        assert!(
            buckets.add(countable(-0.0).unwrap(), 1, None) && buckets.add(countable(0.0).unwrap(), 2, None)
        );
        assert_eq!(taken(&buckets), [(0.0, 3)]);
    }

    #[test]
    fn a_bucket_that_several_tables_had_is_one_with_the_sum_of_its_counts() {
        let buckets = wide();
        for lane in 0..20 {
            for value in [-7.0, 0.0, 1.001, 1.0, 250.0] {
                assert!(buckets.add_from(|| lane, value, 3, None));
            }
        }
        assert_eq!(taken(&buckets), [(-7.0, 60), (0.0, 60), (1.001, 120), (250.0, 60)]);
    }

    #[test]
    fn a_bucket_that_several_tables_had_has_the_value_of_the_first() {
        let buckets = wide();
        for (lane, value) in [(1, 1.003), (2, 1.001), (0, 1.002)] {
            assert!(buckets.add_from(|| lane, value, 1, None));
        }
        assert_eq!(taken(&buckets), [(1.002, 3)]);
    }

    #[test]
    fn the_chains_double_up_to_eight() {
        let buckets = Buckets::new();
        let grown = [(); 6].map(|()| {
            let before = 1 + buckets.spread();
            buckets.widen();
            before
        });
        assert_eq!(grown, [1, 2, 4, 8, 8, 8]);
    }

    #[test]
    fn each_lane_keeps_to_its_chain_and_shares_it_when_there_are_more_lanes() {
        let buckets = wide();
        for lane in 0..16 {
            assert!(buckets.add_from(|| lane, 2.5, 1, None) && buckets.add_apart_from(Some(lane), 2.5, 1));
        }
        let mut found = Vec::new();
        buckets.chains().for_each(|chain| chain.take(&mut found));
        assert_eq!(found, [(2.5, 4); 8]);
    }

    #[test]
    fn further_chains_are_small_unless_they_or_the_first_had_to_grow() {
        let (buckets, stock) = (Buckets::new(), Stock::new(1));
        let classes = || buckets.chains().map(Chain::class).collect::<Vec<_>>();
        let fill = |lane: usize| {
            assert!(dense().take(100).all(|value| buckets.add_from(|| lane, value, 1, Some(&stock))));
        };
        buckets.widen();
        fill(1);
        assert_eq!(classes(), [0, 2, 0, 0, 0, 0, 0, 0]);
        buckets.widen();
        fill(0);
        assert_eq!(classes(), [1, 2, 0, 0, 0, 0, 0, 0]);
        buckets.widen();
        assert_eq!(classes(), [1, 2, 0, 0, 2, 2, 2, 2]);
        assert_eq!(taken(&buckets), dense().take(100).map(|value| (value, 2)).collect::<Vec<_>>());
    }

    #[test]
    fn what_a_further_chain_has_no_room_for_goes_to_the_first() {
        let buckets = Buckets::new();
        buckets.widen();
        assert_eq!(dense().filter(|value| buckets.add_from(|| 1, *value, 1, None)).count(), 64);
    }

    #[test]
    fn one_thread_has_one_chain_however_much_it_records() {
        let (buckets, stock) = (Buckets::new(), Stock::new(1));
        for value in dense().cycle().take(100_000) {
            assert!(buckets.add(value, 1, Some(&stock)));
        }
        assert_eq!(taken(&buckets).len(), 4096);
        assert_eq!(buckets.spread(), 0);
    }

    #[test]
    fn threads_that_meet_often_get_chains_of_their_own_at_a_sweep() {
        let buckets = Buckets::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let stop = AtomicBool::new(false);
        let record = || {
            let mut added = 0;
            while !stop.load(Ordering::Relaxed) {
                assert!(buckets.add_at_once(12.5, 1) || buckets.add(12.5, 1, None));
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
        assert!(buckets.spread() > 0);
        total += taken(&buckets).iter().map(|(_, n)| n).sum::<u64>();
        assert_eq!(total, added);
    }

    #[test]
    fn thirty_two_dense_octaves_fit_in_one_chain_and_in_several() {
        for buckets in [Buckets::new(), wide()] {
            let stock = Stock::new(8);
            for lane in [0, 5, 6] {
                assert!(dense().all(|value| buckets.add_from(|| lane, value, 1, Some(&stock))), "{lane}");
            }
            assert_eq!(taken(&buckets), dense().map(|value| (value, 3)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn there_is_room_for_what_crossed_the_channel_from_then_on() {
        let buckets = Buckets::new();
        let refused: Vec<f64> = dense().take(100).filter(|value| !buckets.add(*value, 1, None)).collect();
        assert_eq!(refused.len(), 68);
        for value in &refused {
            buckets.make_room_for(*value);
        }
        assert!(refused.iter().all(|value| buckets.add(*value, 1, None)));
    }

    #[test]
    fn nothing_is_lost_between_threads_and_a_sweep() {
        for buckets in [Buckets::new(), wide()] {
            let (mut total, stock) = (0, Stock::new(8));
            thread::scope(|scope| {
                let writers: Vec<_> = (0..2)
                    .map(|writer| {
                        let (buckets, stock) = (&buckets, &stock);
                        let add = move |i: &u32| buckets.add(f64::from(i % 97 + writer), 1, Some(stock));
                        scope.spawn(move || (0..20_000_u32).filter(add).count() as u64)
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
