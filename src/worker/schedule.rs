//! The schedule of the worker's periodic tasks. They happen on a grid, so that a constant rate is shown as one.
//!
//! A server adds up what arrives in a window, which is 10 s in the Datadog Agent. The sums are only right if the same
//! number of flushes falls into each window. The time between flushes is therefore always the interval. Tasks that were
//! started together differ in the time of their first flush.

use super::Intervals;
use crate::worker::telemetry::INTERVAL_NANOS;
use rand::TryRng;
use rand::rngs::SysRng;

/// The next due times, in nanoseconds of the client's clock. A collection and a telemetry report coincide with a flush
/// if their intervals have a common multiple at that time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(super) collect: Grid,
    pub(super) flush: Grid,
    pub(super) telemetry: Grid,
    pub(super) lease: Grid,
}

impl Schedule {
    /// The schedule is set before the thread starts, so that the time to start the thread does not change it. The first
    /// flush is due `phase` from now.
    pub(crate) fn from(now: u64, intervals: Intervals, phase: u64) -> Self {
        let first = now.saturating_add(phase);
        // The grids are those of a flush and a report one interval before the first flush.
        let report = first.saturating_add(INTERVAL_NANOS - intervals.flush % INTERVAL_NANOS);
        let telemetry = Grid::through(report, INTERVAL_NANOS, now);
        Self {
            collect: Grid::through(first, intervals.collect, now),
            flush: Grid::through(first, intervals.flush, now),
            telemetry,
            lease: Grid { due: now, ..telemetry },
        }
    }

    /// Returns the time when the worker must wake up.
    pub(super) fn next(&self) -> u64 {
        self.collect.due.min(self.flush.due)
    }

    /// Returns the same for a worker that rests. A lease is shown as often as ever, if there is one.
    pub(super) fn next_at_rest(&self, has_lease: bool) -> u64 {
        if has_lease { self.flush.due.min(self.lease.due) } else { self.flush.due }
    }
}

/// Returns a random part of an interval from the operating system's generator. It is above 0, and at most the whole
/// interval.
pub(crate) fn random_phase(interval: u64) -> u64 {
    SysRng.try_next_u64().map_or(interval, |drawn| 1 + drawn % interval)
}

/// Points in time at a constant distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    step: u64,
    // The remainder of every point, divided by the step.
    remainder: u64,
    due: u64,
}

impl Grid {
    /// Returns the grid that contains `point`. The first point after `now` is due.
    fn through(point: u64, step: u64, now: u64) -> Self {
        let mut grid = Self { step, remainder: point % step, due: now };
        grid.pass(now);
        grid
    }

    pub(super) fn is_due(&self, now: u64) -> bool {
        now >= self.due
    }

    /// Advances to the first point after `now`, however many points lie before it.
    pub(super) fn pass(&mut self, now: u64) {
        let past = (now % self.step + self.step - self.remainder) % self.step;
        self.due = now.saturating_add(self.step - past);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MILLI;
    const DAY: u64 = 86_400 * SECOND;

    fn defaults() -> Intervals {
        Intervals { collect: 250 * MILLI, flush: 2 * SECOND }
    }

    #[test]
    fn the_first_point_is_within_one_interval_and_the_others_are_whole_steps_from_it() {
        arbtest::arbtest(|u| {
            let (step, now) = (u.int_in_range(1..=3600 * SECOND)?, u.int_in_range(0..=DAY)?);
            let first = now + u.int_in_range(1..=step)?;
            let mut grid = Grid::through(first, step, now);
            assert_eq!(grid.due, first);
            for _ in 0..5 {
                let late = grid.due + u.int_in_range(0..=3 * step)?;
                grid.pass(late);
                assert!(
                    grid.due > late && grid.due - late <= step && (grid.due - first).is_multiple_of(step)
                );
                // A point that is not due is not moved.
                let before = grid;
                grid.pass(u.int_in_range(late..=grid.due - 1)?);
                assert_eq!(grid, before);
            }
            Ok(())
        });
    }

    #[test]
    fn a_worker_that_always_wakes_late_does_not_drift_in_a_day() {
        for phase in [1, 777_777_777, 2 * SECOND] {
            let mut schedule = Schedule::from(0, defaults(), phase);
            let (mut flushes, mut reports, mut now) = (0, 0, 0);
            while now < DAY {
                // Each wake-up is up to 97 ms late.
                now = schedule.next() + (now / MILLI * 31) % 97 * MILLI;
                if schedule.flush.is_due(now) {
                    assert_eq!(schedule.flush.due, phase + flushes * 2 * SECOND);
                    flushes += 1;
                    schedule.flush.pass(now);
                    if schedule.telemetry.is_due(now) {
                        reports += 1;
                        schedule.telemetry.pass(now);
                        assert_eq!((schedule.telemetry.due + 2 * SECOND - phase) % (10 * SECOND), 0);
                    }
                }
                schedule.collect.pass(now);
            }
            assert!((43_200..=43_201).contains(&flushes), "{flushes}");
            assert!((8_640..=8_641).contains(&reports), "{reports}");
        }
    }

    #[test]
    fn collections_and_reports_fall_on_flushes() {
        arbtest::arbtest(|u| {
            let intervals = defaults();
            let now = u.int_in_range(0..=DAY)?;
            let schedule = Schedule::from(now, intervals, u.int_in_range(1..=intervals.flush)?);
            assert_eq!(schedule.flush.due % intervals.collect, schedule.collect.remainder);
            assert!(schedule.collect.due - now <= intervals.collect);
            assert_eq!(schedule.telemetry.due % intervals.flush, schedule.flush.remainder);
            assert!(schedule.telemetry.due - now <= INTERVAL_NANOS);
            // The pool is read with the first collection, and then as often as it is reported.
            let mut lease = schedule.lease;
            assert!(lease.is_due(schedule.collect.due));
            lease.pass(schedule.collect.due);
            assert_eq!(lease.due % INTERVAL_NANOS, schedule.telemetry.due % INTERVAL_NANOS);
            Ok(())
        });
    }

    #[test]
    fn a_worker_that_rests_wakes_up_to_flush_and_to_show_a_lease() {
        let mut schedule = Schedule::from(0, defaults(), 2 * SECOND);
        schedule.lease.pass(schedule.next());
        assert_eq!(schedule.next(), 250 * MILLI);
        assert_eq!([false, true].map(|leased| schedule.next_at_rest(leased)), [2 * SECOND; 2]);
        // Flushes that are further apart than a lease is shown.
        let mut schedule = Schedule::from(0, Intervals { flush: 60 * SECOND, ..defaults() }, 60 * SECOND);
        schedule.lease.pass(schedule.next());
        assert_eq!(schedule.next_at_rest(false), 60 * SECOND);
        assert_eq!(schedule.next_at_rest(true), 10 * SECOND);
    }

    #[test]
    fn where_a_flush_is_rarer_than_a_report_each_flush_reports() {
        let intervals = Intervals { flush: 25 * SECOND, ..defaults() };
        let mut schedule = Schedule::from(0, intervals, 7 * SECOND);
        schedule.telemetry.pass(7 * SECOND);
        assert!(schedule.telemetry.is_due(32 * SECOND));
    }

    #[test]
    fn two_hundred_clients_that_start_together_spread_over_the_interval() {
        let mut tenths = [0; 10];
        for _ in 0..200 {
            let phase = random_phase(2 * SECOND);
            assert!((1..=2 * SECOND).contains(&phase));
            let Schedule { flush, .. } = Schedule::from(0, defaults(), phase);
            tenths[usize::try_from((flush.due - 1) / (200 * MILLI)).unwrap()] += 1;
        }
        // The average is 20. Fewer than 3 occur once in about ten million runs.
        assert!(tenths.iter().all(|clients| (3..=60).contains(clients)), "{tenths:?}");
    }
}
