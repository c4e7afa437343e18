//! The kind of source that a task id came from, as telemetry reports it.

use std::fmt;

/// Where a task id came from. [`TaskId::source`](crate::TaskId::source) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TaskIdSourceKind {
    /// The id was drawn: it is unique by chance.
    Random,
    /// The id was set by the program or by `TASKTAG_TASK_ID`.
    Fixed,
    /// The id is an ordinal of the platform: it is unique within the set that the platform counts.
    Platform,
    /// The id is a hash of the task's name: it is unique by chance, and the same after a restart.
    Hashed,
    /// The id is leased: it is unique among the live processes of the host, or of all hosts if leased in Redis.
    Leased,
    /// The id is a bucket that other live tasks may have: every slot was leased, the lease was lost or given back, the
    /// ordinal was beyond the pool, or a forked child could have no id of its own.
    Shared,
}

impl TaskIdSourceKind {
    /// The name used in telemetry: `random`, `fixed`, `platform`, `hashed`, `leased` or `shared`.
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
