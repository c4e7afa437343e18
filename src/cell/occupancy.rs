//! How much of a capacity is in use, integrated over time from two atomics.

use crate::process::clock::Clock;
use crate::process::sync::{AtomicU64, Ordering};

// The first word, from its lowest bit: whether the interval is an odd one, the units in use, the time.
const ODD: u64 = 1;
const UNITS_SHIFT: u32 = 1;
const UNITS_BITS: u32 = 24;
const UNITS_MASK: u64 = (1 << UNITS_BITS) - 1;
const TIME_SHIFT: u32 = UNITS_SHIFT + UNITS_BITS;
// The second word: the time but for its low 16 bits, which stand in the first.
const LOW_MASK: u64 = u16::MAX as u64;
// How the units in use change, added with wrap-around.
const ACQUIRED: u64 = 1;
const RELEASED: u64 = u64::MAX;

/// Time-weighted use of a number of units.
///
/// Whoever acquires a unit at `t` takes `t` off a sum, whoever releases one adds it. At any moment `T` the time
/// that units were in use is then `sum + in_use × T`, with nothing sampled and nothing missed.
///
/// That holds if the sum and the units are of the same operations, and one atomic has no room for both. So an operation
/// adds to two words, each of which gives the time in use by itself, one precisely and one roughly:
///
/// - First to `cut`, which has the units and the sum modulo 2^39. Each value of it is a cut through time.
/// - Then to the `time` of the interval, which has all of the sum but its low 16 bits. What the operation carries
///   over from these is known from the first word, so that many operations add up no error. In place of the low bits
///   it has the units modulo 2^16. It lags behind by the operations that are half done: while these are fewer than 2^15
///   and have taken less than 270 s together, it tells the multiple of 2^39 ns (550 s) that the first leaves open.
///
/// A reading ends an interval with the same addition that reads `cut`, and from then on operations add to the `time` of
/// the other interval. So what the reader still has to read no longer moves, but for operations that are half done, and
/// it never tries again.
#[derive(Debug)]
pub(crate) struct OccupancyCell {
    cut: AtomicU64,
    // The even and the odd one: the interval that is under way, and the one before it.
    intervals: [Interval; 2],
    capacity: AtomicU64,
    opened: u64,
    // Of the client, so that whoever gives back a unit needs nothing but the cell.
    clock: Clock,
}

/// What operations added in every second interval between readings.
#[derive(Debug)]
struct Interval {
    /// Since the cell was made.
    time: AtomicU64,
    /// The most units that were in use at once, since it was last taken.
    peak: AtomicU64,
}

/// What the worker reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Units in use now.
    pub(crate) in_use: u64,
    /// The most units that were in use at once since the reading before.
    pub(crate) peak: u64,
    /// When it was taken.
    pub(crate) at: u64,
    // Nanoseconds × units since the cell was made, modulo 2^64.
    busy: u64,
}

impl Reading {
    /// Nanoseconds × units to report for the time since the reading before, up to 2^63: 292 years of a unit.
    ///
    /// An operation that a thread began before the last reading and completed after it brings time of that interval: an
    /// acquired unit more, a released one less. What does not fit into this interval, which has had no less than no
    /// unit and no more than the peak in use, is left to the next. So all that is reported adds up to the time in use.
    pub(crate) fn take_busy(&mut self, last: Self) -> u64 {
        let most = self.at.saturating_sub(last.at).saturating_mul(self.peak);
        let busy = self.busy.wrapping_sub(last.busy);
        let Ok(signed_most) = i64::try_from(most) else {
            // Less than nothing and more than 2^63 look the same: nothing is left that could be either.
            return busy.min(most);
        };
        let busy = busy.cast_signed().clamp(0, signed_most).cast_unsigned();
        self.busy = last.busy.wrapping_add(busy);
        busy
    }
}

impl OccupancyCell {
    pub(crate) fn new(capacity: u32, opened: u64, clock: Clock) -> Self {
        let interval = || Interval { time: AtomicU64::new(0), peak: AtomicU64::new(0) };
        Self {
            cut: AtomicU64::new(0),
            intervals: [interval(), interval()],
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
        let before = self.enter(ACQUIRED, now.wrapping_neg());
        let interval = self.complete(before, ACQUIRED, now.wrapping_neg());
        let in_use = units(before) + 1;
        if in_use > interval.peak.load(Ordering::Relaxed) {
            interval.peak.fetch_max(in_use, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn release(&self, now: u64) {
        let before = self.enter(RELEASED, now);
        self.complete(before, RELEASED, now);
    }

    /// The first half of an operation, which counts from here on. Returns what was there before.
    #[inline]
    fn enter(&self, change: u64, time: u64) -> u64 {
        let entry = (time << TIME_SHIFT).wrapping_add(change << UNITS_SHIFT);
        // Release: a reader that sees this finds its clock later. Acquire: who finds a new interval adds to it only after
        // the reader that began it has read what the interval of the same parity had.
        self.cut.fetch_add(entry, Ordering::AcqRel)
    }

    /// The second half, in the interval in which the first was done.
    #[inline]
    fn complete(&self, before: u64, change: u64, time: u64) -> &Interval {
        let interval = self.interval(before);
        let carried = ((before >> TIME_SHIFT) & LOW_MASK).wrapping_add(time) & !LOW_MASK;
        interval.time.fetch_add(carried.wrapping_add(change), Ordering::Relaxed);
        interval
    }

    #[inline]
    fn interval(&self, cut: u64) -> &Interval {
        let [even, odd] = &self.intervals;
        if cut & ODD == 0 { even } else { odd }
    }

    /// The reading of the moment at which the cell was made.
    pub(crate) fn first_reading(&self) -> Reading {
        Reading { at: self.opened, ..Reading::default() }
    }

    /// Gives back all units, and returns the reading that the next one is held against. While nobody else uses the
    /// cell: an operation that a fork cut in two is never completed.
    pub(crate) fn start_over(&self, now: u64) -> Reading {
        self.cut.store(0, Ordering::Relaxed);
        for interval in &self.intervals {
            interval.time.store(0, Ordering::Relaxed);
            interval.peak.store(0, Ordering::Relaxed);
        }
        Reading { at: now, ..Reading::default() }
    }

    /// The reading after `last`. Only one thread reads.
    pub(crate) fn read(&self, last: Reading, clock: impl FnOnce() -> u64) -> Reading {
        let ended = self.end_interval();
        // Read last: no operation that was seen is later.
        let at = clock();
        let in_use = units(ended.cut);
        // A peak that came too late for its own interval is told now, unless that one had as much to tell.
        let late_peak = if ended.late_peak > last.peak { ended.late_peak } else { 0 };
        let peak = in_use.max(last.in_use).max(ended.peak).max(late_peak);
        Reading { in_use, peak, at, busy: ended.busy(at) }
    }

    fn end_interval(&self) -> Ended {
        let parity = self.cut.load(Ordering::Relaxed) & ODD;
        let (ending, next) = (self.interval(parity), self.interval(parity ^ ODD));
        // Before it begins again.
        let earlier = next.time.load(Ordering::Relaxed);
        let late_peak = next.peak.swap(0, Ordering::Relaxed);
        let flip = if parity == ODD { ODD.wrapping_neg() } else { ODD };
        let cut = self.cut.fetch_add(flip, Ordering::AcqRel);
        let time = earlier.wrapping_add(ending.time.load(Ordering::Relaxed));
        Ended { cut, time, peak: ending.peak.swap(0, Ordering::Relaxed), late_peak }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    pub(crate) fn set_capacity(&self, capacity: u32) {
        self.capacity.store(u64::from(capacity), Ordering::Relaxed);
    }
}

/// The units in use, of the first word.
#[inline]
fn units(cut: u64) -> u64 {
    (cut >> UNITS_SHIFT) & UNITS_MASK
}

/// What the words were at the end of an interval.
#[derive(Debug)]
struct Ended {
    cut: u64,
    time: u64,
    peak: u64,
    // Noted since the interval before this one was read.
    late_peak: u64,
}

impl Ended {
    /// The units whose operations are in the first word and not yet in the second.
    fn half_done(&self) -> i64 {
        // Both counts are right modulo 2^16.
        (units(self.cut).wrapping_sub(self.time) << 48).cast_signed() >> 48
    }

    /// The time that units were in use until `at`.
    fn busy(&self, at: u64) -> u64 {
        let in_use = units(self.cut);
        let completed = in_use.wrapping_sub(self.half_done().cast_unsigned());
        let rough = self.time.wrapping_sub(completed).wrapping_add(completed.wrapping_mul(at));
        let precise = (self.cut >> TIME_SHIFT).wrapping_add(in_use.wrapping_mul(at));
        // The number nearest to the rough one that is the precise one modulo 2^39.
        let off = (precise.wrapping_sub(rough) << TIME_SHIFT).cast_signed() >> TIME_SHIFT;
        rough.wrapping_add(off.cast_unsigned())
    }
}

#[cfg(all(test, tasktag_loom))]
mod model;

#[cfg(all(test, not(tasktag_loom)))]
mod tests;
