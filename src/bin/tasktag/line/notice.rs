//! Events and service checks: texts for people.

use super::{Reason, read_tags};

/// Whether a text is an event or a service check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoticeKind {
    Event,
    Check,
}

impl NoticeKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Check => "check",
        }
    }
}

/// An event or a service check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) kind: NoticeKind,
    /// An event's title, or a check's name.
    pub(crate) title: String,
    /// An event's text, or a check's message.
    pub(crate) text: String,
    /// An event's alert type, or a check's status.
    pub(crate) level: String,
    pub(crate) tags: Vec<(String, String)>,
}

const LENGTHS: Reason = "an event does not have the lengths that it begins with";
const STATUSES: [(&str, &str); 4] = [("0", "ok"), ("1", "warning"), ("2", "critical"), ("3", "unknown")];

/// Reads an event behind its `_e{`.
pub(super) fn read_event(rest: &str) -> Result<Notice, Reason> {
    let (lengths, rest) = rest.split_once("}:").ok_or(LENGTHS)?;
    let (title_len, text_len) = lengths.split_once(',').ok_or(LENGTHS)?;
    let (title, rest) = split(rest, title_len)?;
    let (text, fields) = split(rest.strip_prefix('|').ok_or(LENGTHS)?, text_len)?;
    if title.is_empty() {
        return Err("an event has no title");
    }
    let mut notice = Notice::new(NoticeKind::Event, title, "info");
    notice.text = unescape(text);
    for field in fields.split('|') {
        match field.split_once(':') {
            Some(("t", level)) => level.clone_into(&mut notice.level),
            _ => notice.add_tags(field),
        }
    }
    Ok(notice)
}

/// Reads a service check behind its `_sc|`.
pub(super) fn read_check(rest: &str) -> Result<Notice, Reason> {
    let mut fields = rest.split('|');
    let name = fields.next().filter(|name| !name.is_empty()).ok_or("a check has no name")?;
    let status = fields.next().unwrap_or_default();
    let known = STATUSES.iter().find(|(digit, _)| *digit == status);
    let (_, status) = known.ok_or("a check's status is none of 0 1 2 3")?;
    let mut notice = Notice::new(NoticeKind::Check, name, status);
    for field in fields {
        match field.strip_prefix("m:") {
            Some(message) => notice.text = unescape(&message.replace("m\\:", "m:")),
            None => notice.add_tags(field),
        }
    }
    Ok(notice)
}

impl Notice {
    fn new(kind: NoticeKind, title: &str, level: &str) -> Self {
        let (title, level) = (unescape(title), level.to_owned());
        Self { kind, title, text: String::new(), level, tags: Vec::new() }
    }

    fn add_tags(&mut self, field: &str) {
        let tags = field.strip_prefix('#').into_iter().flat_map(read_tags);
        self.tags.extend(tags.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}

/// Splits after a number of bytes that is written as text.
fn split<'a>(text: &'a str, len: &str) -> Result<(&'a str, &'a str), Reason> {
    len.parse().ok().and_then(|len| text.split_at_checked(len)).ok_or(LENGTHS)
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_title_a_text_a_level_and_tags() {
        let event = read_event("6,8}:deploy|v42|\\nup|t:error|k:a|#env:eu").unwrap();
        assert_eq!((event.title.as_str(), event.text.as_str()), ("deploy", "v42|\nup"));
        assert_eq!((event.level.as_str(), event.tags), ("error", vec![("env".to_owned(), "eu".to_owned())]));
    }

    #[test]
    fn a_check_has_a_name_a_status_and_a_message() {
        let check = read_check("db.up|2|#env:eu|m:re\\nfused m\\:x").unwrap();
        assert_eq!((check.title.as_str(), check.level.as_str()), ("db.up", "critical"));
        assert_eq!(check.text, "re\nfused m:x");
    }

    #[test]
    fn what_does_not_fit_its_lengths_has_a_reason() {
        for event in ["", "1,1}", "1}:a|b", "x,1}:a|b", "9,1}:a|b", "1,9}:a|b", "1,1}:äb|c", "-1,1}:a|b"] {
            assert_eq!(read_event(event), Err(LENGTHS), "{event}");
        }
        assert_eq!(read_event("0,1}:|b"), Err("an event has no title"));
        assert_eq!(read_check("|0"), Err("a check has no name"));
        assert_eq!(read_check("db|4"), Err("a check's status is none of 0 1 2 3"));
    }
}
