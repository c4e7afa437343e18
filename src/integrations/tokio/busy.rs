//! How busy a runtime's workers are, from counts that the workers update irregularly.

use std::time::{Duration, Instant};
use tokio::runtime::{Handle, RuntimeFlavor, RuntimeMetrics};

/// The shortest span of a ratio. A flush may follow a collection at once, and one poll would make up the whole ratio.
const MIN_SPAN: Duration = Duration::from_millis(100);

/// The counts of a worker.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    /// Busy time that the worker has counted since it started.
    booked: Duration,
    /// How often the worker parked or was unparked; odd while it is parked.
    turns: u64,
}

/// Shares of time, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BusyRatios {
    /// The mean of all workers.
    pub(super) mean: f64,
    /// The share of the busiest worker.
    pub(super) busiest: f64,
}

/// Turns readings into the ratios of the time between them.
#[derive(Debug)]
pub(super) struct BusyMeter {
    since: Instant,
    workers: Vec<Worker>,
    // Whether a worker that does not park is running. A current-thread runtime may have nobody who drives it.
    driven: bool,
    ratios: Option<BusyRatios>,
}

impl BusyMeter {
    /// Starts from the current counts.
    pub(super) fn start(runtime: &Handle) -> Self {
        let driven = runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
        Self::starting(Instant::now(), &readings(&runtime.metrics()), driven)
    }

    fn starting(since: Instant, readings: &[Reading], driven: bool) -> Self {
        let workers = readings.iter().map(|&last| Worker { last, reported: last.booked }).collect();
        Self { since, workers, driven, ratios: None }
    }

    /// The ratios of the time since the last call, if they are known.
    pub(super) fn ratios(&mut self, metrics: &RuntimeMetrics) -> Option<BusyRatios> {
        self.read(Instant::now(), &readings(metrics))
    }

    fn read(&mut self, now: Instant, readings: &[Reading]) -> Option<BusyRatios> {
        let span = now.saturating_duration_since(self.since);
        if span < MIN_SPAN {
            return self.ratios;
        }
        let mut pairs = self.workers.iter().zip(readings);
        if !self.driven && pairs.any(|(worker, reading)| worker.is_silent(reading)) {
            // The next known ratio covers the time until then.
            self.ratios = None;
            return None;
        }
        self.since = now;
        let (mut sum, mut longest) = (Duration::ZERO, Duration::ZERO);
        for (worker, reading) in self.workers.iter_mut().zip(readings) {
            let busy = worker.busy(*reading, span, self.driven);
            sum += busy;
            longest = longest.max(busy);
        }
        let mean = sum.div_duration_f64(span) / self.workers.len().max(1) as f64;
        self.ratios = Some(BusyRatios { mean, busiest: longest.div_duration_f64(span) });
        self.ratios
    }
}

#[derive(Debug)]
struct Worker {
    last: Reading,
    /// Busy time reported since the start. It is ahead of the count during a long poll, and behind it afterwards.
    reported: Duration,
}

impl Worker {
    /// Whether the worker neither parked nor was parked since the last reading.
    fn was_awake(&self, reading: &Reading) -> bool {
        reading.turns == self.last.turns && reading.turns.is_multiple_of(2)
    }

    /// Whether the worker was awake and did not update its count.
    fn is_silent(&self, reading: &Reading) -> bool {
        self.was_awake(reading) && reading.booked == self.last.booked
    }

    /// How much of `span`, the time since the last reading, the worker was busy.
    fn busy(&mut self, reading: Reading, span: Duration, driven: bool) -> Duration {
        let busy = if driven && self.was_awake(&reading) {
            span
        } else {
            // The worker counted everything when it parked: anything reported beyond that was a search for work.
            self.reported = self.reported.min(reading.booked);
            reading.booked.saturating_sub(self.reported).min(span)
        };
        self.reported += busy;
        self.last = reading;
        busy
    }
}

fn readings(metrics: &RuntimeMetrics) -> Vec<Reading> {
    let reading = |worker| Reading {
        booked: metrics.worker_total_busy_duration(worker),
        turns: metrics.worker_park_unpark_count(worker),
    };
    (0..metrics.num_workers()).map(reading).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    /// A runtime whose counts a test sets, in milliseconds. Each tick reads the mean and the busiest ratio.
    struct Readings {
        meter: BusyMeter,
        now: Instant,
    }

    impl Readings {
        fn new<const N: usize>(driven: bool, workers: [(u64, u64); N]) -> Self {
            let now = Instant::now();
            Self { meter: BusyMeter::starting(now, &workers.map(reading), driven), now }
        }

        fn read_after<const N: usize>(
            &mut self,
            span: Duration,
            workers: [(u64, u64); N],
        ) -> Option<(f64, f64)> {
            self.now += span;
            self.meter.read(self.now, &workers.map(reading)).map(|ratios| (ratios.mean, ratios.busiest))
        }

        fn read<const N: usize>(&mut self, workers: [(u64, u64); N]) -> Option<(f64, f64)> {
            self.read_after(TICK, workers)
        }
    }

    fn reading((millis, turns): (u64, u64)) -> Reading {
        Reading { booked: Duration::from_millis(millis), turns }
    }

    #[test]
    fn the_mean_is_over_all_workers_and_the_busiest_is_one() {
        let mut readings = Readings::new(true, [(1_000, 1), (500, 7)]);
        assert_eq!(readings.read([(1_200, 5), (550, 9)]), Some((0.5, 0.8)));
        assert_eq!(readings.read([(1_200, 5), (550, 9)]), Some((0.0, 0.0)), "both are parked");
    }

    #[test]
    fn what_was_busy_before_is_not_counted() {
        let mut readings = Readings::new(true, [(1_000_000, 3)]);
        assert_eq!(readings.read([(1_000_000, 3)]), Some((0.0, 0.0)));
    }

    #[test]
    fn a_worker_that_does_not_park_is_busy_before_it_booked_anything() {
        let mut readings = Readings::new(true, [(100, 3)]);
        // It wakes 50 ms before the reading, and polls for 600 ms.
        assert_eq!(readings.read([(100, 4)]), Some((0.0, 0.0)));
        assert_eq!(readings.read([(100, 4)]), Some((1.0, 1.0)));
        assert_eq!(readings.read([(100, 4)]), Some((1.0, 1.0)));
        // It parks 50 ms after the last reading; its busy time in the first is reported now.
        assert_eq!(readings.read([(700, 5)]), Some((0.4, 0.4)));
        assert_eq!(readings.read([(700, 5)]), Some((0.0, 0.0)));
    }

    #[test]
    fn no_ratio_is_over_1_and_nothing_is_lost_for_that() {
        let mut readings = Readings::new(true, [(0, 3)]);
        // It wakes right after a reading, and parks right before the one after the next.
        assert_eq!(readings.read([(0, 4)]), Some((0.0, 0.0)));
        assert_eq!(readings.read([(450, 5)]), Some((1.0, 1.0)));
        assert_eq!(readings.read([(450, 5)]), Some((0.8, 0.8)), "the 200 ms that had no place");
        assert_eq!(readings.read([(450, 5)]), Some((0.0, 0.0)));
    }

    #[test]
    fn long_polls_that_are_booked_by_the_dozen_show_no_dips() {
        let mut readings = Readings::new(true, [(0, 4)]);
        for tick in 1..=100 {
            // 61 polls of 100 ms each are counted at once.
            let booked = tick * 250 / 6_100 * 6_100;
            assert_eq!(readings.read([(booked, 4)]), Some((1.0, 1.0)), "at {tick}");
        }
        assert_eq!(readings.read([(25_000, 5)]), Some((0.0, 0.0)), "all of it was reported");
        assert_eq!(readings.read([(25_125, 7)]), Some((0.5, 0.5)));
    }

    #[test]
    fn a_worker_that_searched_for_long_owes_nothing_later() {
        let mut readings = Readings::new(true, [(0, 4)]);
        for tick in 1..=100 {
            assert_eq!(readings.read([(tick * 10, 4)]), Some((1.0, 1.0)), "it never parked");
        }
        assert_eq!(readings.read([(1_000, 5)]), Some((0.0, 0.0)));
        assert_eq!(readings.read([(1_125, 7)]), Some((0.5, 0.5)));
    }

    #[test]
    fn where_nobody_may_drive_the_runtime_a_ratio_is_absent_until_it_is_known() {
        let mut readings = Readings::new(false, [(100, 3)]);
        assert_eq!(readings.read([(200, 4)]), Some((0.4, 0.4)));
        assert_eq!(readings.read([(200, 4)]), None);
        assert_eq!(readings.read([(200, 4)]), None);
        assert_eq!(readings.read([(200, 4)]), None);
        assert_eq!(readings.read([(700, 5)]), Some((0.5, 0.5)), "of the second since it was known last");
        assert_eq!(readings.read([(750, 7)]), Some((0.2, 0.2)));
    }

    #[test]
    fn a_reading_right_after_another_repeats_its_ratios() {
        let mut readings = Readings::new(true, [(0, 1)]);
        assert_eq!(readings.read_after(Duration::from_millis(99), [(99, 3)]), None);
        assert_eq!(readings.read([(99, 3)]), Some((99.0 / 349.0, 99.0 / 349.0)));
        let known = readings.read([(224, 5)]);
        assert_eq!(known, Some((0.5, 0.5)));
        assert_eq!(readings.read_after(Duration::from_millis(5), [(229, 7)]), known);
        assert_eq!(readings.read_after(Duration::from_millis(95), [(274, 9)]), Some((0.5, 0.5)), "of 100 ms");
    }
}
