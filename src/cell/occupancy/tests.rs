//! Readings are exact: of any operations, of any halves of them, and while threads go on with them.

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
    for _ in 0..MOST {
        cell.acquire(SECOND);
    }
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
    for _ in 0..3 {
        cell.acquire(0);
    }
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
        cell.peaks[0].raise(told.min(5));
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
    // Modulo 2^64, as readings are.
    sum: u64,
    units: u64,
}

impl Reference {
    fn busy(&self, now: u64) -> u64 {
        self.sum.wrapping_add(self.units.wrapping_mul(now))
    }
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
                let (change, time) = if step < 2 || reference.units == 0 {
                    (ACQUIRED, at.wrapping_neg())
                } else {
                    (RELEASED, at)
                };
                half_done.push((cell.enter(change, time), change, time, at));
                reference.sum = reference.sum.wrapping_add(time);
                reference.units = reference.units.wrapping_add(change);
            }
            4 if !half_done.is_empty() => {
                complete(half_done.swap_remove(u.choose_index(half_done.len())?));
            }
            5 => {
                let mut reading = cell.read(last, || now);
                assert_eq!(reading.in_use, reference.units);
                let busy = reference.busy(now);
                assert!(!promised || reading.busy == busy, "{reading:?} is to be {busy}");
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
    let busy = reference.busy(now);
    assert_eq!((reading.in_use, reading.busy), (reference.units, busy));
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
/// TASKTAG_OCCUPANCY_OPERATIONS=1000000000 cargo test --release --lib cell::occupancy
/// ```
fn operations() -> u64 {
    let operations = env::var("TASKTAG_OCCUPANCY_OPERATIONS").ok();
    operations.map_or(4_000_000, |operations| operations.parse().expect("a number of operations"))
}

const CALLERS: usize = 4;
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
    const MOST: u64 = HELD + (CALLERS * EACH) as u64;
    let origin = 10 * YEAR;
    let cell = cell();
    let start = origin + cell.now();
    let mut last = cell.start_over(start);
    for _ in 0..HELD {
        cell.acquire(start);
    }
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
        let callers =
            [(); CALLERS].map(|()| scope.spawn(|| call(&cell, operations() / CALLERS as u64, origin)));
        while callers.iter().any(|caller| !caller.is_finished()) {
            read();
        }
        callers.map(|caller| caller.join().unwrap()).iter().sum()
    });
    let exact = cell.read(last, || origin + cell.now());
    assert_eq!(exact.in_use, HELD);
    assert_eq!(exact.busy, busy + HELD * (exact.at - start));
}
