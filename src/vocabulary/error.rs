//! What can be wrong with a set-up. Nothing after start-up returns an error at a call site.

use crate::vocabulary::kind::Kind;
use std::fmt;
use std::time::Duration;

/// Why a client could not be built.
///
/// Every variant says which setting or environment variable is meant and which value it had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value given to a setter is unusable.
    Setting {
        /// The setter's name.
        setting: &'static str,
        /// The value as given.
        value: String,
        /// What would be usable.
        reason: String,
    },
    /// The value of an environment variable is unusable.
    Variable {
        /// The variable's name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What would be usable.
        reason: String,
    },
    /// The process drew its task id from a pool of another size before this client was built.
    TaskIdDecided {
        /// Size of the pool that the id came from.
        decided: u32,
        /// Size of the pool that was asked for.
        wanted: u32,
    },
    /// The operating system's random generator failed.
    Random(String),
    /// The worker's thread could not be started.
    Thread(String),
    /// Another client is the process-wide one, and has not ended.
    AlreadyInstalled,
}

impl ConfigError {
    pub(crate) fn setting(
        setting: &'static str,
        value: impl fmt::Display,
        reason: impl fmt::Display,
    ) -> Self {
        Self::Setting { setting, value: value.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn variable(variable: &'static str, value: &str, reason: impl fmt::Display) -> Self {
        Self::Variable { variable, value: value.to_owned(), reason: reason.to_string() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { setting, value, reason } => write!(f, "setting {setting} is {value:?}: {reason}"),
            Self::Variable { variable, value, reason } => {
                write!(f, "environment variable {variable} is {value:?}: {reason}")
            }
            Self::TaskIdDecided { decided, wanted } => write!(
                f,
                "setting task_id_pool is {wanted}: this process drew its task id from a pool of {decided} before"
            ),
            Self::Random(error) => write!(f, "no task id: the operating system's generator failed: {error}"),
            Self::Thread(error) => write!(f, "the worker's thread could not be started: {error}"),
            Self::AlreadyInstalled => {
                write!(f, "another client is installed in this process, and has not ended")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Why a metric got a handle that reports nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name belongs to a metric of another kind.
    KindMismatch {
        /// The metric's name.
        name: String,
        /// The kind that the name has.
        registered: Kind,
        /// The kind that was asked for.
        wanted: Kind,
    },
    /// The name is empty.
    EmptyName,
    /// The client has as many contexts as it may have.
    ContextLimit {
        /// The metric's name.
        name: String,
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KindMismatch { name, registered, wanted } => {
                write!(f, "metric {name:?} is a {registered} and can't become a {wanted}")
            }
            Self::EmptyName => write!(f, "a metric has no name"),
            Self::ContextLimit { name, limit } => {
                write!(f, "metric {name:?} needs a context more than the limit of {limit}")
            }
        }
    }
}

impl std::error::Error for RegisterError {}

/// Why a flush or a shutdown was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// The worker did not finish in time, and goes on with what it is doing; or the agent did not take everything in time,
    /// and what it did not take is dropped.
    TimedOut(Duration),
    /// There is no worker: it was shut down before, or it is in the process that this one was forked from.
    Stopped,
    /// Called on a thread of the client's own, in a watched closure or the one of
    /// [`on_loss`](crate::ClientBuilder::on_loss): it can't wait for itself. A shutdown takes effect all the same.
    OnWorker,
}

impl FlushError {
    /// The same where the caller gave all of `timeout`, of which a part was left for the worker.
    pub(crate) fn after(self, timeout: Duration) -> Self {
        if let Self::TimedOut(_) = self { Self::TimedOut(timeout) } else { self }
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(after) => write!(f, "the worker did not finish within {after:?}"),
            Self::OnWorker => write!(f, "a thread of the client can't wait for itself"),
            Self::Stopped => write!(f, "there is no worker any more"),
        }
    }
}

impl std::error::Error for FlushError {}
