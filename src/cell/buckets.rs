//! The buckets of a distribution, into which values are folded.

use super::bucket::{bucket_of, rank_of};
use super::chain::Chain;
use super::lane;
use super::slot::MAX_COUNT;
use super::stock::Stock;
use super::table::Table;
use crate::process::sync::{AtomicUsize, Ordering};
use crate::vocabulary::unit::KnownUnit;
use once_cell::race::OnceBox;

/// The class of a further table. It has room for nearly 5 octaves, which is more than a metric's busy values span. The
/// other values go to the chain.
const FURTHER: usize = if cfg!(tasktag_loom) { 0 } else { 2 };

/// The maximum number of further tables.
const MAX_FURTHER: usize = 7;
const _: () = assert!((MAX_FURTHER + 1).is_power_of_two());

/// The spread of buckets that nobody reads. This mask contains no lane, and it is not 0, so every record takes the slow
/// path, where it is dropped.
const UNREAD: usize = 1 << (usize::BITS - 1);

/// The buckets of a distribution, in a chain of tables and in further tables.
///
/// Threads that record at the same time take a table's cache lines from each other, and a record then takes several
/// times as long. Failed exchanges show this. The worker, which may allocate, then doubles the number of places, and
/// each thread uses that of its lane: the chain or a table. Buckets that occur in several tables are merged when they
/// are taken.
#[derive(Debug)]
pub(crate) struct Buckets {
    chain: Chain,
    // The number of further tables in use. It is 0, 1, 3 or 7, so that it is also a mask of lanes.
    spread: AtomicUsize,
    further: OnceBox<[OnceBox<Table>; MAX_FURTHER]>,
    pub(crate) unit: KnownUnit,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self::with(Chain::started(), 0)
    }

    /// Returns buckets that nobody reads. They accept everything and keep nothing.
    pub(crate) fn unread() -> Self {
        Self::with(Chain::new(), UNREAD)
    }

    fn with(chain: Chain, spread: usize) -> Self {
        Self { chain, spread: AtomicUsize::new(spread), further: OnceBox::new(), unit: KnownUnit::new() }
    }

    /// Counts a value `n` times if that takes only a few instructions. The value need not be countable. If it returns
    /// `false`, [`add_in_lane`](Self::add_in_lane), [`add_apart`](Self::add_apart) and then, for a countable value,
    /// [`add`](Self::add) must be called, until one of them counts it.
    #[inline]
    pub(crate) fn add_at_once(&self, value: f64, n: u64) -> bool {
        self.chain.add_at_once(value, n)
    }

    /// Does the same where the thread's lane leads, if there are further tables. A thread without a lane uses the last
    /// one of them, and claims a lane once its bucket is not found there at once.
    #[inline]
    pub(crate) fn add_in_lane(&self, value: f64, n: u64) -> bool {
        self.add_at_once_in(lane::known_or_beyond(), value, n)
    }

    #[inline]
    fn add_at_once_in(&self, lane: usize, value: f64, n: u64) -> bool {
        // The mask tells the compiler that every number is that of a place.
        let spread = self.spread() & MAX_FURTHER;
        match lane & spread {
            0 => spread != 0 && self.chain.add_at_once_here(value, n),
            number => self.further(number).is_some_and(|table| table.add_at_once(value, n)),
        }
    }

    /// Counts a value `n` times if its bucket is known where the thread's lane leads. The value need not be countable.
    #[inline]
    pub(crate) fn add_apart(&self, value: f64, n: u64) -> bool {
        self.add_apart_in(lane::known(), value, n)
    }

    fn add_apart_in(&self, lane: Option<usize>, value: f64, n: u64) -> bool {
        let number = match (self.spread(), lane) {
            (UNREAD, _) => return true,
            (0, _) => 0,
            (spread, Some(lane)) => lane & spread,
            (_, None) => return false,
        };
        match number {
            0 => self.chain.add_known(value, n),
            number => self.further(number).is_some_and(|table| table.add_known(value, n, false)),
        }
    }

    /// Counts a countable value `n` times, if need be with a table from the stock. It returns `false` if there is no
    /// room for its bucket, or if `n` is more than a slot holds. The caller must then record the value elsewhere.
    pub(crate) fn add(&self, value: f64, n: u64, stock: Option<&Stock>) -> bool {
        self.add_in(lane::current, value, n, stock)
    }

    fn add_in(&self, lane: impl FnOnce() -> usize, value: f64, n: u64, stock: Option<&Stock>) -> bool {
        let spread = self.spread();
        if spread == UNREAD {
            return true;
        }
        // Lanes are scarce, so a thread claims none for a chain alone.
        let own = if spread == 0 { None } else { self.further(lane() & spread) };
        // A value that does not fit into a further table goes to the chain.
        own.is_some_and(|table| n <= MAX_COUNT && table.add(value, n)) || self.chain.add(value, n, stock)
    }

    /// Called by the worker for a value that crossed the channel. If the buckets had no room for it, they have from now
    /// on.
    pub(crate) fn make_room_for(&self, value: f64) {
        self.chain.make_room_for(value);
    }

    #[inline]
    fn spread(&self) -> usize {
        // Pairs with the Release in `widen`: a thread that sees the spread also sees the tables.
        self.spread.load(Ordering::Acquire)
    }

    /// Returns a further table by its number. They count from 1, as 0 is the chain.
    #[inline]
    fn further(&self, number: usize) -> Option<&Table> {
        self.further.get()?.get(number.wrapping_sub(1))?.get()
    }

    fn all_further(&self) -> impl Iterator<Item = &Table> {
        self.further.get().into_iter().flatten().filter_map(OnceBox::get)
    }

    /// Takes the value and the count of every bucket, in ascending order, and leaves the tables empty.
    pub(crate) fn take(&self, mut each: impl FnMut(f64, u64)) {
        let mut found = Vec::new();
        self.chain.take(&mut found);
        self.all_further().for_each(|table| table.take(&mut found));
        if found.is_empty() {
            return;
        }
        // Every table is checked, because the check resets its collisions.
        if self.all_further().map(Table::take_crowded).fold(self.chain.take_crowded(), |a, b| a | b) {
            self.widen();
        }
        unite(&mut found);
        for (value, n) in found {
            each(value, n);
        }
    }

    /// Empties the tables in a forked child, because their values belong to the parent.
    pub(crate) fn start_over(&self) {
        self.chain.start_over();
        self.all_further().for_each(Table::start_over);
    }

    /// Doubles the number of places, up to the limit.
    #[cold]
    fn widen(&self) {
        let spread = (2 * self.spread.load(Ordering::Relaxed) + 1).min(MAX_FURTHER);
        let further = self.further.get_or_init(|| Box::new([const { OnceBox::new() }; MAX_FURTHER]));
        for place in further.iter().take(spread) {
            place.get_or_init(|| Table::of(FURTHER));
        }
        self.spread.store(spread, Ordering::Release);
        self.chain.share();
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
mod model;

#[cfg(all(test, not(tasktag_loom)))]
mod tests;
