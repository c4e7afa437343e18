//! How much of a capacity is in use, integrated over time from two atomics.

use crate::clock::Clock;
use crate::sync::{AtomicU64, Ordering, spin_loop};

// `units`: operations in the upper bits, units in use in the lower ones.
const IN_USE_BITS: u32 = 24;
const IN_USE_MASK: u64 = (1 << IN_USE_BITS) - 1;
const ONE_OP: u64 = 1 << IN_USE_BITS;
const OPS_MASK: u64 = u64::MAX >> IN_USE_BITS;
// `time_sum`: nanoseconds in the upper bits, operations (modulo) in the lower ones.
const OPS_BITS: u32 = 8;
const NANOS_MASK: u64 = u64::MAX >> OPS_BITS;
/// Reads that may meet an operation half done before the worker leaves the reading to its next collection.
const TRIES: u32 = if cfg!(tasktag_loom) { 1 } else { 64 };

/// Time-weighted use of a number of units.
///
/// Whoever acquires a unit at `t` takes `t` off a sum, whoever releases one adds it. At any moment `T` the time
/// that units were in use is then `time_sum + in_use × T`, with nothing sampled and nothing missed.
#[derive(Debug)]
pub(crate) struct OccupancyCell {
    // Each operation counts itself in both words, first in `time_sum`, then in `units`. A reader that finds the two
    // counts equal has seen the same operations in both: a cut through time, not a tear.
    time_sum: AtomicU64,
    units: AtomicU64,
    peak: AtomicU64,
    capacity: AtomicU64,
    opened: u64,
    // Of the client, so that whoever gives back a unit needs nothing but the cell.
    clock: Clock,
}

/// What the worker reads: exact for the moment it was taken at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Units in use now.
    pub(crate) in_use: u64,
    /// When it was taken.
    pub(crate) at: u64,
    // Nanoseconds × units since the cell was made, modulo 2^56.
    busy: u64,
    // Operations since the cell was made.
    ops: u64,
}

impl Reading {
    /// Nanoseconds × units between an earlier reading and this one, up to 2^55: over a year of a unit.
    pub(crate) fn busy_since(self, earlier: Self) -> u64 {
        let busy = self.busy.wrapping_sub(earlier.busy) & NANOS_MASK;
        // A release that was on its way at the earlier reading may turn out to have come nanoseconds before it.
        if busy > NANOS_MASK / 2 { 0 } else { busy }
    }
}

impl OccupancyCell {
    pub(crate) fn new(capacity: u32, opened: u64, clock: Clock) -> Self {
        Self {
            time_sum: AtomicU64::new(0),
            units: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            capacity: AtomicU64::new(u64::from(capacity)),
            opened,
            clock,
        }
    }

    /// The client's time.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    #[inline]
    pub(crate) fn acquire(&self, now: u64) {
        self.time_sum.fetch_add(entry(now).wrapping_neg().wrapping_add(1), Ordering::Relaxed);
        // Release pairs with the Acquire in `read`: who sees the unit sees its time in the sum.
        let before = self.units.fetch_add(ONE_OP + 1, Ordering::Release);
        let in_use = (before & IN_USE_MASK) + 1;
        if in_use > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(in_use, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn release(&self, now: u64) {
        self.time_sum.fetch_add(entry(now).wrapping_add(1), Ordering::Relaxed);
        self.units.fetch_add(ONE_OP - 1, Ordering::Release);
    }

    /// The reading of the moment at which the cell was made.
    pub(crate) fn first_reading(&self) -> Reading {
        Reading { at: self.opened, ..Reading::default() }
    }

    /// Gives back all units, and returns the reading that the next one is held against. While nobody else uses the
    /// cell.
    pub(crate) fn start_over(&self, now: u64) -> Reading {
        // An operation of another thread that the fork cut in two is in the first word and not in the second.
        let units = self.units.load(Ordering::Relaxed) & !IN_USE_MASK;
        let ops = units >> IN_USE_BITS;
        self.time_sum.store(ops & ((1 << OPS_BITS) - 1), Ordering::Relaxed);
        self.units.store(units, Ordering::Relaxed);
        self.peak.store(0, Ordering::Relaxed);
        let settled = (ops & ((1 << OPS_BITS) - 1)).wrapping_sub(ops) >> OPS_BITS;
        Reading { in_use: 0, at: now, busy: settled & NANOS_MASK, ops }
    }

    /// A reading later than `last`, or `None` when operations kept crossing it.
    pub(crate) fn read(&self, last: Reading, now: impl Fn() -> u64) -> Option<Reading> {
        for _ in 0..TRIES {
            let units = self.units.load(Ordering::Acquire);
            let time_sum = self.time_sum.load(Ordering::Relaxed);
            // Read last: no operation that was seen is later.
            let at = now();
            // The word has room for 2^40 operations, which a busy pool reaches in a day; `last` tells the rest.
            let ops = last.ops.wrapping_add((units >> IN_USE_BITS).wrapping_sub(last.ops) & OPS_MASK);
            // The sum is never behind the units, so equal counts mean equal operations.
            if (time_sum ^ ops) & ((1 << OPS_BITS) - 1) == 0 {
                let in_use = units & IN_USE_MASK;
                let settled = time_sum.wrapping_sub(ops) >> OPS_BITS;
                let busy = settled.wrapping_add(in_use.wrapping_mul(at)) & NANOS_MASK;
                return Some(Reading { in_use, at, busy, ops });
            }
            spin_loop();
        }
        None
    }

    /// The most units that were in use at once since the last call.
    pub(crate) fn take_peak(&self) -> u64 {
        let in_use = self.units.load(Ordering::Relaxed) & IN_USE_MASK;
        self.peak.swap(in_use, Ordering::Relaxed).max(in_use)
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    pub(crate) fn set_capacity(&self, capacity: u32) {
        self.capacity.store(u64::from(capacity), Ordering::Relaxed);
    }
}

/// A time as it stands in the sum of times.
#[inline]
fn entry(now: u64) -> u64 {
    now << OPS_BITS
}

#[cfg(all(test, tasktag_loom))]
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn a_reading_is_a_cut_or_nothing() {
        crate::sync::model(|| {
            let cell = Arc::new(OccupancyCell::new(2, 0, Clock::monotonic()));
            let callers = [10, 20].map(|start| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || {
                    cell.acquire(start);
                    cell.release(start + 5);
                })
            });
            if let Some(reading) = cell.read(cell.first_reading(), || 100) {
                let busy = reading.busy_since(cell.first_reading());
                // Each caller was not seen yet, is in use since it came until 100, or was in use for 5.
                let possible =
                    [0, 90, 5].iter().any(|first| [0, 80, 5].iter().any(|second| first + second == busy));
                assert!(possible, "{busy} with {} in use", reading.in_use);
            }
            for caller in callers {
                caller.join().unwrap();
            }
            let reading = cell.read(cell.first_reading(), || 100).expect("nobody is at it");
            assert_eq!((reading.in_use, reading.busy_since(cell.first_reading())), (0, 10));
        });
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_gives_the_time_in_use() {
        let cell = OccupancyCell::new(4, 0, Clock::monotonic());
        cell.acquire(100);
        cell.acquire(150);
        cell.release(200);
        let reading = cell.read(cell.first_reading(), || 250).unwrap();
        assert_eq!((reading.in_use, reading.at), (1, 250));
        // Both until 200, one of them until 250: whichever was released.
        assert_eq!(reading.busy_since(cell.first_reading()), 100 + 100);
        cell.release(300);
        assert_eq!(cell.read(reading, || 400).unwrap().busy_since(reading), 50);
        assert_eq!(cell.take_peak(), 2);
        assert_eq!(cell.take_peak(), 0);
    }

    #[test]
    fn readings_stay_exact_over_many_operations_and_years() {
        let cell = OccupancyCell::new(4, 0, Clock::monotonic());
        let mut now = 100 * 365 * 86_400 * 1_000_000_000_u64;
        let start = cell.read(cell.first_reading(), || now).unwrap();
        for _ in 0..100_000 {
            cell.acquire(now);
            now += 3;
            cell.release(now);
            now += 5;
        }
        assert_eq!(cell.read(start, || now).unwrap().busy_since(start), 300_000);
    }

    #[test]
    fn the_count_of_operations_may_wrap() {
        let cell = OccupancyCell::new(1, 0, Clock::monotonic());
        let before = (1 << 40) - 3;
        cell.units.store(before << IN_USE_BITS, Ordering::Relaxed);
        cell.time_sum.store(before, Ordering::Relaxed);
        let start = cell.read(Reading { ops: before - 8, ..Reading::default() }, || 0).unwrap();
        for now in [10, 20, 30] {
            cell.acquire(now);
            cell.release(now + 5);
        }
        assert_eq!(cell.read(start, || 40).unwrap().busy_since(start), 15);
    }

    #[test]
    fn a_release_that_crossed_the_earlier_reading_is_no_time() {
        let cell = OccupancyCell::new(1, 0, Clock::monotonic());
        cell.acquire(0);
        let reading = cell.read(cell.first_reading(), || 100).unwrap();
        cell.release(99);
        assert_eq!(cell.read(reading, || 200).unwrap().busy_since(reading), 0);
    }

    #[test]
    fn threads_leave_a_consistent_cell() {
        let cell = OccupancyCell::new(2, 0, Clock::monotonic());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for now in 0..50_000 {
                        cell.acquire(now);
                        cell.release(now + 1);
                    }
                });
            }
        });
        let reading = cell.read(cell.first_reading(), || 1_000_000).unwrap();
        assert_eq!((reading.in_use, reading.busy_since(cell.first_reading())), (0, 100_000));
    }
}
