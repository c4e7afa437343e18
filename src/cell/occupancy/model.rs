//! Checks the words of an occupancy in every order of the threads that use it.

use super::*;
use loom::sync::Arc;
use loom::thread;

/// Starts where the low bits are nearly full and the precise time is about to wrap, so that all is carried.
const START: u64 = (1 << 39) - 10;

#[test]
fn two_readings_are_cuts_while_units_come_and_go() {
    crate::process::sync::model(|| {
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
    crate::process::sync::model(|| {
        let cell = Arc::new(OccupancyCell::new(4, 0, Clock::monotonic()));
        let callers = [(); 2].map(|()| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || {
                for now in [1, 2] {
                    cell.acquire(now);
                }
            })
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
    crate::process::sync::model(|| {
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
