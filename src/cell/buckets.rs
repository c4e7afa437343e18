//! The buckets of a distribution, into which values are folded.

use super::bucket::{bucket_of, rank_of};
use super::chain::Chain;
use super::lane;
use super::stock::Stock;
use super::table::LARGEST;
use crate::process::sync::{AtomicUsize, Ordering};
use crate::vocabulary::unit::KnownUnit;
use once_cell::race::OnceBox;

/// The class of the largest table of a further chain. It has room for nearly 5 octaves, which is more than a metric's busy values
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
mod model;

#[cfg(all(test, not(tasktag_loom)))]
mod tests;
