//! What the workers of a queue can promise.

use super::argument::{ArgumentError, MAX_RATE, check_share, check_share_below_1};
use super::erlang::{Steady, items_in_progress, utilization, workers_for};
use std::fmt;
use std::time::Duration;

/// The share of items that are to start in time, unless [`CapacityReport::share`] sets another one.
pub const DEFAULT_SHARE: f64 = 0.99;

/// The steps of the search for the highest rate. Each halves what is unknown, down to the last digit of an `f64`.
const STEPS: u32 = 52;

/// How well the workers of a queue keep its promise, from what was measured of it.
///
/// Take the rate and the mean time of a job from the busiest minutes of a day: the growth of `queue.waits`, and the
/// mean of `queue.duration`. The workers are all of them, over all tasks. The [module](super) says what M/M/c assumes.
///
/// It is written as one sentence for a log or a page of a dashboard. The alternate form has a line for each figure,
/// with what the figure assumes.
///
/// ```
/// use std::time::Duration;
/// use tasktag::capacity::CapacityReport;
///
/// let (job, promise) = (Duration::from_secs(3), Duration::from_secs(60));
/// let report = CapacityReport::new(3.0, job, 12, promise)?.waiting_share(0.8)?;
/// assert_eq!(
///     report.to_string(),
///     "12 workers keep the promise of 60s with 30 % to spare; 10 would still keep it 99 % of the time"
/// );
/// println!("{report:#}");
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapacityReport {
    rate: f64,
    service: Duration,
    workers: u32,
    promise: Duration,
    share: f64,
    waiting_share: Option<f64>,
    kept: f64,
    needed: u32,
    spare: f64,
}

impl CapacityReport {
    /// Computes a report.
    ///
    /// `rate` is in items a second, from 0 to 1e12. `service` is the mean time of a job. `workers` is from 1 to
    /// [`MAX_WORKERS`](super::MAX_WORKERS). `promise` is the time within which items are to start.
    ///
    /// # Errors
    ///
    /// Fails if an argument is out of its range, or if the promise needs more than
    /// [`MAX_WORKERS`](super::MAX_WORKERS) workers.
    pub fn new(rate: f64, service: Duration, workers: u32, promise: Duration) -> Result<Self, ArgumentError> {
        let (share, waiting_share) = (DEFAULT_SHARE, None);
        Self { rate, service, workers, promise, share, waiting_share, kept: 0.0, needed: 0, spare: 0.0 }
            .computed()
    }

    /// Sets the share of items that are to start in time, from 0 to below 1. Defaults to [`DEFAULT_SHARE`].
    ///
    /// # Errors
    ///
    /// Fails if the share is out of its range, or if the promise then needs more than
    /// [`MAX_WORKERS`](super::MAX_WORKERS) workers.
    pub fn share(self, share: f64) -> Result<Self, ArgumentError> {
        check_share_below_1("share", share)?;
        Self { share, ..self }.computed()
    }

    /// Sets the share of a job's time in which it waits for something other than a processor, from 0 to 1. By default
    /// it is not known, and nor are the [processors](Self::cpus) that the jobs need.
    ///
    /// # Errors
    ///
    /// Fails if the share is out of its range.
    pub fn waiting_share(self, waiting_share: f64) -> Result<Self, ArgumentError> {
        check_share("waiting_share", waiting_share)?;
        Ok(Self { waiting_share: Some(waiting_share), ..self })
    }

    fn computed(self) -> Result<Self, ArgumentError> {
        let kept = self.kept_at(self.rate)?;
        let needed = workers_for(self.rate, self.service, self.promise, self.share)?;
        Ok(Self { kept, needed, spare: self.highest_rate()? / self.rate - 1.0, ..self })
    }

    /// The share of items that start in time at another rate.
    fn kept_at(&self, rate: f64) -> Result<f64, ArgumentError> {
        let steady = Steady::of(rate, self.service, self.workers)?;
        Ok(steady.map_or(0.0, |steady| steady.share_within(self.promise)))
    }

    /// The rate at which the promise is just kept. Whatever the workers, it is below the rate at which they are all
    /// busy.
    fn highest_rate(&self) -> Result<f64, ArgumentError> {
        let service = self.service.as_secs_f64();
        if service == 0.0 {
            return Ok(f64::INFINITY);
        }
        let (mut kept, mut broken) = (0.0, (f64::from(self.workers) / service).min(MAX_RATE));
        for _ in 0..STEPS {
            let between = f64::midpoint(kept, broken);
            if self.kept_at(between)? >= self.share {
                kept = between;
            } else {
                broken = between;
            }
        }
        Ok(kept)
    }

    /// The share of items that start in time, from 0 to 1. It is 0 if the workers can't keep up.
    #[must_use]
    pub fn kept(&self) -> f64 {
        self.kept
    }

    /// Whether at least the [share](Self::share) of items starts in time.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.kept >= self.share
    }

    /// The least number of workers that keep the promise for the [share](Self::share) of items.
    #[must_use]
    pub fn workers_needed(&self) -> u32 {
        self.needed
    }

    /// How much the rate may grow before the promise is kept for less than the [share](Self::share) of items: 0.31 is
    /// 31 %. It is below 0 if the promise is not kept now, and infinite for a rate of 0.
    #[must_use]
    pub fn spare(&self) -> f64 {
        self.spare
    }

    /// How many processors the jobs compute on, on average. `None` if the [waiting share](Self::waiting_share) is not
    /// known.
    #[must_use]
    pub fn cpus(&self) -> Option<f64> {
        Some(self.offered() * (1.0 - self.waiting_share?))
    }

    /// The mean number of jobs that run, if the workers keep up.
    fn offered(&self) -> f64 {
        items_in_progress(self.rate, self.service).unwrap_or_default()
    }

    fn utilization(&self) -> f64 {
        utilization(self.rate, self.service, self.workers).unwrap_or_default()
    }

    fn write_assumptions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, share) = (self.rate, Percent(self.share));
        let busy = Percent(self.utilization());
        write!(
            f,
            "\n- {busy} of the workers are busy, if {rate} items a second take {:?} each",
            self.service
        )?;
        let kept = Percent(self.kept);
        write!(f, "\n- {kept} start in time, if items come at random and job times are exponential")?;
        if self.spare.is_finite() {
            let highest = rate * (1.0 + self.spare);
            write!(f, "\n- {share} still do at {highest:.3} items a second, if a job takes as long then")?;
        }
        write!(f, "\n- {} workers are enough for {share}, if all take from one queue in order", self.needed)?;
        if let (Some(cpus), Some(waiting_share)) = (self.cpus(), self.waiting_share) {
            let waiting = Percent(waiting_share);
            write!(
                f,
                "\n- {cpus:.1} processors are busy with them, if a job waits for {waiting} of its time"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for CapacityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, promise, needed, .. } = self;
        let (share, kept) = (Percent(self.share), Percent(self.kept));
        if self.utilization() >= 1.0 {
            let offered = self.offered();
            write!(
                f,
                "{workers} workers can't keep up with the work of {offered:.1}; {needed} would keep the promise"
            )?;
            write!(f, " of {promise:?} {share} of the time")?;
        } else if !self.is_kept() {
            write!(
                f,
                "{workers} workers keep the promise of {promise:?} {kept} of the time; {needed} would keep it"
            )?;
            write!(f, " {share} of the time")?;
        } else if self.spare.is_infinite() {
            write!(f, "{workers} workers keep the promise of {promise:?}, as there is no work")?;
        } else {
            let left = Percent(self.spare);
            write!(f, "{workers} workers keep the promise of {promise:?} with {left} to spare; ")?;
            if needed < workers {
                write!(f, "{needed} would still keep it {share} of the time")?;
            } else {
                write!(f, "fewer would not keep it {share} of the time")?;
            }
        }
        if f.alternate() { self.write_assumptions(f) } else { Ok(()) }
    }
}

/// A share, cut and not rounded: 99.96 % are not 100 %.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is 99.9 but for the last digits is not 99.8.
        let tenths = (self.0 * 1000.0 + 1e-6).floor();
        let tenths = if self.0 < 1.0 { tenths.min(999.0) } else { tenths };
        let is_near_all = tenths > 990.0 && tenths < 1000.0;
        if is_near_all {
            write!(f, "{:.1} %", tenths / 10.0)
        } else {
            write!(f, "{:.0} %", (tenths / 10.0).floor())
        }
    }
}
