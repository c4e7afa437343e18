//! The operating system's monotonic clock.

pub(crate) use self::system::Monotonic;

#[cfg(any(target_os = "linux", test))]
const NANOS_PER_SEC: u64 = 1_000_000_000;

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "std's `Instant` takes a quarter longer: it checks and subtracts in two parts")]
mod system {
    use super::NANOS_PER_SEC;

    /// The time of the start, in nanoseconds.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Monotonic(u64);

    impl Monotonic {
        pub(crate) fn start() -> Self {
            Self(read())
        }

        /// Returns the nanoseconds since the start. The number wraps after 584 years.
        #[inline]
        pub(crate) fn elapsed(self) -> u64 {
            read().wrapping_sub(self.0)
        }
    }

    /// Reads the clock that `Instant` reads on this system.
    #[inline]
    fn read() -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` outlives the call. Every Linux has this clock, so there is no error to check.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        // Neither field is negative: the clock counts from the start of the machine.
        #[allow(
            clippy::cast_sign_loss,
            clippy::unnecessary_cast,
            reason = "see above; 32 bits on some systems"
        )]
        let (secs, nanos) = (time.tv_sec as u64, time.tv_nsec as u64);
        secs.wrapping_mul(NANOS_PER_SEC).wrapping_add(nanos)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Instant;

    /// The time of the start.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Monotonic(Instant);

    impl Monotonic {
        pub(crate) fn start() -> Self {
            Self(Instant::now())
        }

        /// Returns the nanoseconds since the start.
        #[inline]
        pub(crate) fn elapsed(self) -> u64 {
            super::super::nanos(self.0.elapsed())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn it_goes_as_fast_as_stds_and_never_back() {
        // The clock is started between two readings of `Instant`, so the bounds are exact however long a step takes.
        let (before, clock, after) = (Instant::now(), Monotonic::start(), Instant::now());
        let since = |start: Instant| u64::try_from(start.elapsed().as_nanos()).unwrap();
        let mut last = 0;
        while last < NANOS_PER_SEC / 50 {
            let (from, now, to) = (since(after), clock.elapsed(), since(before));
            assert!(now >= last && (from..=to).contains(&now), "{from} {now} {to}, after {last}");
            last = now;
        }
    }
}
