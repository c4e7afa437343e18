//! The promise of a queue.

use std::time::Duration;

/// The time within which every item of a queue is to start.
///
/// A name such as `within_5_minutes` says what the callers of a queue may rely on, which names such as `high` and `low`
/// do not. A queue with a promise reports
///
/// - `queue.promise_seconds`, a gauge;
/// - `queue.promise_used`, a gauge: the age of the oldest item divided by the promise. Alert above 1, warn above 0.5.
///
/// A [`WorkQueue`](crate::WorkQueue) sees each wait, and also counts `queue.waits` and, of these,
/// `queue.waits_within_promise`. Both add up over all tasks: their quotient is the share of items that started in time.
///
/// ```
/// use std::time::Duration;
/// use tasktag::Promise;
///
/// let promise = Promise::from_queue_name("within_5_minutes_high_io");
/// assert_eq!(promise, Some(Promise::within(Duration::from_secs(300))));
/// assert_eq!(Promise::from_queue_name("mail"), None);
/// ```
///
/// It is set with [`WorkQueueBuilder::promise`](crate::WorkQueueBuilder::promise), or with
/// [`WatchBuilder::promise`](crate::WatchBuilder::promise) for a queue whose status has an age:
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use std::time::Duration;
/// use tasktag::{Promise, QueueStatus};
///
/// let name = "within_1_minute";
/// let _watch = client.queue(name).promise(Promise::from_queue_name(name)).watch(|| {
///     QueueStatus::new().depth(3).oldest_age(Duration::from_secs(12)) // queue.promise_used:0.2
/// });
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// # Too many workers
///
/// A promise can also be kept too well, which costs money. Look at the highest `queue.promise_used.max` of a whole day,
/// over all tasks. If it stays far below one half, the queue has more workers than its promise needs: at 0.05, a queue
/// that promises 5 minutes never lets anything wait for more than 15 s. There are three ways to use that:
///
/// - run fewer workers, and watch the value rise towards one half;
/// - put the items of a slower queue into this one;
/// - promise less time, if that is worth something to the callers.
///
/// Don't judge by an average or by an hour: the workers are needed for the busiest minutes of the day. Leave the other
/// half of the promise for a worker that is lost and for a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Promise(Duration);

impl Promise {
    /// Returns the promise to start every item within a time. A promise of [`Duration::ZERO`] can't be kept, and
    /// reports no `queue.promise_used`.
    #[must_use]
    pub const fn within(time: Duration) -> Self {
        Self(time)
    }

    /// Reads the promise from the name of a queue: `within_`, a whole number from 1 on, `_`, and `second`, `minute`,
    /// `hour` or `day`, or one of these with an `s`. After that the name ends, or `_` and any text follow.
    ///
    /// Returns `None` for any other name, and for a time that does not fit into 2^64 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasktag::Promise;
    ///
    /// let seconds = |name| Promise::from_queue_name(name).map(|promise| promise.duration().as_secs());
    /// assert_eq!(seconds("within_30_seconds"), Some(30));
    /// assert_eq!(seconds("within_1_minute"), Some(60));
    /// assert_eq!(seconds("within_24_hours"), Some(86_400));
    /// assert_eq!(seconds("within_2_days_exports"), Some(172_800));
    /// assert_eq!(seconds("within_a_minute"), None);
    /// ```
    #[must_use]
    pub fn from_queue_name(name: &str) -> Option<Self> {
        let mut words = name.strip_prefix("within_")?.split('_');
        let number = words.next().filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        let unit = words.next()?;
        let seconds_per_unit: u64 = match unit.strip_suffix('s').unwrap_or(unit) {
            "second" => 1,
            "minute" => 60,
            "hour" => 3600,
            "day" => 86_400,
            _ => return None,
        };
        let seconds = number.parse::<u64>().ok()?.checked_mul(seconds_per_unit)?;
        (seconds > 0).then(|| Self::within(Duration::from_secs(seconds)))
    }

    /// Returns the time within which every item is to start.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Returns how many items may wait for each task, so that the last of them still starts in time: the target of
    /// `queue.backlog_per_task`, for [autoscaling](crate::guide::autoscaling). `job` is the average time that a job
    /// takes, and `at_once` how many jobs a task runs at the same time.
    ///
    /// It is `None` for jobs that take no time. Leave room for bursts, and for what a new task needs to start: ask a
    /// promise of half the time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasktag::Promise;
    ///
    /// let promise = Promise::within(Duration::from_secs(10));
    /// assert_eq!(promise.backlog_per_task(Duration::from_millis(100), 1), Some(100.0));
    /// assert_eq!(promise.backlog_per_task(Duration::from_millis(100), 5), Some(500.0));
    /// ```
    #[must_use]
    pub fn backlog_per_task(self, job: Duration, at_once: u32) -> Option<f64> {
        let jobs = (!job.is_zero()).then(|| self.0.as_secs_f64() / job.as_secs_f64());
        jobs.map(|jobs| jobs * f64::from(at_once))
    }

    /// Returns the part of the promise that a wait uses: 1 if it just keeps it.
    pub(crate) fn used_by(self, wait: Duration) -> Option<f64> {
        (!self.0.is_zero()).then(|| wait.as_secs_f64() / self.0.as_secs_f64())
    }
}
