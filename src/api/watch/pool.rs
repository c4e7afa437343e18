//! The status of a pool of connections, threads or permits.

use super::{Field, Reported, Watchable, level, ratio};

/// The status of a pool. Pools differ in what they know. Leave out what yours does not know: it is then not reported,
/// which differs from reporting 0.
///
/// | gauge | from |
/// |---|---|
/// | `pool.max` | `max` |
/// | `pool.open` | `open` |
/// | `pool.in_use` | `in_use`, or `open` minus `idle` |
/// | `pool.utilization` | units in use divided by `max`, from 0 to 1 |
/// | `pool.waiting` | `waiting` |
///
/// ```
/// use tasktag::PoolStatus;
///
/// let status = PoolStatus::new().max(10).open(4).idle(1);
/// assert_eq!(status.used(), Some(3));
/// ```
///
/// A setter also takes an `Option`, for values that a pool may or may not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a status reports nothing until a watch returns it"]
#[non_exhaustive]
pub struct PoolStatus {
    /// The maximum number of units.
    pub max: Option<u64>,
    /// The number of open units, idle ones included.
    pub open: Option<u64>,
    /// The number of open units that are not in use.
    pub idle: Option<u64>,
    /// The number of units in use. The default is `open` minus `idle`.
    pub in_use: Option<u64>,
    /// The number of callers that wait for a unit.
    pub waiting: Option<u64>,
}

impl PoolStatus {
    /// Returns a status in which nothing is known.
    pub const fn new() -> Self {
        Self { max: None, open: None, idle: None, in_use: None, waiting: None }
    }

    /// Sets the maximum number of units.
    pub fn max(mut self, units: impl Into<Option<u64>>) -> Self {
        self.max = units.into();
        self
    }

    /// Sets the number of open units, idle ones included.
    pub fn open(mut self, units: impl Into<Option<u64>>) -> Self {
        self.open = units.into();
        self
    }

    /// Sets the number of open units that are not in use.
    pub fn idle(mut self, units: impl Into<Option<u64>>) -> Self {
        self.idle = units.into();
        self
    }

    /// Sets the number of units in use. The default is `open` minus `idle`.
    pub fn in_use(mut self, units: impl Into<Option<u64>>) -> Self {
        self.in_use = units.into();
        self
    }

    /// Sets the number of callers that wait for a unit.
    pub fn waiting(mut self, callers: impl Into<Option<u64>>) -> Self {
        self.waiting = callers.into();
        self
    }

    /// Returns the number of units in use, as set, or `open` minus `idle`. It is 0 if `idle` is the larger one, which
    /// can happen because pools read the two at different moments.
    #[must_use]
    pub fn used(&self) -> Option<u64> {
        self.in_use.or_else(|| Some(self.open?.saturating_sub(self.idle?)))
    }
}

impl Watchable for PoolStatus {}

impl Reported for PoolStatus {
    const NOUN: &'static str = "pool";

    fn fields(&self) -> Vec<Field> {
        let in_use = self.used();
        vec![
            Field { name: "max", peak: false, value: level(self.max) },
            Field { name: "open", peak: true, value: level(self.open) },
            Field { name: "in_use", peak: true, value: level(in_use) },
            Field { name: "utilization", peak: true, value: ratio(in_use, self.max) },
            Field { name: "waiting", peak: true, value: level(self.waiting) },
        ]
    }
}
