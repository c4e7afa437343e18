//! Where a task id came from, as telemetry says it.

use std::fmt;

/// Where a task id came from: [`TaskId::source`](crate::TaskId::source).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TaskIdSourceKind {
    /// Drawn: unique by chance.
    Random,
    /// Given by the program or by `TASKTAG_TASK_ID`.
    Fixed,
    /// An ordinal of the platform: unique within what the platform counts.
    Platform,
    /// A hash of the task's name: unique by chance, and the same after a restart.
    Hashed,
    /// A lease: unique among the live processes of the host, or of all hosts where it is in Redis.
    Leased,
    /// A bucket that other live tasks may have: every slot was leased, the lease was lost or given back, the ordinal was
    /// beyond the pool, or a forked child could have no id of its own.
    Shared,
}

impl TaskIdSourceKind {
    /// As it stands in telemetry: `random`, `fixed`, `platform`, `hashed`, `leased`, `shared`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Fixed => "fixed",
            Self::Platform => "platform",
            Self::Hashed => "hashed",
            Self::Leased => "leased",
            Self::Shared => "shared",
        }
    }
}

impl fmt::Display for TaskIdSourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
