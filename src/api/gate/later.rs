//! That work is to be tried again later.

use std::fmt;
use std::time::Duration;

/// The load is too high for a piece of work: it is to be tried again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    after: Duration,
}

impl Later {
    pub(super) fn new(after: Duration) -> Self {
        Self { after }
    }

    /// The time after which to try again, as [`GateBuilder::retry_after`](crate::GateBuilder::retry_after) set it.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.after
    }
}

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the load is too high at the moment: try again in {:?}", self.after)
    }
}

impl std::error::Error for Later {}
