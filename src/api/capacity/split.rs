//! Queues with workers of their own, beside one queue with all of them.

use super::argument::{ArgumentError, check_count, check_rate};
use super::erlang::{MAX_WORKERS, mean_wait};
use std::fmt;
use std::time::Duration;

/// The mean waits of several queues with workers of their own, and of one queue that all these workers share.
///
/// One queue always waits less, because no worker is idle while an item waits. Queues of their own are for something
/// else: they keep the slow items of one from the quick items of another, and bound how much of a database each may
/// use. The difference is what that costs.
///
/// ```
/// use std::time::Duration;
/// use tasktag::capacity::SplitQueues;
///
/// let split = SplitQueues::new(18.0, Duration::from_secs(1), 4, 5)?;
/// assert_eq!(
///     split.to_string(),
///     "4 queues with 5 workers each wait 1.5 s on average, and one queue with all 20 workers 0.28 s"
/// );
/// # Ok::<(), tasktag::capacity::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitQueues {
    queues: u32,
    workers: u32,
    split: Duration,
    shared: Duration,
}

impl SplitQueues {
    /// Compares `queues` queues, with `workers` workers each, with one queue that has all of them.
    ///
    /// `rate` is that of all queues together, in items a second, from 0 to 1e12. An equal part of it goes to each
    /// queue. `service` is the mean time of a job. `queues` and `workers`, and their product, are from 1 to
    /// [`MAX_WORKERS`]. The [module](super) says what M/M/c assumes.
    ///
    /// # Errors
    ///
    /// Fails if an argument is out of its range.
    pub fn new(rate: f64, service: Duration, queues: u32, workers: u32) -> Result<Self, ArgumentError> {
        check_rate(rate)?;
        check_count("queues", queues, MAX_WORKERS)?;
        Ok(Self {
            queues,
            workers,
            split: mean_wait(rate / f64::from(queues), service, workers)?,
            shared: mean_wait(rate, service, queues.saturating_mul(workers))?,
        })
    }

    /// The mean wait in a queue with workers of its own. It is [`Duration::MAX`] if the workers can't keep up.
    #[must_use]
    pub fn split(&self) -> Duration {
        self.split
    }

    /// The mean wait in one queue that all workers share. It is [`Duration::MAX`] if the workers can't keep up.
    #[must_use]
    pub fn shared(&self) -> Duration {
        self.shared
    }
}

impl fmt::Display for SplitQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queues, workers) = (self.queues, self.workers);
        if self.split == Duration::MAX {
            return write!(f, "{queues} queues with {workers} workers each can't keep up, nor can one queue");
        }
        let (split, shared) = (Seconds(self.split), Seconds(self.shared));
        let all = queues.saturating_mul(workers);
        write!(
            f,
            "{queues} queues with {workers} workers each wait {split} on average, and one queue with all {all} workers \
             {shared}"
        )
    }
}

/// Two significant digits.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match seconds {
            0.0..1.0 => write!(f, "{seconds:.2} s"),
            1.0..10.0 => write!(f, "{seconds:.1} s"),
            _ => write!(f, "{seconds:.0} s"),
        }
    }
}
