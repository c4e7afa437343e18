//! Counters that are set rather than added to: their growth since the last value.

use crate::process::sync::wide::AtomicU64;
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many counters' last values a thread remembers.
const PLACES: usize = 96;

thread_local! {
    static SEEN: [Cell<Seen>; PLACES] = const { [const { Cell::new(Seen { id: 0, restarts: 0, reading: 0 }) }; PLACES] };
}

/// The value of a counter that a thread set last.
#[derive(Clone, Copy)]
struct Seen {
    id: u32,
    restarts: u32,
    reading: u64,
}

/// A counter that is kept elsewhere and reported by any number of threads.
///
/// A value below the last one either is out of order, because another thread reported a higher one in the meantime, or
/// shows that the counter restarted. A value that a thread reads after it saw a higher one isn't out of order. But a
/// task may be suspended between reading and reporting, so nobody knows when a value was read. An out-of-order value is
/// near the one that overtook it, and a restarted counter is near 0.
#[derive(Debug)]
pub(super) struct Absolute {
    // Never 0, which marks an empty slot in a thread's table.
    id: u32,
    // The value plus one; 0 means that there is none yet.
    last: AtomicU64,
    // Twice the number of restarts, and odd during one: values seen before a restart say nothing about later ones.
    restarts: AtomicU32,
}

impl Absolute {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
        Self { id, last: AtomicU64::new(0), restarts: AtomicU32::new(0) }
    }

    /// Continues from another counter's [`last`](Self::last). That was long ago, so the calling thread counts as having
    /// seen it: its next value is not out of order.
    pub(super) fn after(last: u64) -> Self {
        let counter = Self { last: AtomicU64::new(last), ..Self::new() };
        counter.note(0, last);
        counter
    }

    /// The last reported value, in an encoded form.
    pub(super) fn last(&self) -> Option<u64> {
        Some(self.last.load(Ordering::Relaxed)).filter(|last| *last != 0)
    }

    /// Whether a value was ever reported.
    pub(super) fn is_in_use(&self) -> bool {
        self.last().is_some()
    }

    /// The growth of the counter. The first value is the starting point.
    pub(super) fn growth(&self, value: u64) -> u64 {
        let reading = value.saturating_add(1);
        // Acquire pairs with the Release of the exchange below: a thread that sees a value after a restart sees the
        // restart.
        let last = self.last.load(Ordering::Acquire);
        if value < last / 2 && self.saw_more_than(reading) && self.restart(last, reading) {
            return value;
        }
        let restarts = self.restarts.load(Ordering::Acquire);
        let last = self.last.fetch_max(reading, Ordering::AcqRel);
        self.note(restarts, last.max(reading));
        if last == 0 { 0 } else { reading.saturating_sub(last) }
    }

    /// Whether this thread saw a higher value and no restart since.
    fn saw_more_than(&self, reading: u64) -> bool {
        let seen = SEEN.with(|seen| seen.get(self.place()).map(Cell::get));
        let restarts = self.restarts.load(Ordering::Acquire);
        seen.is_some_and(|seen| {
            seen.id == self.id
                && seen.restarts == restarts
                && restarts.is_multiple_of(2)
                && seen.reading > reading
        })
    }

    /// Returns `false` if another thread was faster.
    fn restart(&self, last: u64, reading: u64) -> bool {
        self.restarts.fetch_add(1, Ordering::AcqRel);
        let done = self.last.compare_exchange(last, reading, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let restarts = self.restarts.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        if done {
            self.note(restarts, reading);
        }
        done
    }

    fn note(&self, restarts: u32, reading: u64) {
        SEEN.with(|seen| {
            if let Some(place) = seen.get(self.place()) {
                place.set(Seen { id: self.id, restarts, reading });
            }
        });
    }

    fn place(&self) -> usize {
        self.id as usize % PLACES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn growth_is_counted_from_the_first_value_and_a_fall_is_a_restart() {
        let counter = Absolute::new();
        assert!(!counter.is_in_use());
        let values = [1000, 1000, 1003, 2, 2, 0, 0, 7, u64::MAX, 5];
        let growth = [0, 0, 3, 2, 0, 0, 0, 7, u64::MAX - 8, 5];
        assert_eq!(values.map(|value| counter.growth(value)), growth);
        assert!(counter.is_in_use());
    }

    #[test]
    fn what_tasks_of_one_thread_tell_late_is_no_restart() {
        // One thread read 990 and was suspended, the other read and reported 1000, and then the first one went on.
        let counter = Absolute::new();
        let values = [1000, 990, 1001, 501, 1002, 500, 700];
        assert_eq!(values.map(|value| counter.growth(value)), [0, 0, 1, 0, 1, 500, 200]);
    }

    #[test]
    fn zero_is_a_value_to_begin_with() {
        let counter = Absolute::new();
        assert_eq!([0, 5].map(|value| counter.growth(value)), [0, 5]);
    }

    /// Threads that set a counter in the order of a test, which decides who is late.
    fn by_threads(steps: &[(usize, u64, u64)]) {
        let counter = Absolute::new();
        thread::scope(|scope| {
            let (answer, answers) = mpsc::channel();
            let tellers: Vec<_> = (0..3)
                .map(|_| {
                    let (teller, told) = mpsc::channel();
                    let (answer, counter) = (answer.clone(), &counter);
                    scope.spawn(move || {
                        for value in told {
                            answer.send(counter.growth(value)).unwrap();
                        }
                    });
                    teller
                })
                .collect();
            for (step, &(thread, value, growth)) in steps.iter().enumerate() {
                tellers[thread].send(value).unwrap();
                assert_eq!(answers.recv().unwrap(), growth, "step {step} of {steps:?}");
            }
        });
    }

    #[test]
    fn a_value_that_another_thread_read_earlier_is_no_restart() {
        by_threads(&[(0, 100, 0), (1, 99, 0), (0, 101, 1), (2, 100, 0), (1, 102, 1)]);
        // Each thread has seen the value that was reported before its own.
        by_threads(&[(0, 100, 0), (1, 101, 1), (0, 102, 1), (1, 101, 0), (1, 103, 1)]);
    }

    #[test]
    fn a_restart_is_found_by_whoever_saw_more() {
        // The thread that reported the highest value is gone: another one sees twice that the counter fell.
        by_threads(&[(0, 100, 0), (1, 3, 0), (1, 4, 4), (2, 3, 0), (0, 6, 2)]);
        // Values seen before a restart say nothing after it: 8 is out of order.
        by_threads(&[(0, 100, 0), (1, 100, 0), (0, 3, 3), (0, 9, 6), (1, 8, 0), (1, 10, 1)]);
    }

    #[test]
    fn threads_that_race_count_every_unit_once() {
        const EACH: u64 = 20_000;
        let (counter, source, sum) = (Absolute::new(), AtomicU64::new(7), AtomicU64::new(0));
        counter.growth(7);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let value = source.fetch_add(1, Ordering::SeqCst) + 1;
                        sum.fetch_add(counter.growth(value), Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * EACH);
    }
}
