//! How much of a capacity is in use, integrated over time from two atomics.

use crate::clock::Clock;
use crate::sync::{AtomicU64, Ordering};

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
mod model {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// Starts where the low bits are nearly full and the precise time is about to wrap, so that all is carried.
    const START: u64 = (1 << 39) - 10;

    #[test]
    fn two_readings_are_cuts_while_units_come_and_go() {
        crate::sync::model(|| {
            let cell = Arc::new(OccupancyCell::new(2, START, Clock::monotonic()));
            let callers = [0, 10].map(|start| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || {
                    cell.acquire(START + start);
                    cell.release(START + start + 5);
                })
            });
            let mut reported = 0;
            let mut last = cell.first_reading();
            for at in [100, 200] {
                let mut reading = cell.read(last, || START + at);
                // Each caller was not seen yet, has been in use since it came, or was in use for 5.
                let possible = [0, at, 5].map(|first| [0, at - 10, 5].map(|second| first + second));
                assert!(possible.as_flattened().contains(&reading.busy), "{reading:?}");
                assert!(reading.in_use <= reading.peak && reading.peak <= 2, "{reading:?}");
                let busy = reading.take_busy(last);
                assert!(busy <= 100 * reading.peak, "{busy} at {reading:?}");
                (reported, last) = (reported + busy, reading);
            }
            for caller in callers {
                caller.join().unwrap();
            }
            let reading = cell.read(last, || START + 300);
            assert_eq!((reading.in_use, reading.busy), (0, 10));
            assert_eq!(last.busy, reported, "what was reported is what was taken");
        });
    }

    #[test]
    fn no_operation_of_the_next_interval_is_read() {
        crate::sync::model(|| {
            let cell = Arc::new(OccupancyCell::new(4, 0, Clock::monotonic()));
            let callers = [(); 2].map(|()| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || [1, 2].into_iter().for_each(|now| cell.acquire(now)))
            });
            for _ in 0..2 {
                // All acquire: below 0, an operation is in the second word that is not in the first.
                let half_done = cell.end_interval().half_done();
                assert!(half_done >= 0, "{half_done}");
            }
            for caller in callers {
                caller.join().unwrap();
            }
            assert_eq!(cell.end_interval().half_done(), 0);
        });
    }

    #[test]
    fn a_peak_is_read_though_it_was_noted_late() {
        crate::sync::model(|| {
            let cell = Arc::new(OccupancyCell::new(2, 0, Clock::monotonic()));
            cell.acquire(0);
            let caller = thread::spawn({
                let cell = Arc::clone(&cell);
                move || cell.acquire(1)
            });
            let before = cell.enter(RELEASED, 2);
            cell.complete(before, RELEASED, 2);
            let first = cell.read(cell.first_reading(), || 10);
            let second = cell.read(first, || 20);
            caller.join().unwrap();
            let third = cell.read(second, || 30);
            let peaks = [first, second, third].map(|reading| reading.peak);
            assert_eq!(peaks.iter().max(), Some(&units(before)), "{peaks:?}");
            assert_eq!(cell.read(third, || 40).peak, 1, "after {peaks:?}");
        });
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;
    use arbtest::arbitrary::{Result, Unstructured};
    use std::env;
    use std::thread;

    const YEAR: u64 = 365 * 86_400 * 1_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn cell() -> OccupancyCell {
        OccupancyCell::new(4, 0, Clock::monotonic())
    }

    #[test]
    fn the_ledger_gives_the_time_in_use() {
        let cell = cell();
        cell.acquire(100);
        cell.acquire(150);
        cell.release(200);
        let first = cell.read(cell.first_reading(), || 250);
        // Both until 200, one of them until 250: whichever was released.
        assert_eq!(first, Reading { in_use: 1, peak: 2, at: 250, busy: 100 + 100 });
        cell.release(300);
        let second = cell.read(first, || 400);
        assert_eq!(second, Reading { in_use: 0, peak: 1, at: 400, busy: 250 });
        assert_eq!(cell.read(second, || 500), Reading { at: 500, peak: 0, ..second });
    }

    #[test]
    fn readings_stay_exact_over_many_operations_and_years() {
        let cell = cell();
        let mut now = 100 * YEAR;
        let start = cell.read(cell.first_reading(), || now);
        for _ in 0..100_000 {
            cell.acquire(now);
            now += 70_003;
            cell.release(now);
            now += 5;
        }
        assert_eq!(cell.read(start, || now).busy - start.busy, 7_000_300_000);
    }

    #[test]
    fn as_many_units_as_are_promised_are_exact() {
        const MOST: u64 = 16_777_215;
        let cell = cell();
        (0..MOST).for_each(|_| cell.acquire(SECOND));
        let full = cell.read(cell.first_reading(), || 3 * SECOND);
        assert_eq!(full, Reading { in_use: MOST, peak: MOST, at: 3 * SECOND, busy: 2 * SECOND * MOST });
        (0..MOST).for_each(|_| cell.release(4 * SECOND));
        let empty = cell.read(full, || 5 * SECOND);
        assert_eq!(empty, Reading { in_use: 0, peak: MOST, at: 5 * SECOND, busy: 3 * SECOND * MOST });
    }

    #[test]
    fn a_unit_that_is_held_for_centuries_is_exact() {
        let cell = cell();
        cell.acquire(7);
        let mut reading = cell.read(cell.first_reading(), || 290 * YEAR);
        assert_eq!(reading.take_busy(cell.first_reading()), 290 * YEAR - 7);
    }

    #[test]
    fn centuries_that_are_too_many_to_count_spoil_no_later_interval() {
        let cell = cell();
        (0..3).for_each(|_| cell.acquire(0));
        let mut first = cell.read(cell.first_reading(), || 200 * YEAR);
        first.take_busy(cell.first_reading());
        let mut second = cell.read(first, || 201 * YEAR);
        assert_eq!(second.take_busy(first), 3 * YEAR);
    }

    #[test]
    fn a_release_that_crossed_the_earlier_reading_is_made_good_for() {
        let cell = cell();
        cell.acquire(0);
        let mut first = cell.read(cell.first_reading(), || 100);
        assert_eq!(first.take_busy(cell.first_reading()), 100);
        cell.release(90);
        let mut second = cell.read(first, || 200);
        assert_eq!(second.take_busy(first), 0, "it was in use for 10 less than was reported");
        cell.acquire(200);
        let mut third = cell.read(second, || 300);
        assert_eq!(third.take_busy(second), 90);
    }

    #[test]
    fn a_reading_counts_operations_that_are_half_done() {
        let cell = cell();
        cell.acquire(SECOND);
        // A thread is put off in each of these, and another one goes on.
        let acquired = cell.enter(ACQUIRED, (2 * SECOND).wrapping_neg());
        let released = cell.enter(RELEASED, 3 * SECOND);
        let acquired_too = cell.enter(ACQUIRED, (4 * SECOND).wrapping_neg());
        cell.acquire(5 * SECOND);
        let first = cell.read(cell.first_reading(), || 10 * SECOND);
        assert_eq!((first.in_use, first.busy), (3, (9 + 8 - 7 + 6 + 5) * SECOND));
        cell.complete(acquired, ACQUIRED, (2 * SECOND).wrapping_neg());
        cell.complete(released, RELEASED, 3 * SECOND);
        let second = cell.read(first, || 20 * SECOND);
        assert_eq!((second.in_use, second.busy), (3, first.busy + 30 * SECOND));
        cell.complete(acquired_too, ACQUIRED, (4 * SECOND).wrapping_neg());
        let third = cell.read(second, || 30 * SECOND);
        assert_eq!((third.in_use, third.busy), (3, first.busy + 60 * SECOND));
    }

    #[test]
    fn a_peak_that_comes_late_is_reported_if_it_is_news() {
        for (told, later) in [(4, 4), (5, 1), (6, 1)] {
            let cell = cell();
            cell.acquire(0);
            let reading = cell.read(cell.first_reading(), || 10);
            // A thread was put off before it noted that there were four, or five, or six at once.
            let interval = cell.interval(0);
            interval.peak.fetch_max(told.min(5), Ordering::Relaxed);
            let last = Reading { peak: if told == 4 { 3 } else { told }, ..reading };
            assert_eq!(cell.read(last, || 20).peak, later);
        }
    }

    #[test]
    fn a_child_starts_with_nothing_whatever_the_fork_cut_in_two() {
        const HOUR: u64 = 3600 * SECOND;
        let cell = cell();
        cell.acquire(HOUR);
        cell.read(cell.first_reading(), || 2 * HOUR);
        cell.enter(ACQUIRED, (2 * HOUR).wrapping_neg());
        let born = cell.start_over(3 * HOUR);
        cell.acquire(4 * HOUR);
        let mut reading = cell.read(born, || 6 * HOUR);
        assert_eq!((reading.in_use, reading.peak, reading.take_busy(born)), (1, 1, 2 * HOUR));
    }

    /// The same sums, kept the simple way, of what was entered.
    #[derive(Default)]
    struct Reference {
        sum: i128,
        units: u64,
        peak: u64,
    }

    /// Any order of operations, of their halves, of moments and of readings. While operations are half done for no
    /// longer than is promised, every reading is exact.
    fn compare(u: &mut Unstructured<'_>, promised: bool) -> Result<()> {
        let cell = cell();
        let mut now = u.int_in_range(0..=200 * YEAR)?;
        let mut last = cell.start_over(now);
        let mut reference = Reference::default();
        let mut half_done: Vec<(u64, u64, u64, u64)> = Vec::new();
        let complete = |(before, change, time, _)| cell.complete(before, change, time);
        for _ in 0..u.int_in_range(0..=200)? {
            match u.int_in_range(0..=7_u8)? {
                step @ 0..=3 => {
                    // What a thread read may be a while ago.
                    let at = now - u.int_in_range(0..=now.min(1_000_000))?;
                    let (change, time, signed) = if step < 2 || reference.units == 0 {
                        (ACQUIRED, at.wrapping_neg(), -i128::from(at))
                    } else {
                        (RELEASED, at, i128::from(at))
                    };
                    half_done.push((cell.enter(change, time), change, time, at));
                    reference.sum += signed;
                    reference.units = reference.units.wrapping_add(change);
                    reference.peak = reference.peak.max(reference.units);
                }
                4 if !half_done.is_empty() => {
                    complete(half_done.swap_remove(u.choose_index(half_done.len())?));
                }
                5 => {
                    let mut reading = cell.read(last, || now);
                    assert_eq!(reading.in_use, reference.units);
                    let busy = reference.sum + i128::from(reference.units) * i128::from(now);
                    assert!(!promised || i128::from(reading.busy) == busy, "{reading:?} is to be {busy}");
                    let most = reading.peak * (now - last.at);
                    assert!(reading.take_busy(last) <= most);
                    last = reading;
                }
                _ => {
                    let late: u64 = half_done.iter().map(|(.., at)| now - at).sum();
                    let most = (270 * SECOND).saturating_sub(late) / (half_done.len() as u64).max(1);
                    let is_free = !promised || half_done.is_empty();
                    now += u.int_in_range(0..=if is_free { 30 * 86_400 * SECOND } else { most })?;
                }
            }
        }
        for half in half_done {
            complete(half);
        }
        let reading = cell.read(last, || now);
        let busy = reference.sum + i128::from(reference.units) * i128::from(now);
        assert_eq!((reading.in_use, i128::from(reading.busy)), (reference.units, busy));
        Ok(())
    }

    #[test]
    fn a_reading_is_exact_wherever_operations_are() {
        arbtest::arbtest(|u| compare(u, true)).size_min(1024).budget_ms(1_500);
    }

    #[test]
    fn a_reading_is_exact_again_once_operations_are_done() {
        arbtest::arbtest(|u| compare(u, false)).size_min(1024).budget_ms(1_500);
    }

    /// How many operations, of all threads. The long form, some minutes:
    ///
    /// ```sh
    /// TASKTAG_OCCUPANCY_OPERATIONS=1000000000 cargo test --release --lib cell::occupancy -- --nocapture
    /// ```
    fn operations() -> u64 {
        let operations = env::var("TASKTAG_OCCUPANCY_OPERATIONS").ok();
        operations.map_or(4_000_000, |operations| operations.parse().expect("a number of operations"))
    }

    const CALLERS: u8 = 4;
    /// Units that each of them has at most.
    const EACH: usize = 8;

    /// Acquires and releases, and returns for how long units were in use.
    fn call(cell: &OccupancyCell, operations: u64, origin: u64) -> u64 {
        let mut units = [0; EACH];
        let mut busy = 0;
        for n in 0..operations / 2 / EACH as u64 {
            // Now one at a time, now all at once.
            let at_once = if n % 2 == 0 { 1 } else { EACH };
            for units in units.chunks_mut(at_once) {
                for unit in &mut *units {
                    *unit = origin + cell.now();
                    cell.acquire(*unit);
                }
                for unit in &*units {
                    let now = origin + cell.now();
                    cell.release(now);
                    busy += now - unit;
                }
            }
        }
        busy
    }

    #[test]
    fn readings_are_within_what_is_held_and_add_up_to_it_however_many_operations_pass() {
        const HELD: u64 = 1_000;
        const MOST: u64 = HELD + CALLERS as u64 * EACH as u64;
        let origin = 10 * YEAR;
        let cell = cell();
        let start = origin + cell.now();
        let mut last = cell.start_over(start);
        (0..HELD).for_each(|_| cell.acquire(start));
        let mut reported = 0;
        let mut read = || {
            let mut reading = cell.read(last, || origin + cell.now());
            let elapsed = reading.at - start;
            assert!((HELD * elapsed..=MOST * elapsed).contains(&reading.busy), "{reading:?} after {last:?}");
            assert!((HELD..=MOST).contains(&reading.in_use), "{reading:?}");
            assert!((reading.in_use..=MOST).contains(&reading.peak), "{reading:?}");
            let busy = reading.take_busy(last);
            assert!(busy <= reading.peak * (reading.at - last.at), "{busy} of {reading:?} after {last:?}");
            (reported, last) = (reported + busy, reading);
            assert!((HELD * elapsed..=MOST * elapsed).contains(&reported), "{reported} of {reading:?}");
        };
        let busy: u64 = thread::scope(|scope| {
            let callers = [(); CALLERS as usize]
                .map(|()| scope.spawn(|| call(&cell, operations() / u64::from(CALLERS), origin)));
            while callers.iter().any(|caller| !caller.is_finished()) {
                read();
            }
            callers.map(|caller| caller.join().unwrap()).iter().sum()
        });
        let exact = cell.read(last, || origin + cell.now());
        assert_eq!(exact.in_use, HELD);
        assert_eq!(exact.busy, busy + HELD * (exact.at - start));
    }
}
