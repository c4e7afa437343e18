//! A pool of connections, threads or permits.

use super::{Field, Reported, Watchable, level, ratio};

/// What a pool says of itself. Pools differ in what they know: leave out what yours can't tell, and it is not
/// reported, which is not the same as 0.
///
/// | gauge | from |
/// |---|---|
/// | `pool.max` | `max` |
/// | `pool.open` | `open` |
/// | `pool.in_use` | `in_use`, else `open` less `idle` |
/// | `pool.utilization` | in use divided by `max`, from 0 to 1 |
/// | `pool.waiting` | `waiting` |
///
/// ```
/// use tasktag::PoolStatus;
///
/// let status = PoolStatus::new().max(10).open(4).idle(1);
/// assert_eq!(status.used(), Some(3));
/// ```
///
/// A setter takes an `Option`, too: what a pool may know or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a status reports nothing until a watch returns it"]
#[non_exhaustive]
pub struct PoolStatus {
    /// Units that the pool may have.
    pub max: Option<u64>,
    /// Units that it has.
    pub open: Option<u64>,
    /// Units that it has and nobody uses.
    pub idle: Option<u64>,
    /// Units in use. Where a pool does not tell, `open` less `idle`.
    pub in_use: Option<u64>,
    /// Callers that wait for a unit.
    pub waiting: Option<u64>,
}

impl PoolStatus {
    /// A status in which nothing is known.
    pub const fn new() -> Self {
        Self { max: None, open: None, idle: None, in_use: None, waiting: None }
    }

    /// Units that the pool may have.
    pub fn max(mut self, units: impl Into<Option<u64>>) -> Self {
        self.max = units.into();
        self
    }

    /// Units that it has.
    pub fn open(mut self, units: impl Into<Option<u64>>) -> Self {
        self.open = units.into();
        self
    }

    /// Units that it has and nobody uses.
    pub fn idle(mut self, units: impl Into<Option<u64>>) -> Self {
        self.idle = units.into();
        self
    }

    /// Units in use. Where a pool does not tell, `open` less `idle`.
    pub fn in_use(mut self, units: impl Into<Option<u64>>) -> Self {
        self.in_use = units.into();
        self
    }

    /// Callers that wait for a unit.
    pub fn waiting(mut self, callers: impl Into<Option<u64>>) -> Self {
        self.waiting = callers.into();
        self
    }

    /// Units in use, as told or as the difference of what is open and what is idle. Pools read the two at different
    /// moments, so that idle may be the larger one: nothing is in use then.
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
