//! The errors of set-up, registration and flushes. After start-up, no call site returns an error.

use crate::vocabulary::kind::Kind;
use std::fmt;
use std::time::Duration;

/// Why a client could not be built.
///
/// Messages name the setting or the environment variable, and its value.
///
/// ```
/// use tasktag::{Client, ConfigError};
///
/// let error = Client::builder().agent("http://agent").build().unwrap_err();
/// assert!(matches!(error, ConfigError::Setting { setting: "agent", .. }));
/// assert!(error.to_string().starts_with(r#"the setting agent can't be "http://agent": "#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value given to a setter is invalid.
    Setting {
        /// The setter's name.
        setting: &'static str,
        /// The value as given.
        value: String,
        /// Why the value is invalid.
        reason: String,
    },
    /// The value of an environment variable is invalid.
    Variable {
        /// The variable's name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// Why the value is invalid.
        reason: String,
    },
    /// Before this client was built, the process had already drawn its task id from a pool of another size.
    TaskIdDecided {
        /// The size of the pool that the id came from.
        decided: u32,
        /// The size of the requested pool.
        wanted: u32,
    },
    /// The operating system's random generator failed.
    Random(String),
    /// The worker's thread could not be started.
    Thread(String),
    /// Another client is installed for the whole process, and has not stopped.
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
            Self::Setting { setting, value, reason } => {
                write!(f, "the setting {setting} can't be {value:?}: {reason}")
            }
            Self::Variable { variable, value, reason } => {
                write!(f, "the environment variable {variable} can't be {value:?}: {reason}")
            }
            Self::TaskIdDecided { decided, wanted } => write!(
                f,
                "the setting task_id_pool can't be {wanted}: this process already drew its task id from a pool of {decided}"
            ),
            Self::Random(error) => {
                write!(f, "there is no task id, because the operating system's generator failed: {error}")
            }
            Self::Thread(error) => write!(f, "the worker's thread could not be started: {error}"),
            Self::AlreadyInstalled => {
                write!(f, "another client is installed in this process, and has not stopped")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Why a registration returned a handle that reports nothing.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::RegisterError;
///
/// let _done = client.counter("jobs").register();
/// let error = client.gauge("jobs").try_register().unwrap_err();
/// assert!(matches!(error, RegisterError::KindMismatch { .. }));
/// assert_eq!(error.to_string(), r#"metric "jobs" is a counter and can't become a gauge"#);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name belongs to a metric of another kind.
    KindMismatch {
        /// The metric's name.
        name: String,
        /// The kind of the existing metric.
        registered: Kind,
        /// The requested kind.
        wanted: Kind,
    },
    /// The name is empty.
    EmptyName,
    /// The client has reached its context limit.
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
                write!(f, "metric {name:?} would exceed the limit of {limit} contexts")
            }
        }
    }
}

impl std::error::Error for RegisterError {}

/// Why a flush or a shutdown was not acknowledged.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// use std::time::Duration;
/// use tasktag::FlushError;
///
/// let client = guard.client().clone();
/// guard.shutdown(Duration::from_secs(1))?;
/// assert_eq!(client.flush(Duration::from_secs(1)), Err(FlushError::Stopped));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushError {
    /// The worker did not finish in time, and continues its work; or the agent did not accept everything in time, and
    /// the rest is dropped.
    TimedOut(Duration),
    /// There is no worker: it was already shut down, or it runs in the parent from which this process was forked.
    Stopped,
    /// The call came from one of the client's own threads, in a watched closure or the closure of
    /// [`on_loss`](crate::ClientBuilder::on_loss), which can't wait for itself. A shutdown takes effect all the same.
    OnWorker,
}

impl FlushError {
    /// The same error for a caller that allowed all of `timeout`, of which only a part was left for the worker.
    pub(crate) fn after(self, timeout: Duration) -> Self {
        if let Self::TimedOut(_) = self { Self::TimedOut(timeout) } else { self }
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(after) => write!(f, "the worker did not finish within {after:?}"),
            Self::OnWorker => write!(f, "a thread of the client can't wait for itself"),
            Self::Stopped => write!(f, "the worker has stopped, or runs in the parent process"),
        }
    }
}

impl std::error::Error for FlushError {}
