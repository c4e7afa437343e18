//! Events and service checks.

mod bounds;

pub(crate) use self::bounds::{Cuts, MAX_BYTES, share, start};

use crate::vocabulary::name::names;
use std::time::{SystemTime, UNIX_EPOCH};

/// The priority of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// The event is shown by default.
    #[default]
    Normal,
    /// The event is hidden by default.
    Low,
}

names! {
    Priority, "a priority":
    Normal = "normal",
    Low = "low",
}

/// The severity of an event.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::{AlertType, Event, Priority};
///
/// let event = Event::new("failover", "the replica took over").alert_type(AlertType::Warning).priority(Priority::Low);
/// client.send_event(event);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertType {
    /// The event needs no action.
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

/// Something that happened, shown to people beside the graphs.
///
/// An event is one packet of at most 8192 bytes, also over UDP. If it would be longer, its text is truncated. Its title
/// is truncated if it is longer than half of the room that title and text share.
/// [`truncated_texts`](crate::Stats::truncated_texts) counts such events.
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
    /// Creates an event with a title and a text. Line breaks in either are sent as `\n`. An event without a title is
    /// refused and counted, because the Agent would drop it.
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

    /// Sets the time of the event, to the second. The default is the time at which the agent receives it.
    #[must_use]
    pub fn timestamp(mut self, at: SystemTime) -> Self {
        self.timestamp = Some(unix_seconds(at));
        self
    }

    /// Sets the event's host. The default is the agent's host.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// Sets the aggregation key. Events with the same key are shown as one.
    #[must_use]
    pub fn aggregation_key(mut self, key: impl Into<String>) -> Self {
        self.aggregation_key = Some(key.into());
        self
    }

    /// Sets the priority. The default is [`Priority::Normal`].
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets the kind of program that the event comes from, by the name that the backend has for it.
    #[must_use]
    pub fn source_type(mut self, source_type: impl Into<String>) -> Self {
        self.source_type = Some(source_type.into());
        self
    }

    /// Sets the severity. The default is [`AlertType::Info`].
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

/// The result of a service check.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::Status;
///
/// let is_up = true; // as a health check found
/// client.service_check("orders.database", if is_up { Status::Ok } else { Status::Critical });
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The dependency works.
    Ok = 0,
    /// The dependency works, but not well.
    Warning = 1,
    /// The dependency does not work.
    Critical = 2,
    /// The dependency could not be checked.
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
/// A service check is one packet of at most 8192 bytes, also over UDP. If it would be longer, its message is truncated.
/// [`truncated_texts`](crate::Stats::truncated_texts) counts such checks.
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
    /// Creates a service check with a name, which gets no prefix, and a result. A check without a name is refused and
    /// counted, because the Agent would drop it.
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

    /// Sets the time of the check, to the second. The default is the time at which the agent receives it.
    #[must_use]
    pub fn timestamp(mut self, at: SystemTime) -> Self {
        self.timestamp = Some(unix_seconds(at));
        self
    }

    /// Sets the check's host. The default is the agent's host.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// Sets a message that explains the result. Line breaks are sent as `\n`.
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
    // Agents take no time before 1970, so 0 is the closest one.
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
