//! DogStatsD: the Datadog Agent's dialect.
//!
//! Grammar: <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>.

use super::grammar::Grammar;
use super::weights::Weights;
use super::{Unencodable, clean, number};
use crate::vocabulary::event::{AlertType, Event, Priority, ServiceCheck, share, start};
use crate::vocabulary::kind::Kind;

/// The prefix that the official clients use.
pub(super) const TELEMETRY_PREFIX: &str = "datadog.dogstatsd.client.";

#[derive(Debug)]
pub(super) struct DogStatsd;

impl Grammar for DogStatsd {
    fn spread_kinds(&self) -> &'static [Kind] {
        &[Kind::Distribution, Kind::Histogram, Kind::Timing]
    }

    fn tag_key(&self, raw: &str) -> String {
        tag_key(raw)
    }

    fn tag_value(&self, raw: &str) -> String {
        tag_value(raw)
    }

    fn keeps_in_values(&self, c: char) -> bool {
        stays_in_tag(c)
    }

    fn weights(&self) -> Weights {
        Weights::Rates
    }

    fn signed_gauges_are_differences(&self) -> bool {
        false
    }

    fn takes_negative_values(&self) -> bool {
        true
    }

    fn telemetry_prefix(&self) -> &'static str {
        TELEMETRY_PREFIX
    }

    fn tags_at_end(&self, tags: &[(&str, &str)], out: &mut Vec<u8>) {
        self::tags(tags, out);
    }

    fn is_dogstatsd(&self) -> bool {
        true
    }

    fn has_timestamps(&self) -> bool {
        true
    }

    fn member(&self, raw: &str) -> String {
        clean::member(raw, |c| c != '|' && !c.is_control())
    }

    fn event(
        &self,
        event: &Event,
        fields: &[u8],
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, Unencodable> {
        let (title, text) = (clean::one_line(&event.title), clean::one_line(&event.text));
        if title.is_empty() {
            return Err(Unencodable::Empty);
        }
        let mut rest = Vec::new();
        timestamp(event.timestamp, &mut rest);
        field(b"|h:", event.hostname.as_deref(), &mut rest);
        field(b"|k:", event.aggregation_key.as_deref(), &mut rest);
        field(b"|p:", event.priority.map(Priority::as_str), &mut rest);
        field(b"|s:", event.source_type.as_deref(), &mut rest);
        field(b"|t:", event.alert_type.map(AlertType::as_str), &mut rest);
        rest.extend_from_slice(fields);
        let (title, text, is_cut) = fitting(&title, &text, room.saturating_sub(rest.len()));
        out.extend_from_slice(b"_e{");
        number::integer(title.len() as u64, out);
        out.push(b',');
        number::integer(text.len() as u64, out);
        out.extend_from_slice(b"}:");
        out.extend_from_slice(title.as_bytes());
        out.push(b'|');
        out.extend_from_slice(text.as_bytes());
        out.append(&mut rest);
        out.push(b'\n');
        Ok(is_cut)
    }

    fn service_check(
        &self,
        check: &ServiceCheck,
        fields: &[u8],
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, Unencodable> {
        if check.name.is_empty() {
            return Err(Unencodable::Empty);
        }
        out.extend_from_slice(b"_sc|");
        out.extend_from_slice(clean::whole_name(&check.name).as_bytes());
        out.push(b'|');
        number::integer(check.status as u64, out);
        timestamp(check.timestamp, out);
        field(b"|h:", check.hostname.as_deref(), out);
        out.extend_from_slice(fields);
        let mut is_cut = false;
        if let Some(message) = &check.message {
            // The Agent's documentation escapes these two characters. The Agent reads the message up to the next `|`.
            let message = clean::one_line(message).replace('|', "_").replace("m:", "m\\:");
            let kept = cut(&message, room.saturating_sub(out.len() + "|m:\n".len()));
            is_cut = kept.len() < message.len();
            if !kept.is_empty() || !is_cut {
                out.extend_from_slice(b"|m:");
                out.extend_from_slice(kept.as_bytes());
            }
        }
        out.push(b'\n');
        Ok(is_cut)
    }
}

/// Cuts a title and a text to fit into an event of `room` bytes, with the lengths and marks around them. Also returns
/// whether something was cut. If not even a title fits, both stay whole, and the line is too large.
fn fitting<'a>(title: &'a str, text: &'a str, room: usize) -> (&'a str, &'a str, bool) {
    let frame = "_e{,}:|\n".len() + digits(title.len()) + digits(text.len());
    let (title_room, text_room) = share(title.len(), text.len(), room.saturating_sub(frame));
    let (kept, kept_text) = (cut(title, title_room), cut(text, text_room));
    if kept.is_empty() {
        return (title, text, false);
    }
    (kept, kept_text, kept.len() < title.len() || kept_text.len() < text.len())
}

/// Puts a text into one line and cuts it to `room` bytes.
fn cut(text: &str, room: usize) -> &str {
    let kept = start(text, room);
    // The backslash may be half of an escaped line break.
    if kept.len() < text.len() { kept.strip_suffix('\\').unwrap_or(kept) } else { kept }
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().unwrap_or_default() as usize + 1
}

/// `|#queue:within_1_minute,task_id:0042`, with a bare key for an empty value.
pub(super) fn tags(tags: &[(&str, &str)], out: &mut Vec<u8>) {
    for (place, (key, value)) in tags.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b"|#" } else { b"," });
        out.extend_from_slice(key.as_bytes());
        if !value.is_empty() {
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
    }
}

pub(super) fn tag_key(raw: &str) -> String {
    clean::tag(raw, |c| c != ':' && stays_in_tag(c))
}

pub(super) fn tag_value(raw: &str) -> String {
    clean::tag(raw, stays_in_tag)
}

pub(super) fn stays_in_tag(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '.' | '/')
}

fn timestamp(seconds: Option<u64>, out: &mut Vec<u8>) {
    if let Some(seconds) = seconds {
        out.extend_from_slice(b"|d:");
        number::integer(seconds, out);
    }
}

fn field(start: &[u8], value: Option<&str>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        out.extend_from_slice(start);
        out.extend_from_slice(clean::text(value, |c| c != '|' && !c.is_control()).as_bytes());
    }
}
