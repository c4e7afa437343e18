//! The status of a pool of connections, threads or permits.

mod formula;

use super::{Field, Reported, Watchable, level, ratio};

/// The status of a pool. Pools differ in what they know. Leave out what yours does not know: it is then not reported,
/// which differs from reporting 0.
///
/// | gauge | from |
/// |---|---|
/// | `pool.max` | `max` |
/// | `pool.open` | `open` |
/// | `pool.opening` | `opening` |
/// | `pool.idle` | `idle` |
/// | `pool.in_use` | `in_use`, or `open` minus `idle` |
/// | `pool.held_units` | `held` |
/// | `pool.utilization` | units in use divided by `max`, from 0 to 1 |
/// | `pool.waiting` | `waiting` |
/// | `pool.closed` | `closed`: 1 or 0 |
///
/// ```
/// use tasktag::PoolStatus;
///
/// let status = PoolStatus::new().max(10).open(4).idle(1);
/// assert_eq!(status.used(), Some(3));
/// ```
///
/// A setter also takes an `Option`, for values that a pool may or may not know.
///
/// # Pools of other crates
///
/// What a pool calls "size", "in use" or "waiting" is often something else. These constructors take the numbers as the
/// pool gives them, and leave out what can't be known from them. They need no feature and no dependency. The feature
/// named after the crate watches the pool itself.
///
/// | crate | constructor | the trap that it avoids |
/// |---|---|---|
/// | `bb8` | [`from_bb8`](Self::from_bb8) | `pending_gets()` keeps every cancelled call for ever; an outage looks like an idle pool |
/// | `deadpool` | [`from_deadpool`](Self::from_deadpool) | callers that open a connection count as waiting, and nobody as using; a closed pool has a maximum of 0 |
/// | `fast_pool` | [`from_fast_pool`](Self::from_fast_pool) | `waits` counts every call under way; connections tend to the maximum without load |
/// | `mobc` | [`from_mobc`](Self::from_mobc) | `wait_count` keeps every cancelled call for ever |
/// | `mysql_async` | [`from_mysql_async`](Self::from_mysql_async) | connections that are being reset are neither in the pool nor in use |
/// | `r2d2` | [`from_r2d2`](Self::from_r2d2) | an outage looks like an idle pool |
/// | `sqlx` | [`from_sqlx`](Self::from_sqlx) | `num_idle()` wraps to 2^64 - 1; connections count before they are open |
///
/// # Pools that multiplex
///
/// A client that sends the commands of many callers over one connection has nothing that looks like a pool: the
/// `ConnectionManager` and the `MultiplexedConnection` of `redis`, a `Channel` of tonic. Fifty busy callers share one
/// connection, and a caller that waits waits for an answer. Don't watch them as a pool. Count the commands in flight
/// with an [occupancy](crate::Client::occupancy), and time them.
///
/// The same holds for a pool of such connections, for example of `deadpool-redis` or `bb8-redis`. A clone of the inner
/// connection works after its guard was returned, and one guard may serve many callers. The pool counts the guards that
/// are out, which is not use.
///
/// # Pools that only tell events
///
/// `mongodb` has no numbers to read. Count its events with handles of your own, by `cmap_event_handler`: in use are
/// `ConnectionCheckedOut` minus `ConnectionCheckedIn`, and open are `ConnectionCreated` minus `ConnectionClosed`, both
/// of one address. Who waits can't be told from `ConnectionCheckoutStarted`, because a call that was cancelled has no
/// further event. Count the calls themselves, each for as long as it lasts, with [`Holders`](crate::Holders) or an
/// occupancy: those that are not in use wait. The setting `waitQueueTimeoutMS` does nothing. As of mongodb 3.9.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a status reports nothing until a watch returns it"]
#[non_exhaustive]
pub struct PoolStatus {
    /// The maximum number of units.
    pub max: Option<u64>,
    /// The number of open units, idle ones included. A unit that is being opened is not open yet.
    pub open: Option<u64>,
    /// The number of units that are being opened.
    pub opening: Option<u64>,
    /// The number of open units that are not in use.
    pub idle: Option<u64>,
    /// The number of units in use: the slots of the pool that nobody else can have. Besides the units that are held,
    /// these are the units that are being opened, checked and returned. The default is `open` minus `idle`.
    pub in_use: Option<u64>,
    /// The number of units that callers hold.
    pub held: Option<u64>,
    /// The number of callers that wait for a unit because all are in use.
    pub waiting: Option<u64>,
    /// Whether the pool is closed, and gives out nothing more.
    pub closed: Option<bool>,
}

impl PoolStatus {
    /// Returns a status in which nothing is known.
    pub const fn new() -> Self {
        Self {
            max: None,
            open: None,
            opening: None,
            idle: None,
            in_use: None,
            held: None,
            waiting: None,
            closed: None,
        }
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

    /// Sets the number of units that are being opened.
    pub fn opening(mut self, units: impl Into<Option<u64>>) -> Self {
        self.opening = units.into();
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

    /// Sets the number of units that callers hold.
    pub fn held(mut self, units: impl Into<Option<u64>>) -> Self {
        self.held = units.into();
        self
    }

    /// Sets the number of callers that wait for a unit because all are in use.
    pub fn waiting(mut self, callers: impl Into<Option<u64>>) -> Self {
        self.waiting = callers.into();
        self
    }

    /// Sets whether the pool is closed.
    ///
    /// ```
    /// use tasktag::PoolStatus;
    ///
    /// // As `pool.is_closed()` of sqlx says it.
    /// let status = PoolStatus::from_sqlx(10, 4, 1).closed(false);
    /// assert_eq!((status.used(), status.closed), (Some(3), Some(false)));
    /// ```
    pub fn closed(mut self, is_closed: impl Into<Option<bool>>) -> Self {
        self.closed = is_closed.into();
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
            Field { name: "opening", peak: true, value: level(self.opening) },
            Field { name: "idle", peak: false, value: level(self.idle) },
            Field { name: "in_use", peak: true, value: level(in_use) },
            // A name has one kind, and `held` alone is a name for an occupancy of those that hold the units.
            Field { name: "held_units", peak: true, value: level(self.held) },
            // A pool that was made smaller is full, and not fuller than that.
            Field {
                name: "utilization",
                peak: true,
                value: ratio(in_use, self.max).map(|used| used.min(1.0)),
            },
            Field { name: "waiting", peak: true, value: level(self.waiting) },
            Field { name: "closed", peak: false, value: level(self.closed.map(u64::from)) },
        ]
    }
}
