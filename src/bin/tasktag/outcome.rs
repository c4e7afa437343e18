//! How the command ends.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// What a shell sees of a mistake in the arguments, or of what can't be done at all.
pub(crate) const FAULT: u8 = 2;

/// Why the command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    // `None` if it was told already, or if nobody reads.
    text: Option<String>,
    status: u8,
}

impl Failure {
    /// What went wrong with what.
    pub(crate) fn of(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(format!("{what}: {error}"))
    }

    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), status: FAULT }
    }

    /// Something was lost on its way.
    pub(crate) fn lost(text: impl Into<String>) -> Self {
        Self::new(text).with_status(1)
    }

    pub(crate) fn with_status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    /// It was told already.
    pub(crate) fn silent() -> Self {
        Self::status(1)
    }

    /// Its text was told already.
    pub(crate) fn told(self) -> Self {
        Self { text: None, ..self }
    }

    /// Only a status is left to be told.
    pub(crate) fn status(status: u8) -> Self {
        Self { text: None, status }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.status.into()
    }
}

/// A reader that has read enough, as `head` has, is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::status(0),
            _ => Self::new(error.to_string()),
        }
    }
}

impl From<tasktag::ConfigError> for Failure {
    fn from(error: tasktag::ConfigError) -> Self {
        Self::new(error.to_string())
    }
}
