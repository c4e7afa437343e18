//! The queue M/M/c: items that come at random, and workers that take them from one queue.

use super::argument::{ArgumentError, check, check_count, check_rate, check_share_below_1};
use std::time::Duration;

/// The most workers that the functions compute with. Their time grows with the number of workers: a million take some
/// milliseconds in an optimized build.
pub const MAX_WORKERS: u32 = 1_000_000;

/// Returns the mean number of items that are in progress at once, which is Little's law: `L = λW`.
///
/// `rate` is in items a second, from 0 to 1e12. `time` is the mean time that an item takes from its beginning to its
/// end. It holds for anything that items enter and leave at the same rate, whatever the distribution: with the time in
/// which a request holds its connection, the result is the mean number of connections in use.
///
/// # Errors
///
/// Fails if the rate is out of its range.
///
/// ```
/// use std::time::Duration;
/// use tasktag::capacity::items_in_progress;
///
/// assert_eq!(items_in_progress(200.0, Duration::from_millis(30))?, 6.0);
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn items_in_progress(rate: f64, time: Duration) -> Result<f64, ArgumentError> {
    check_rate(rate)?;
    Ok(rate * time.as_secs_f64())
}

/// Returns how busy workers are: `ρ = λs / c`. From 1 on, the queue grows for as long as this lasts.
///
/// `rate` is in items a second, from 0 to 1e12. `service` is the mean time of a job. `workers` is from 1 to
/// [`MAX_WORKERS`]. It holds whatever the distribution.
///
/// # Errors
///
/// Fails if an argument is out of its range.
///
/// ```
/// use std::time::Duration;
/// use tasktag::capacity::utilization;
///
/// assert_eq!(utilization(10.0, Duration::from_millis(400), 5)?, 0.8);
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn utilization(rate: f64, service: Duration, workers: u32) -> Result<f64, ArgumentError> {
    check_count("workers", workers, MAX_WORKERS)?;
    Ok(items_in_progress(rate, service)? / f64::from(workers))
}

/// Returns the probability that an item has to wait, which is Erlang's C formula. It is 1 if the workers can't keep up.
///
/// `rate` is in items a second, from 0 to 1e12. `service` is the mean time of a job. `workers` is from 1 to
/// [`MAX_WORKERS`]. The [module](super) says what M/M/c assumes.
///
/// # Errors
///
/// Fails if an argument is out of its range.
///
/// ```
/// use std::time::Duration;
/// use tasktag::capacity::waiting_probability;
///
/// let probability = waiting_probability(10.0, Duration::from_millis(400), 5)?;
/// assert_eq!(format!("{probability:.3}"), "0.554");
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn waiting_probability(rate: f64, service: Duration, workers: u32) -> Result<f64, ArgumentError> {
    Ok(Steady::of(rate, service, workers)?.map_or(1.0, |steady| steady.waiting))
}

/// Returns the mean time that an item waits, with those that don't wait in it. It is [`Duration::MAX`] if the workers
/// can't keep up.
///
/// `rate` is in items a second, from 0 to 1e12. `service` is the mean time of a job. `workers` is from 1 to
/// [`MAX_WORKERS`]. The [module](super) says what M/M/c assumes.
///
/// # Errors
///
/// Fails if an argument is out of its range.
///
/// ```
/// use std::time::Duration;
/// use tasktag::capacity::mean_wait;
///
/// let job = Duration::from_secs(1);
/// assert_eq!(mean_wait(0.9, job, 1)?.as_secs(), 9);
/// assert_eq!(mean_wait(4.5, job, 5)?.as_millis(), 1524);
/// assert_eq!(mean_wait(5.0, job, 5)?, Duration::MAX);
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn mean_wait(rate: f64, service: Duration, workers: u32) -> Result<Duration, ArgumentError> {
    let steady = Steady::of(rate, service, workers)?;
    let seconds = steady.map(|steady| steady.waiting * steady.decay);
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(Duration::MAX))
}

/// Returns the share of items that wait for at most `wait`: `1 - C e^(-(c/s - λ) t)`. It is 0 if the workers can't keep
/// up.
///
/// `rate` is in items a second, from 0 to 1e12. `service` is the mean time of a job. `workers` is from 1 to
/// [`MAX_WORKERS`]. The [module](super) says what M/M/c assumes.
///
/// # Errors
///
/// Fails if an argument is out of its range.
///
/// ```
/// use std::time::Duration;
/// use tasktag::capacity::share_within;
///
/// let share = share_within(10.0, Duration::from_millis(400), 5, Duration::from_secs(2))?;
/// assert_eq!(format!("{share:.4}"), "0.9963");
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn share_within(
    rate: f64,
    service: Duration,
    workers: u32,
    wait: Duration,
) -> Result<f64, ArgumentError> {
    Ok(Steady::of(rate, service, workers)?.map_or(0.0, |steady| steady.share_within(wait)))
}

/// Returns the least number of workers with which at least `share` of the items wait for at most `promise`.
///
/// `rate` is in items a second, from 0 to 1e12. `service` is the mean time of a job. `share` is from 0 to below 1: no
/// number of workers keeps a promise always. The result is from 1 to [`MAX_WORKERS`]. The [module](super) says what
/// M/M/c assumes.
///
/// # Errors
///
/// Fails if an argument is out of its range, or if more than [`MAX_WORKERS`] workers would be needed.
///
/// ```
/// use std::time::Duration;
/// use tasktag::capacity::workers_for;
///
/// let (job, promise) = (Duration::from_millis(400), Duration::from_millis(100));
/// assert_eq!(workers_for(10.0, job, promise, 0.99)?, 9);
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
pub fn workers_for(
    rate: f64,
    service: Duration,
    promise: Duration,
    share: f64,
) -> Result<u32, ArgumentError> {
    check_share_below_1("share", share)?;
    let offered = items_in_progress(rate, service)?;
    let reason = "no more than 1,000,000 workers must be needed";
    check(offered < f64::from(MAX_WORKERS), "rate", rate, reason)?;
    let mut blocked = 1.0;
    for workers in 1..=MAX_WORKERS {
        blocked = blocked_with_one_more(blocked, offered, workers);
        let steady = Steady::new(blocked, offered, service, workers);
        if steady.is_some_and(|steady| steady.share_within(promise) >= share) {
            return Ok(workers);
        }
    }
    Err(ArgumentError::new("rate", rate, reason))
}

/// Erlang's B formula for one worker more: the share of items that would be turned away if none could wait.
///
/// Each step only divides numbers of one size. Factorials and powers, as in the closed formula, would overflow from 171
/// workers on.
fn blocked_with_one_more(blocked: f64, offered: f64, workers: u32) -> f64 {
    offered * blocked / (f64::from(workers) + offered * blocked)
}

/// A queue whose workers keep up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    /// The probability that an item waits.
    waiting: f64,
    /// The mean wait of those that wait, in seconds.
    decay: f64,
}

impl Steady {
    /// Returns `None` if the workers can't keep up.
    pub(super) fn of(rate: f64, service: Duration, workers: u32) -> Result<Option<Self>, ArgumentError> {
        check_count("workers", workers, MAX_WORKERS)?;
        let offered = items_in_progress(rate, service)?;
        if offered >= f64::from(workers) {
            return Ok(None);
        }
        let blocked = (1..=workers).fold(1.0, |blocked, n| blocked_with_one_more(blocked, offered, n));
        Ok(Self::new(blocked, offered, service, workers))
    }

    fn new(blocked: f64, offered: f64, service: Duration, workers: u32) -> Option<Self> {
        let free = f64::from(workers) - offered;
        (free > 0.0).then(|| Self {
            waiting: f64::from(workers) * blocked / (free + offered * blocked),
            decay: service.as_secs_f64() / free,
        })
    }

    pub(super) fn share_within(self, wait: Duration) -> f64 {
        // Jobs that take no time let nobody wait.
        if self.decay == 0.0 {
            return 1.0;
        }
        1.0 - self.waiting * (-wait.as_secs_f64() / self.decay).exp()
    }
}
