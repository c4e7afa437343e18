//! Who this process is among its peers.

mod pool;

pub use self::pool::TaskIdPool;

use crate::error::ConfigError;
use crate::fork::{self, PerProcess};
use once_cell::sync::OnceCell;
use std::env::VarError;
use std::fmt;
use std::sync::LazyLock;

/// The variable that fixes the task id from outside.
pub(crate) const TASK_ID_VARIABLE: &str = "TASKTAG_TASK_ID";

/// The tag key that only the worker's global tags may carry.
pub(crate) const TASK_ID_KEY: &str = "task_id";

const TAG_START: &[u8] = b"task_id:";
const TEXT_LEN: usize = TAG_START.len() + TaskIdPool::MAX_WIDTH;

/// The bucket that this process reports under: one of a small, fixed number, so that gauges of N copies of a
/// service stay apart without a time series per pod or container.
///
/// Decided once a process, on first use, and constant from then on: the value of `TASKTAG_TASK_ID` where that is
/// set, else a bucket drawn uniformly from `1..=1000` with the operating system's generator. The text is padded to
/// the width of the pool's size.
///
/// ```
/// use tasktag::TaskId;
///
/// let id = TaskId::current();
/// assert_eq!(id, TaskId::current());
/// assert_eq!(id.tag(), format!("task_id:{:04}", id.number()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    number: u32,
    pool: TaskIdPool,
    // `task_id:0042`, so that both the tag and its value are borrowed and never formatted again.
    text: [u8; TEXT_LEN],
}

static CURRENT: LazyLock<PerProcess<OnceCell<TaskId>>> = LazyLock::new(|| PerProcess::new(OnceCell::new()));
// Only ever set while `TASKTAG_TASK_ID` is unusable; `CURRENT` stays empty then, so that a build still fails.
static STAND_IN: OnceCell<TaskId> = OnceCell::new();

/// In a forked child: what was decided was decided for the parent.
pub(crate) fn start_over() {
    CURRENT.renew(OnceCell::new());
}

impl TaskId {
    /// This process's task id.
    ///
    /// Never fails: while `TASKTAG_TASK_ID` holds an unusable value, or the operating system gives no random
    /// numbers, this is a stand-in that stays the same for the process, and building a client is an error that says
    /// so. [`try_current`](Self::try_current) tells the two apart.
    #[must_use]
    pub fn current() -> Self {
        fork::check();
        Self::decided_or_stand_in()
    }

    /// This process's task id, or why it has none.
    ///
    /// # Errors
    ///
    /// When `TASKTAG_TASK_ID` is not a number in `1..=1000`, or when the operating system's generator fails.
    pub fn try_current() -> Result<Self, ConfigError> {
        fork::check();
        Self::decided()
    }

    /// As [`try_current`](Self::try_current), whoever's it is: a forked child sees to that first.
    pub(crate) fn decided() -> Result<Self, ConfigError> {
        CURRENT.get().get_or_try_init(|| Self::decide(TaskIdPool::DEFAULT)).copied()
    }

    /// As [`current`](Self::current), in the same way.
    pub(crate) fn decided_or_stand_in() -> Self {
        Self::decided().unwrap_or_else(|_| *STAND_IN.get_or_init(|| TaskIdPool::DEFAULT.draw_or_hash()))
    }

    /// As [`try_current`](Self::try_current), from a pool of another size if nothing is decided yet.
    pub(crate) fn current_in(pool: TaskIdPool) -> Result<Self, ConfigError> {
        let id = CURRENT.get().get_or_try_init(|| Self::decide(pool)).copied()?;
        if id.pool == pool {
            Ok(id)
        } else {
            Err(ConfigError::TaskIdDecided { decided: id.pool.size(), wanted: pool.size() })
        }
    }

    fn decide(pool: TaskIdPool) -> Result<Self, ConfigError> {
        match std::env::var(TASK_ID_VARIABLE) {
            Err(VarError::NotPresent) => pool.draw(),
            Ok(text) if text.is_empty() => pool.draw(),
            Ok(text) => pool.parse_variable(&text),
            Err(VarError::NotUnicode(text)) => Err(pool.unusable(&text.to_string_lossy())),
        }
    }

    fn new(number: u32, pool: TaskIdPool) -> Self {
        let mut text = [0; TEXT_LEN];
        let digits = format!("{number:0width$}", width = pool.width());
        for (to, from) in text.iter_mut().zip(TAG_START.iter().chain(digits.as_bytes())) {
            *to = *from;
        }
        Self { number, pool, text }
    }

    /// The bucket, from 1 to the pool's size.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// The pool that the bucket is one of.
    #[must_use]
    pub fn pool(self) -> TaskIdPool {
        self.pool
    }

    /// The padded bucket: `0042`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.tag().get(TAG_START.len()..).unwrap_or_default()
    }

    /// The whole tag: `task_id:0042`.
    #[must_use]
    pub fn tag(&self) -> &str {
        let text = self.text.get(..TAG_START.len() + self.pool.width()).unwrap_or_default();
        // Written from ASCII in `new`.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({} of {})", self.as_str(), self.pool.size())
    }
}
