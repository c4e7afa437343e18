//! Integrates over time how much of a capacity is in use, with two atomics.

mod peak;
mod unit;

pub(crate) use self::unit::Unit;

use self::peak::Peak;
use self::unit::Mark;
use super::holds::Holds;
use crate::process::clock::Clock;
use crate::process::sync::{AtomicU64, Ordering};
use once_cell::race::OnceBox;

// The first word has these fields, from its lowest bit: whether the interval is odd, the units in use, and the time.
const ODD: u64 = 1;
const UNITS_SHIFT: u32 = 1;
const UNITS_BITS: u32 = 24;
const UNITS_MASK: u64 = (1 << UNITS_BITS) - 1;
const TIME_SHIFT: u32 = UNITS_SHIFT + UNITS_BITS;
// The second word has the time without its low 16 bits, which are in the first word.
const LOW_MASK: u64 = u16::MAX as u64;
// The changes of the units in use. They are added with wrap-around.
const ACQUIRED: u64 = 1;
const RELEASED: u64 = u64::MAX;

/// Time-weighted use of a number of units.
///
/// A thread that acquires a unit at `t` subtracts `t` from a sum, and one that releases a unit adds it. At any time
/// `T`, units were then in use for `sum + in_use × T`. Nothing is sampled, and nothing is missed.
///
/// This is only true if the sum and the units include the same operations, and one atomic has no room for both. An
/// operation therefore adds to two words. Each of them gives the time in use by itself, one precisely and one roughly:
///
/// - It first adds to `cut`, which has the units and the sum modulo 2^39. Each value of `cut` is a cut through time.
/// - It then adds to the time of the interval, which has the sum without its low 16 bits. The first word gives the
///   carry from those bits, so that errors do not accumulate. In place of the low bits, it has the units modulo
///   2^16. It lags behind by the operations that are half done. While these are fewer than 2^15, and have taken less
///   than 270 s together, it determines the multiple of 2^39 ns (550 s) that the first word leaves open.
///
/// A reading ends an interval with the same addition that reads `cut`. From then on, operations add to the time of
/// the other interval. The words that the reader still has to read therefore no longer change, except through
/// operations that are half done, and it never retries.
#[derive(Debug)]
pub(crate) struct OccupancyCell {
    cut: AtomicU64,
    // Those of the even and the odd interval. One is the current interval, and the other is the one before it.
    times: [AtomicU64; 2],
    peaks: [Peak; 2],
    capacity: AtomicU64,
    // Since when each unit is held, once somebody asked.
    holds: OnceBox<Holds>,
    opened: u64,
    // The client's clock, so that releasing a unit needs nothing but the cell.
    clock: Clock,
}

/// A reading by the worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The units in use now.
    pub(crate) in_use: u64,
    /// The most units that were in use at once since the previous reading.
    pub(crate) peak: u64,
    /// The time of the reading.
    pub(crate) at: u64,
    // Nanoseconds × units since the cell was made, modulo 2^64.
    busy: u64,
}

impl Reading {
    /// Returns the nanoseconds × units to report for the time since the previous reading, up to 2^63, which is 292
    /// years of one unit.
    ///
    /// If a thread began an operation before the last reading and completed it after, the operation adds time of the
    /// earlier interval: more for an acquired unit, and less for a released one. At least no unit and at most the peak
    /// was in use in this interval. Time outside these limits is left to the next interval, so the reported amounts add
    /// up to the time in use.
    pub(crate) fn take_busy(&mut self, last: Self) -> u64 {
        let most = self.at.saturating_sub(last.at).saturating_mul(self.peak);
        let busy = self.busy.wrapping_sub(last.busy);
        let Ok(signed_most) = i64::try_from(most) else {
            // A negative amount looks the same as one above 2^63, so nothing is left over that could be either.
            return busy.min(most);
        };
        let busy = busy.cast_signed().clamp(0, signed_most).cast_unsigned();
        self.busy = last.busy.wrapping_add(busy);
        busy
    }
}

impl OccupancyCell {
    pub(crate) fn new(capacity: u32, opened: u64, clock: Clock) -> Self {
        Self {
            cut: AtomicU64::new(0),
            times: [AtomicU64::new(0), AtomicU64::new(0)],
            peaks: [Peak::new(), Peak::new()],
            capacity: AtomicU64::new(u64::from(capacity)),
            holds: OnceBox::new(),
            opened,
            clock,
        }
    }

    /// Returns the time of the client's clock.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Knows from now on since when each unit is held. It may be called again.
    pub(crate) fn keep_oldest(&self) {
        if self.keeps_oldest() {
            return;
        }
        self.holds.get_or_init(|| Box::new(Holds::new()));
        self.peaks.iter().for_each(Peak::mark);
    }

    pub(crate) fn keeps_oldest(&self) -> bool {
        self.holds.get().is_some()
    }

    #[inline]
    pub(crate) fn acquire(&self, now: u64) -> Unit {
        let (parity, in_use) = self.add_unit(now);
        let is_new_peak = at(&self.peaks, parity).is_below(in_use);
        // Reading the generation here, rather than once in each case, saves the release a step.
        let unit = Unit::here();
        if is_new_peak { self.begin_hold(parity, in_use, unit, now) } else { unit }
    }

    /// Acquires a unit of which somebody else knows since when it is held.
    #[inline]
    pub(crate) fn acquire_without_hold(&self, now: u64) {
        let (parity, in_use) = self.add_unit(now);
        let peak = at(&self.peaks, parity);
        if peak.is_below(in_use) {
            peak.raise(in_use);
        }
    }

    /// Returns the parity of the interval in which the unit was acquired, and how many units were in use then.
    #[inline]
    fn add_unit(&self, now: u64) -> (usize, u64) {
        let before = self.enter(ACQUIRED, now.wrapping_neg());
        self.complete(before, ACQUIRED, now.wrapping_neg());
        (parity(before), units(before) + 1)
    }

    #[cold]
    #[inline(never)]
    fn begin_hold(&self, parity: usize, in_use: u64, unit: Unit, now: u64) -> Unit {
        at(&self.peaks, parity).raise(in_use);
        self.holds.get().map_or(unit, |holds| unit.with_hold(holds, now))
    }

    /// Returns a unit that was acquired, if this process did so.
    #[inline]
    pub(crate) fn give_back(&self, unit: Unit) {
        match unit.mark() {
            None => self.release(self.now()),
            Some(mark) => self.end_hold(mark),
        }
    }

    #[cold]
    #[inline(never)]
    fn end_hold(&self, mark: Mark) {
        // The parent releases a unit that was acquired before a fork.
        if !mark.is_here() {
            return;
        }
        if let Some(holds) = self.holds.get() {
            holds.end(mark.entry(), mark.generation());
        }
        self.release(self.now());
    }

    #[inline]
    pub(crate) fn release(&self, now: u64) {
        let before = self.enter(RELEASED, now);
        self.complete(before, RELEASED, now);
    }

    /// Does the first half of an operation, which counts from here on. Returns the previous value of the word.
    #[inline]
    fn enter(&self, change: u64, time: u64) -> u64 {
        let entry = (time << TIME_SHIFT).wrapping_add(change << UNITS_SHIFT);
        // Release: a reader that sees this reads its clock later. Acquire: a thread that sees a new interval adds to it
        // only after the reader that began it has read the previous interval of the same parity.
        self.cut.fetch_add(entry, Ordering::AcqRel)
    }

    /// Does the second half, in the interval in which the first half was done.
    #[inline]
    fn complete(&self, before: u64, change: u64, time: u64) {
        let carried = ((before >> TIME_SHIFT) & LOW_MASK).wrapping_add(time) & !LOW_MASK;
        at(&self.times, parity(before)).fetch_add(carried.wrapping_add(change), Ordering::Relaxed);
    }

    /// Returns the reading of the moment when the cell was made.
    pub(crate) fn first_reading(&self) -> Reading {
        Reading { at: self.opened, ..Reading::default() }
    }

    /// Releases all units, and returns the reading that the next one is compared with. No other thread may use the cell
    /// meanwhile. An operation that a fork interrupted is never completed.
    pub(crate) fn start_over(&self, now: u64) -> Reading {
        self.cut.store(0, Ordering::Relaxed);
        self.times.iter().for_each(|time| time.store(0, Ordering::Relaxed));
        for peak in &self.peaks {
            peak.take();
        }
        Reading { at: now, ..Reading::default() }
    }

    /// Returns the reading after `last`. Only one thread reads.
    pub(crate) fn read(&self, last: Reading, clock: impl FnOnce() -> u64) -> Reading {
        let ended = self.end_interval();
        // The clock is read last, so that no operation in the reading is later.
        let at = clock();
        let in_use = units(ended.cut);
        // A peak that came too late for its own interval is reported now, unless that interval reported as much.
        let late_peak = if ended.late_peak > last.peak { ended.late_peak } else { 0 };
        let peak = in_use.max(last.in_use).max(ended.peak).max(late_peak);
        Reading { in_use, peak, at, busy: ended.busy(at) }
    }

    fn end_interval(&self) -> Ended {
        let ending = parity(self.cut.load(Ordering::Relaxed));
        let next = 1 - ending;
        // The next interval's words are read before it begins again.
        let earlier = at(&self.times, next).load(Ordering::Relaxed);
        let late_peak = at(&self.peaks, next).take();
        let flip = if ending == 1 { ODD.wrapping_neg() } else { ODD };
        let cut = self.cut.fetch_add(flip, Ordering::AcqRel);
        let time = earlier.wrapping_add(at(&self.times, ending).load(Ordering::Relaxed));
        Ended { cut, time, peak: at(&self.peaks, ending).take(), late_peak }
    }

    /// Returns how long the unit that has been held for the longest time has been so, in nanoseconds. It is 0 if none
    /// is held, or none whose start is known.
    pub(crate) fn oldest(&self, now: u64) -> u64 {
        self.holds.get().and_then(|holds| holds.oldest(now)).unwrap_or(0)
    }

    /// Returns how many units there are whose starts had no room.
    pub(crate) fn untracked(&self) -> u64 {
        self.holds.get().map_or(0, Holds::untracked)
    }

    /// Returns the units in use now.
    pub(crate) fn in_use(&self) -> u64 {
        units(self.cut.load(Ordering::Relaxed))
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    pub(crate) fn set_capacity(&self, capacity: u32) {
        self.capacity.store(u64::from(capacity), Ordering::Relaxed);
    }
}

/// Returns 1 if the interval is odd, from the first word.
#[inline]
fn parity(cut: u64) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "it is 0 or 1")]
    let parity = (cut & ODD) as usize;
    parity
}

/// Returns what belongs to the even or the odd interval.
#[inline]
fn at<T>(pair: &[T; 2], parity: usize) -> &T {
    let [even, _] = pair;
    pair.get(parity).unwrap_or(even)
}

/// Returns the units in use from the first word.
#[inline]
fn units(cut: u64) -> u64 {
    (cut >> UNITS_SHIFT) & UNITS_MASK
}

/// The words at the end of an interval.
#[derive(Debug)]
struct Ended {
    cut: u64,
    time: u64,
    peak: u64,
    // The peak that was noted since the previous interval was read.
    late_peak: u64,
}

impl Ended {
    /// Returns the units whose operations are in the first word and not yet in the second.
    fn half_done(&self) -> i64 {
        // Both counts are correct modulo 2^16.
        (units(self.cut).wrapping_sub(self.time) << 48).cast_signed() >> 48
    }

    /// Returns the time that units were in use until `at`.
    fn busy(&self, at: u64) -> u64 {
        let in_use = units(self.cut);
        let completed = in_use.wrapping_sub(self.half_done().cast_unsigned());
        let rough = self.time.wrapping_sub(completed).wrapping_add(completed.wrapping_mul(at));
        let precise = (self.cut >> TIME_SHIFT).wrapping_add(in_use.wrapping_mul(at));
        // The result is the number nearest to the rough one that equals the precise one modulo 2^39.
        let off = (precise.wrapping_sub(rough) << TIME_SHIFT).cast_signed() >> TIME_SHIFT;
        rough.wrapping_add(off.cast_unsigned())
    }
}

#[cfg(all(test, tasktag_loom))]
mod model;

#[cfg(all(test, not(tasktag_loom)))]
mod tests;
