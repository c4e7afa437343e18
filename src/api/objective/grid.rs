//! Slices of time by number.

use crate::process::clock::{self, Clock};
use std::time::SystemTime;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Numbers slices since 1970, so that all tasks and all processes mean the same slice. The time of day is read once, when
/// the objective is made: later changes of it move nothing.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    clock: Clock,
    // The time of day at which the clock was at 0.
    origin: u64,
    slice: u64,
}

impl Grid {
    /// Returns the grid of slices of that many seconds.
    pub(super) fn new(clock: &Clock, seconds: u64) -> Self {
        let (now, time_of_day) = (clock.now(), clock.time_of_day());
        let since_1970 = time_of_day.duration_since(SystemTime::UNIX_EPOCH).map_or(0, clock::nanos);
        let slice = seconds.max(1) * NANOS_PER_SECOND;
        Self { clock: clock.clone(), origin: since_1970.saturating_sub(now), slice }
    }

    /// Returns the number of the slice that it is now.
    pub(super) fn now(&self) -> u64 {
        self.origin.saturating_add(self.clock.now()) / self.slice
    }
}
