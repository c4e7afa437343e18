//! A clock that is moved by hand.

use super::nanos;
use crate::process::sync::wide::AtomicU64;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// How long [`ManualClock::advance`] waits for a worker that does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// From 1970 to the time of day at which a clock starts.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// What does by itself what falls due.
pub(crate) trait Driven: Send + Sync {
    /// Has everything done that is due, and waits until it is, for at most `timeout`.
    fn look_at_clock(&self, timeout: Duration);
}

/// A clock that stands still until it is advanced. Clones are the same clock.
///
/// A client on it collects and flushes when the clock says so: [`advance`](Self::advance) returns after the worker
/// has done what fell due. However far the clock jumps, that is one collection and one flush. The first flush is due after
/// a whole [flush interval](crate::ClientBuilder::flush_interval), not after a random part of it, and the others follow in its steps:
/// an advance by the interval always flushes once.
///
/// ```
/// use std::time::Duration;
/// use tasktag::Client;
/// use tasktag::testing::{Capture, ManualClock};
///
/// let (capture, clock) = (Capture::new(), ManualClock::new());
/// let guard = Client::builder().capture(&capture).clock(&clock).build()?;
/// let busy = guard.client().occupancy("workers", 2).register();
/// let worker = busy.acquire();
/// clock.advance(Duration::from_secs(2));
/// let metrics = capture.take_metrics()?;
/// assert!(metrics.iter().any(|metric| metric.name == "workers.utilization" && metric.value.number() == Some(0.5)));
/// # drop(worker);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct ManualClock {
    now: Arc<AtomicU64>,
    driven: Arc<Mutex<Vec<Weak<dyn Driven>>>>,
}

impl ManualClock {
    /// A clock at 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock, and waits until the workers on it have done what fell due.
    pub fn advance(&self, duration: Duration) {
        self.now.fetch_add(nanos(duration), Ordering::SeqCst);
        let driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for driven in driven.iter().filter_map(Weak::upgrade) {
            driven.look_at_clock(PATIENCE);
        }
    }

    /// The time of day that it shows: the first of January 2026, 00:00 UTC, when it is at 0. What a client reads that
    /// compares a stamp from elsewhere with its own time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasktag::testing::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let start = clock.time_of_day();
    /// clock.advance(Duration::from_millis(1500));
    /// assert_eq!(clock.time_of_day().duration_since(start)?, Duration::from_millis(1500));
    /// # Ok::<(), std::time::SystemTimeError>(())
    /// ```
    #[must_use]
    pub fn time_of_day(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + Duration::from_nanos(self.nanos())
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Has [`advance`](Self::advance) wait for a client's worker too.
    pub(crate) fn drive(&self, client: Weak<dyn Driven>) {
        let mut driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner);
        driven.retain(|known| known.strong_count() > 0);
        driven.push(client);
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now).finish_non_exhaustive()
    }
}
