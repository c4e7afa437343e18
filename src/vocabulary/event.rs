//! Events and service checks: what an agent is told in words.

mod bounds;

pub(crate) use self::bounds::{Cuts, MAX_BYTES, share, start};

use crate::vocabulary::name::names;
use std::time::{SystemTime, UNIX_EPOCH};

/// How much an event matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Shown by default.
    #[default]
    Normal,
    /// Hidden by default.
    Low,
}

names! {
    Priority, "a priority":
    Normal = "normal",
    Low = "low",
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertType {
    /// Nothing to do.
    #[default]
    Info,
    /// Something went well.
    Success,
    /// Something may go wrong.
    Warning,
    /// Something went wrong.
    Error,
}

names! {
    AlertType, "an alert type":
    Info = "info",
    Success = "success",
    Warning = "warning",
    Error = "error",
}

/// Something that happened, for people to read beside the graphs.
///
/// An event is one packet of at most 8192 bytes, also over UDP. Where it would be longer its text is cut, and its title if
/// that is longer than half of what the two may have: see [`truncated_texts`](crate::Stats::truncated_texts).
///
/// ```
/// use tasktag::{AlertType, Event};
///
/// let event = Event::new("pool exhausted", "10 of 10 connections held by exports")
///     .alert_type(AlertType::Warning)
///     .aggregation_key("pool-primary")
///     .tag("pool", "primary");
/// # drop(event);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) timestamp: Option<u64>,
    pub(crate) hostname: Option<String>,
    pub(crate) aggregation_key: Option<String>,
    pub(crate) priority: Option<Priority>,
    pub(crate) source_type: Option<String>,
    pub(crate) alert_type: Option<AlertType>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) cuts: Cuts,
}

impl Event {
    /// An event with a title and a text. Line breaks in either are sent as `\n`. An event without a title is refused
    /// and counted: the Agent would drop it.
    #[must_use]
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            text: text.into(),
            timestamp: None,
            hostname: None,
            aggregation_key: None,
            priority: None,
            source_type: None,
            alert_type: None,
            tags: Vec::new(),
            cuts: Cuts::default(),
        }
    }

    /// When it happened, to the second. Defaults to when the agent gets it.
    #[must_use]
    pub fn timestamp(mut self, at: SystemTime) -> Self {
        self.timestamp = Some(unix_seconds(at));
        self
    }

    /// The host it happened on. Defaults to the agent's.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// Events of one key are shown as one.
    #[must_use]
    pub fn aggregation_key(mut self, key: impl Into<String>) -> Self {
        self.aggregation_key = Some(key.into());
        self
    }

    /// Defaults to [`Priority::Normal`].
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The kind of program it comes from, as the backend knows it.
    #[must_use]
    pub fn source_type(mut self, source_type: impl Into<String>) -> Self {
        self.source_type = Some(source_type.into());
        self
    }

    /// Defaults to [`AlertType::Info`].
    #[must_use]
    pub fn alert_type(mut self, alert_type: AlertType) -> Self {
        self.alert_type = Some(alert_type);
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }
}

/// What a service check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It works.
    Ok = 0,
    /// It works, but not well.
    Warning = 1,
    /// It does not work.
    Critical = 2,
    /// It could not be checked.
    Unknown = 3,
}

names! {
    Status, "a status":
    Ok = "ok",
    Warning = "warning",
    Critical = "critical",
    Unknown = "unknown",
}

/// The state of something that the service depends on.
///
/// A service check is one packet of at most 8192 bytes, also over UDP. Where it would be longer its message is cut: see
/// [`truncated_texts`](crate::Stats::truncated_texts).
///
/// ```
/// use tasktag::{ServiceCheck, Status};
///
/// let check = ServiceCheck::new("db.reachable", Status::Critical).message("no route to host").tag("db", "primary");
/// # drop(check);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceCheck {
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) timestamp: Option<u64>,
    pub(crate) hostname: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) cuts: Cuts,
}

impl ServiceCheck {
    /// A check's name, which gets no prefix, and what it found. A check without a name is refused and
    /// counted: the Agent would drop it.
    #[must_use]
    pub fn new(name: impl Into<String>, status: Status) -> Self {
        Self {
            name: name.into(),
            status,
            timestamp: None,
            hostname: None,
            message: None,
            tags: Vec::new(),
            cuts: Cuts::default(),
        }
    }

    /// When it was found, to the second. Defaults to when the agent gets it.
    #[must_use]
    pub fn timestamp(mut self, at: SystemTime) -> Self {
        self.timestamp = Some(unix_seconds(at));
        self
    }

    /// The host it was found on. Defaults to the agent's.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// Why. Line breaks are sent as `\n`.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }
}

pub(crate) fn unix_seconds(at: SystemTime) -> u64 {
    // A time before 1970 is no time an agent takes: 0 is as near as it gets.
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
