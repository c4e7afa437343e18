//! The task id: the bucket that tells this process from the other tasks of its service.

mod application_name;
mod claim;
mod coverage;
mod identity;
mod lease;
mod platform;
mod pool;
#[cfg(feature = "redis")]
mod redis;
mod source;
mod term;

pub use self::claim::TaskIdClaim;
pub use self::coverage::TaskIdOn;
pub use self::pool::TaskIdPool;
pub use self::source::{TaskIdSource, TaskIdSourceKind};

pub(crate) use self::identity::Identity;
pub(crate) use self::platform::{Variables, from_process};
#[cfg(feature = "redis")]
pub(crate) use self::redis::{Link, ShownUrl};

use self::term::Term;

use crate::process::fork::{self, AtFork, Origin, PerProcess};
use crate::vocabulary::error::ConfigError;
use once_cell::sync::OnceCell;
use std::cmp::Ordering;
use std::env::VarError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// The environment variable that sets the task id.
pub(crate) const TASK_ID_VARIABLE: &str = "TASKTAG_TASK_ID";

/// The default tag key, which is reserved for the worker's global tags.
pub(crate) const TASK_ID_KEY: &str = "task_id";

const TAG_START: &[u8] = b"task_id:";
const TEXT_LEN: usize = TAG_START.len() + TaskIdPool::MAX_WIDTH;

/// The bucket under which this process reports. There is a small, fixed number of buckets, so that gauges of N copies
/// of a service stay apart without a time series per pod or container.
///
/// A process decides on its task id once, on first use. The id is constant from then on, unless it is leased. The
/// sources are tried in this order:
///
/// 1. the value of `TASKTAG_TASK_ID`;
/// 2. the [`TaskIdSource`] that was [chosen](Self::decide) before the first use;
/// 3. a bucket drawn uniformly from `1..=1000`: see [`TaskIdSource::random`].
///
/// The text is padded to the width of the pool's size. Two ids are equal if their numbers and pools are, whatever their
/// sources.
///
/// ```
/// use tasktag::TaskId;
///
/// let id = TaskId::current();
/// assert_eq!(id, TaskId::current());
/// assert_eq!(id.tag(), format!("task_id:{:04}", id.number()));
/// ```
#[derive(Clone, Copy)]
pub struct TaskId {
    number: u32,
    pool: TaskIdPool,
    source: TaskIdSourceKind,
    // `task_id:0042`, so that both the tag and its value are borrowed and never formatted again.
    text: [u8; TEXT_LEN],
}

/// What this process decided, with the lease that it keeps until it ends.
struct Decided {
    claim: Arc<TaskIdClaim>,
    // `None` if the variable decided, which takes precedence over any source.
    source: Option<TaskIdSource>,
}

/// The decision of a process. A forked child starts with the choices of its parent.
#[derive(Default)]
struct Decision {
    made: OnceCell<Decided>,
    source: Option<TaskIdSource>,
    pool: TaskIdPool,
    // The id of the process from which this one was forked.
    parents: Option<TaskId>,
    // Used if no id can be decided, for example because `TASKTAG_TASK_ID` is invalid. `made` stays empty then, so that
    // building a client still fails.
    stand_in: OnceCell<TaskId>,
}

static CURRENT: LazyLock<PerProcess<Decision>> = LazyLock::new(|| PerProcess::new(Decision::default()));

/// Each process has its own decision.
pub(crate) static AT_FORK: AtFork = AtFork { prepare, start_over, ..AtFork::NONE };

/// Initializes the decision while no fork can happen: a forked child would wait forever for a half-finished one.
fn prepare() {
    let _whole = fork::make_whole();
    LazyLock::force(&CURRENT);
}

/// Runs in a forked child or a restored snapshot. The parent's decision does not hold here, but its choices do.
fn start_over(origin: Origin) {
    let parents = CURRENT.get();
    let mut own = Decision {
        source: parents.source.clone(),
        pool: parents.pool,
        parents: parents.parents,
        ..Decision::default()
    };
    if let Some(decided) = parents.made.get() {
        if origin == Origin::Restored {
            decided.claim.abandon();
        }
        decided.claim.disclaim();
        let id = decided.claim.known_task_id();
        (own.pool, own.parents) = (id.pool(), Some(id));
        own.source = decided.source.clone().or(own.source);
    }
    CURRENT.renew(own);
}

impl TaskId {
    /// This process's task id.
    ///
    /// This never fails. If `TASKTAG_TASK_ID` is invalid, or the operating system's generator fails, it returns a
    /// stand-in that stays the same for the process, and building a client returns an error.
    /// [`try_current`](Self::try_current) tells the two cases apart.
    #[must_use]
    pub fn current() -> Self {
        Self::try_current().unwrap_or_else(|_| Self::stand_in())
    }

    /// The process's id, if it has been decided.
    #[cfg(any(feature = "cadence", feature = "metrics"))]
    pub(crate) fn decided() -> Option<Self> {
        CURRENT.get().made.get().map(|decided| decided.claim.known_task_id())
    }

    /// The stand-in for a process that can't have a proper id.
    pub(crate) fn stand_in() -> Self {
        let current = CURRENT.get();
        *current.stand_in.get_or_init(|| {
            let drawn = current.pool.draw_or_hash();
            // A program that asked for a source can see that the id does not come from it.
            if current.source.is_some() { drawn.with_source(TaskIdSourceKind::Shared) } else { drawn }
        })
    }

    /// Decides on a stand-in, in a forked child that can't have an id from its parent's source.
    pub(crate) fn claim_stand_in() -> Arc<TaskIdClaim> {
        let current = CURRENT.get();
        let decided = current.made.get_or_init(|| Decided {
            claim: Arc::new(TaskIdClaim::new(Self::stand_in())),
            source: current.source.clone(),
        });
        Arc::clone(&decided.claim)
    }

    /// This process's task id, or the reason why it has none.
    ///
    /// # Errors
    ///
    /// Fails if `TASKTAG_TASK_ID` is not a number in `1..=1000`, or if the operating system's generator fails.
    pub fn try_current() -> Result<Self, ConfigError> {
        fork::check();
        Self::claim_current(None, None, &platform::from_process).map(|claim| claim.known_task_id())
    }

    /// Sets the source of this process's task id, and returns the id. A lease is then held until the process ends; a
    /// lease in Redis is not given back then, but expires. `TASKTAG_TASK_ID` takes precedence over the source.
    ///
    /// [Installing](crate::ClientBuilder::install) a client that has a [source](crate::ClientBuilder::task_id_from)
    /// does the same.
    ///
    /// # Errors
    ///
    /// Fails if
    ///
    /// - the process's id was already decided, from another source or another pool;
    /// - `TASKTAG_TASK_ID` is not a number of the pool;
    /// - the source has no id to give.
    pub fn decide(source: &TaskIdSource, pool: TaskIdPool) -> Result<Self, ConfigError> {
        fork::check();
        let claim = Self::claim_current(Some(source), Some(pool), &platform::from_process)?;
        claim.employ();
        Ok(claim.known_task_id())
    }

    /// Returns what the process decided, or decides now. Fails if the earlier decision was another one.
    pub(crate) fn claim_current(
        source: Option<&TaskIdSource>,
        pool: Option<TaskIdPool>,
        variables: Variables<'_>,
    ) -> Result<Arc<TaskIdClaim>, ConfigError> {
        // A program that decides before it has a client may also fork before it has one.
        fork::expect_forks(&AT_FORK);
        let current = CURRENT.get();
        let decided = current.made.get_or_try_init(|| {
            let (source, pool) = (source.or(current.source.as_ref()), pool.unwrap_or(current.pool));
            Decided::new(source, pool, variables, current.parents)
        })?;
        let id = decided.claim.known_task_id();
        if let Some(wanted) = pool.filter(|pool| *pool != id.pool) {
            return Err(ConfigError::TaskIdDecided { decided: id.pool.size(), wanted: wanted.size() });
        }
        if let (Some(before), Some(wanted)) = (&decided.source, source)
            && before != wanted
        {
            let reason = format_args!("this process's task id was already decided, from {before}");
            return Err(ConfigError::setting(source::SETTING, wanted, reason));
        }
        Ok(Arc::clone(&decided.claim))
    }

    /// The id that `TASKTAG_TASK_ID` sets for this process, if it is set.
    pub(crate) fn from_variable(pool: TaskIdPool) -> Result<Option<Self>, ConfigError> {
        match std::env::var(TASK_ID_VARIABLE) {
            Err(VarError::NotPresent) => Ok(None),
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => pool.parse_variable(&text).map(Some),
            Err(VarError::NotUnicode(text)) => Err(pool.unusable(&text.to_string_lossy())),
        }
    }

    /// What a client that does nothing has: no process is number 0.
    pub(crate) const NOBODYS: Self = Self {
        number: 0,
        pool: TaskIdPool::DEFAULT,
        source: TaskIdSourceKind::Shared,
        text: *b"task_id:0000\0\0\0",
    };

    fn new(number: u32, pool: TaskIdPool, source: TaskIdSourceKind) -> Self {
        // The last digit first, and without a heap allocation: each use of a leased id makes the id anew.
        let mut text = [0; TEXT_LEN];
        let (start, digits) = text.split_at_mut(TAG_START.len());
        start.copy_from_slice(TAG_START);
        let mut left = number;
        for digit in digits.iter_mut().take(pool.width()).rev() {
            *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
        }
        Self { number, pool, source, text }
    }

    fn with_source(self, source: TaskIdSourceKind) -> Self {
        Self { source, ..self }
    }

    /// The bucket, from 1 to the pool's size.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// The pool that the bucket belongs to.
    #[must_use]
    pub fn pool(self) -> TaskIdPool {
        self.pool
    }

    /// The kind of source that the bucket came from, which determines how unique it is.
    #[must_use]
    pub fn source(self) -> TaskIdSourceKind {
        self.source
    }

    /// The padded bucket, for example `0042`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.tag().get(TAG_START.len()..).unwrap_or_default()
    }

    /// The whole tag, for example `task_id:0042`.
    #[must_use]
    pub fn tag(&self) -> &str {
        let text = self.text.get(..TAG_START.len() + self.pool.width()).unwrap_or_default();
        // `new` wrote ASCII.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl Decided {
    fn new(
        source: Option<&TaskIdSource>,
        pool: TaskIdPool,
        variables: Variables<'_>,
        parents: Option<TaskId>,
    ) -> Result<Self, ConfigError> {
        if let Some(id) = TaskId::from_variable(pool)? {
            return Ok(Self { claim: Arc::new(TaskIdClaim::new(id)), source: None });
        }
        let source = source.cloned().unwrap_or_else(TaskIdSource::random);
        Ok(Self { claim: Arc::new(source.claim_with(pool, variables, parents)?), source: Some(source) })
    }
}

impl PartialEq for TaskId {
    fn eq(&self, other: &Self) -> bool {
        (self.number, self.pool) == (other.number, other.pool)
    }
}

impl Eq for TaskId {}

impl Hash for TaskId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.number, self.pool).hash(state);
    }
}

impl PartialOrd for TaskId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TaskId {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.number, self.pool).cmp(&(other.number, other.pool))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads `42` or `0042`, a bucket of the [default pool](TaskIdPool::DEFAULT). [`TaskIdPool::parse`] reads those of
/// others.
impl FromStr for TaskId {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        TaskIdPool::DEFAULT.parse(text)
    }
}

impl AsRef<str> for TaskId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({} of {})", self.as_str(), self.pool.size())
    }
}
