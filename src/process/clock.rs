//! Clocks: a monotonic one for durations, the time of day for timestamps from elsewhere, and a manual one for tests.

#[cfg(feature = "testing")]
mod manual;
mod monotonic;

#[cfg(feature = "testing")]
pub(crate) use self::manual::Driven;
#[cfg(feature = "testing")]
pub use self::manual::ManualClock;

use self::monotonic::Monotonic;
use std::time::{Duration, SystemTime};

/// A source of monotonic nanoseconds since the client was built.
///
/// Durations come from the operating system's monotonic clock, as with [`Instant`](std::time::Instant), so a jump of
/// the wall clock changes nothing that the client measures. Where the hardware allows it, this clock is exact to the
/// nanosecond and needs no system call. It is the same on every processor, which the processor's own counter is not
/// everywhere. A coarse clock would be five times faster, but it stands still for milliseconds.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// The operating system's monotonic clock.
    Monotonic(Monotonic),
    /// A clock that stands still until it is advanced.
    #[cfg(feature = "testing")]
    Manual(ManualClock),
}

impl Clock {
    pub(crate) fn monotonic() -> Self {
        Self::Monotonic(Monotonic::start())
    }

    /// Nanoseconds since the clock's origin.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Monotonic(origin) => origin.elapsed(),
            #[cfg(feature = "testing")]
            Self::Manual(clock) => clock.nanos(),
        }
    }

    /// The time of day. It is used only for timestamps that another clock made.
    #[allow(dead_code, reason = "only where stamps of others are read")]
    pub(crate) fn time_of_day(&self) -> SystemTime {
        match self {
            Self::Monotonic(_) => SystemTime::now(),
            #[cfg(feature = "testing")]
            Self::Manual(clock) => clock.time_of_day(),
        }
    }

    /// Returns whether time passes by itself.
    pub(crate) fn is_running(&self) -> bool {
        match self {
            Self::Monotonic(_) => true,
            #[cfg(feature = "testing")]
            Self::Manual(_) => false,
        }
    }

    /// How long to sleep until `due`.
    pub(crate) fn until(&self, due: u64) -> Duration {
        match self {
            Self::Monotonic(_) => Duration::from_nanos(due.saturating_sub(self.now())),
            // Advancing the clock wakes the sleeper.
            #[cfg(feature = "testing")]
            Self::Manual(_) => Duration::from_secs(3600),
        }
    }
}

/// Returns a duration in whole nanoseconds. It saturates after 584 years.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
