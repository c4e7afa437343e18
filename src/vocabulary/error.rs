//! Errors of the set-up. After start-up no call site returns an error.

use crate::vocabulary::kind::Kind;
use std::fmt;
use std::time::Duration;

/// The reason why a client could not be built.
///
/// Every variant that concerns a setting or an environment variable names it and gives its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setter was given an unusable value.
    Setting {
        /// The setter's name.
        setting: &'static str,
        /// The value that was given.
        value: String,
        /// What is wrong, or what would be usable.
        reason: String,
    },
    /// An environment variable has an unusable value.
    Variable {
        /// The variable's name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong, or what would be usable.
        reason: String,
    },
    /// The process decided on its task id before this client was built, from a pool of another size.
    TaskIdDecided {
        /// The size of the pool that the id came from.
        decided: u32,
        /// The size of the pool that was asked for.
        wanted: u32,
    },
    /// The operating system's random generator failed.
    Random(String),
    /// The worker's thread could not be started.
    Thread(String),
    /// Another client is already installed as the process-wide one.
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
            Self::AlreadyInstalled => write!(f, "another client is installed in this process already"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The reason why a metric got a handle that reports nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name belongs to a metric of another kind.
    KindMismatch {
        /// The metric's name.
        name: String,
        /// The kind of the metric that has the name.
        registered: Kind,
        /// The kind that was asked for.
        wanted: Kind,
    },
    /// The name is empty.
    EmptyName,
    /// The client has reached its limit of contexts.
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

/// The reason why a flush or a shutdown was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// The flush did not finish within this time.
    ///
    /// Either the worker did not finish, and continues, or the agent did not take everything, and the rest is dropped.
    TimedOut(Duration),
    /// There is no worker. It was shut down before, or it runs in the process from which this one was forked.
    Stopped,
    /// The call was made on one of the client's own threads, in a watched closure or in the
    /// [`on_loss`](crate::ClientBuilder::on_loss) closure. Such a thread can't wait for itself. A shutdown still takes
    /// effect.
    OnWorker,
}

impl FlushError {
    /// Returns the same error with the caller's whole `timeout`, of which the worker was given a part.
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
