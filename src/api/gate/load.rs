//! A load.

use crate::api::watch::{PoolStatus, QueueStatus};

/// A load at a moment: a number from 0 up, or that it is unknown. Around 1 the thing that is loaded does as much as it
/// can. [`PostgresLoad::over`](crate::PostgresLoad::over) returns that of a server.
///
/// ```
/// use std::time::Duration;
/// use tasktag::{Load, PoolStatus, Promise, QueueStatus};
///
/// assert_eq!(Load::of(0.7).value(), Some(0.7));
/// assert_eq!(Load::unknown().value(), None);
/// assert_eq!(Load::of(f64::NAN).value(), None);
///
/// let pool = PoolStatus::new().max(10).in_use(9);
/// assert_eq!(Load::of_pool(&pool).value(), Some(0.9));
///
/// let promise = Promise::within(Duration::from_secs(60));
/// let queue = QueueStatus::new().oldest_age(Duration::from_secs(30)).promise(promise);
/// assert_eq!(Load::of_queue(&queue).value(), Some(0.5));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "it does nothing until a gate has it"]
pub struct Load {
    value: Option<f64>,
    parts: Vec<(&'static str, f64)>,
}

impl Load {
    /// The most parts. Each is a time series.
    const MAX_PARTS: usize = 16;

    /// Returns a load, or an unknown one for `None`. A number that is not finite or below 0 is unknown too.
    pub fn of(value: impl Into<Option<f64>>) -> Self {
        let value = value.into().filter(|value| value.is_finite() && *value >= 0.0);
        Self { value, parts: Vec::new() }
    }

    /// Returns a load that is not known, for a measurement that failed. It is neither high nor low.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Returns the use of a pool: units in use and callers that wait for one, over its maximum. With twice as many
    /// callers as units it is 2. It is unknown without a maximum, or if what is in use is unknown.
    pub fn of_pool(pool: &PoolStatus) -> Self {
        let max = pool.max.filter(|max| *max > 0);
        let busy = pool.used().map(|used| used.saturating_add(pool.waiting.unwrap_or(0)));
        Self::of(busy.zip(max).map(|(busy, max)| busy as f64 / max as f64))
    }

    /// Returns the part of its promise that a queue has used: the age of its oldest item over the promise. It is
    /// unknown without a promise or an age.
    pub fn of_queue(queue: &QueueStatus) -> Self {
        let used = queue.oldest_age.zip(queue.promise);
        Self::of(used.and_then(|(age, promise)| promise.used_by(age)))
    }

    /// Adds a part, which is reported as `gate.load_part` with the tag `waits_for`, and decides nothing. At most 16
    /// parts are kept.
    pub fn part(mut self, waits_for: &'static str, value: f64) -> Self {
        if self.parts.len() < Self::MAX_PARTS {
            self.parts.push((waits_for, value));
        }
        self
    }

    /// The number, if it is known.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// What it is made of.
    #[must_use]
    pub fn parts(&self) -> &[(&'static str, f64)] {
        &self.parts
    }
}
