//! Arguments that are out of their range.

use std::fmt;

/// The highest rate, in items a second.
pub(super) const MAX_RATE: f64 = 1e12;

/// An argument is out of its range. The message names the argument and its value.
///
/// ```
/// let error = tasktag::capacity::speedup(1.5, 5).unwrap_err();
/// assert_eq!(error.to_string(), "the argument waiting_share can't be 1.5: it must be from 0 to 1");
/// assert_eq!(error.argument(), "waiting_share");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError {
    argument: &'static str,
    value: String,
    reason: &'static str,
}

impl ArgumentError {
    pub(super) fn new(argument: &'static str, value: impl fmt::Display, reason: &'static str) -> Self {
        Self { argument, value: value.to_string(), reason }
    }

    /// The name of the argument.
    #[must_use]
    pub fn argument(&self) -> &'static str {
        self.argument
    }

    /// The value, as it was given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the argument {} can't be {}: {}", self.argument, self.value, self.reason)
    }
}

impl std::error::Error for ArgumentError {}

pub(super) fn check_rate(rate: f64) -> Result<(), ArgumentError> {
    check((0.0..=MAX_RATE).contains(&rate), "rate", rate, "it must be from 0 to 1e12 items a second")
}

/// Checks a share that may be all or nothing.
pub(super) fn check_share(argument: &'static str, share: f64) -> Result<(), ArgumentError> {
    check((0.0..=1.0).contains(&share), argument, share, "it must be from 0 to 1")
}

/// Checks a share that nothing reaches completely.
pub(super) fn check_share_below_1(argument: &'static str, share: f64) -> Result<(), ArgumentError> {
    check((0.0..1.0).contains(&share), argument, share, "it must be from 0 to below 1")
}

/// Checks a number of threads, workers or queues.
pub(super) fn check_count(argument: &'static str, count: u32, most: u32) -> Result<(), ArgumentError> {
    check((1..=most).contains(&count), argument, count, "it must be from 1 to 1,000,000")
}

pub(super) fn check(
    is_good: bool,
    argument: &'static str,
    value: impl fmt::Display,
    reason: &'static str,
) -> Result<(), ArgumentError> {
    if is_good { Ok(()) } else { Err(ArgumentError::new(argument, value, reason)) }
}
