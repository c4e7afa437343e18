//! What was found, how bad it is, and what to do.

use crate::readable::readable;
use serde_json::{Value, json};
use std::fmt;

/// How bad a finding is. The worst one decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    Warning,
    Fault,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One finding: a line, and where something is to be done, another.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) level: Level,
    about: &'static str,
    text: String,
    advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Ok, about, text)
    }

    pub(super) fn warning(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Warning, about, text)
    }

    pub(super) fn fault(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Fault, about, text)
    }

    fn new(level: Level, about: &'static str, text: impl Into<String>) -> Self {
        Self { level, about, text: text.into(), advice: None }
    }

    /// Says what to do.
    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    pub(super) fn object(&self) -> Value {
        json!({
            "level": self.level.as_str(), "about": self.about, "text": readable(self.text.as_bytes()),
            "advice": self.advice.as_ref().map(|advice| readable(advice.as_bytes())),
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.level {
            Level::Ok => "OK     ",
            Level::Warning => "WARNING",
            Level::Fault => "FAULT  ",
        };
        write!(f, "{mark} {}: {}", self.about, readable(self.text.as_bytes()))?;
        match &self.advice {
            Some(advice) => write!(f, "\n        -> {}", readable(advice.as_bytes())),
            None => Ok(()),
        }
    }
}
