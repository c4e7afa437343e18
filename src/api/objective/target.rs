//! What makes an event a good one.

use std::time::Duration;

/// What makes an event of an [`Objective`](crate::Objective) a good one.
///
/// A failure is bad whatever the target says, however fast it was.
///
/// ```
/// use std::time::Duration;
/// use tasktag::Target;
///
/// let target = Target::within(Duration::from_millis(250));
/// assert_eq!(target.duration(), Some(Duration::from_millis(250)));
/// assert_eq!(Target::success().duration(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    within: Option<Duration>,
}

impl Target {
    /// An event is good if it succeeds and takes at most this time, which must be longer than 0.
    #[must_use]
    pub const fn within(time: Duration) -> Self {
        Self { within: Some(time) }
    }

    /// An event is good if it succeeds, however long it takes.
    #[must_use]
    pub const fn success() -> Self {
        Self { within: None }
    }

    /// Returns the longest time that a good event takes, if there is a limit.
    #[must_use]
    pub const fn duration(self) -> Option<Duration> {
        self.within
    }
}
