//! A clock that a test advances.

use super::nanos;
use crate::process::sync::wide::AtomicU64;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// How long [`ManualClock::advance`] waits for a worker that does not respond.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time of day at which a clock starts, since 1970.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// A client that acts on its own when the clock reaches a due time.
pub(crate) trait Driven: Send + Sync {
    /// Starts everything that is due, and waits at most `timeout` until it is done.
    fn look_at_clock(&self, timeout: Duration);
}

/// A clock that stands still until it is advanced. Clones are the same clock.
///
/// A client with this clock collects and flushes when the clock says so. [`advance`](Self::advance) returns after the
/// worker has done what is due. However far the clock jumps, that is one collection and one flush. The first flush is
/// due after a whole [flush interval](crate::ClientBuilder::flush_interval), not after a random part of it, and further
/// flushes follow at this interval. Advancing by the interval therefore always flushes once.
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
    /// Returns a clock at 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Advances the clock, and waits until the workers that use it have done what is due.
    pub fn advance(&self, duration: Duration) {
        self.now.fetch_add(nanos(duration), Ordering::SeqCst);
        let driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for driven in driven.iter().filter_map(Weak::upgrade) {
            driven.look_at_clock(PATIENCE);
        }
    }

    /// Returns the clock's time of day. At 0 it is the first of January 2026, 00:00 UTC. A client uses it to compare a
    /// timestamp from elsewhere with the current time.
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

    /// Makes [`advance`](Self::advance) wait for this client's worker too.
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
