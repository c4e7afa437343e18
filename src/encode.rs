//! Values become lines. Pure: no socket, clock or thread is known here.

mod clean;
mod dialect;
mod dogstatsd;
mod number;
mod statsd;

pub use self::dialect::Dialect;

pub(crate) use self::dialect::{Grammar, Weights};

use crate::event::{Event, ServiceCheck};
use crate::kind::Kind;
use crate::record::Member;
use crate::tag::Tags;
use crate::task_id::TASK_ID_KEY;

/// A metric's name, in bytes; Datadog takes no longer one.
const MAX_NAME: usize = 200;

/// What stands around the number of a line, rendered once a context.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    // `shop.jobs.done:`
    head: Vec<u8>,
    // `|#queue:within_1_minute,task_id:0042\n`
    tail: Vec<u8>,
    // `|c`
    code: &'static [u8],
}

/// Turns values into the lines of one dialect.
#[derive(Debug)]
pub(crate) struct Encoder {
    grammar: &'static dyn Grammar,
    prefix: String,
    // Cleaned, in the order they are written, the task id last.
    globals: Vec<(String, String)>,
    // Tags left out so far: an empty or a reserved key.
    refused_tags: u64,
    buffer: Vec<u8>,
}

/// One or more lines that must travel in one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) count: u64,
}

impl Encoder {
    pub(crate) fn new(dialect: Dialect, prefix: &str, globals: &[(String, String)], task_id: &str) -> Self {
        let grammar = dialect.grammar();
        let mut encoder =
            Self { grammar, prefix: String::new(), globals: Vec::new(), refused_tags: 0, buffer: Vec::new() };
        encoder.prefix = clean::name(prefix.trim_end_matches('.'));
        if !encoder.prefix.is_empty() {
            encoder.prefix.push('.');
        }
        encoder.globals =
            encoder.clean_tags(globals.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        // The one place where the task id is added.
        encoder.globals.push((TASK_ID_KEY.to_owned(), task_id.to_owned()));
        encoder
    }

    pub(crate) fn dialect_weights(&self) -> Weights {
        self.grammar.weights()
    }

    /// What stands around the numbers of a context, whose metric's name is followed by `suffix`.
    pub(crate) fn line(&mut self, name: &str, suffix: &str, tags: &Tags, kind: Kind) -> Line {
        let name = self.full_name(name, suffix);
        self.line_of(name, tags, kind)
    }

    /// Another line of the same context: `.max`.
    pub(crate) fn sibling(&self, line: &Line, name: &str, suffix: &str) -> Line {
        let mut head = self.full_name(name, suffix).into_bytes();
        head.push(b':');
        Line { head, tail: line.tail.clone(), code: line.code }
    }

    fn full_name(&self, name: &str, suffix: &str) -> String {
        let mut full = self.prefix.clone();
        full.push_str(&clean::name(name));
        clean::start_with_letter(&mut full);
        full.truncate(MAX_NAME - suffix.len());
        full.push_str(suffix);
        full
    }

    /// The same for the client's own telemetry, whose names nobody prefixes or cleans.
    pub(crate) fn telemetry_line(&mut self, name: &str, tags: &Tags) -> Line {
        self.line_of(format!("{}{name}", self.grammar.telemetry_prefix()), tags, Kind::Counter)
    }

    /// A gauge of the client's own, in all dialects under the same name.
    pub(crate) fn own_gauge_line(&mut self, name: &str, tags: &Tags) -> Line {
        self.line_of(format!("tasktag.{name}"), tags, Kind::Gauge)
    }

    fn line_of(&mut self, name: String, tags: &Tags, kind: Kind) -> Line {
        let mut head = name.into_bytes();
        head.push(b':');
        let mut tail = Vec::new();
        let own = self.clean_tags(tags.iter());
        self.write_tags(&own, &mut tail);
        tail.push(b'\n');
        Line { head, tail, code: self.grammar.code(kind) }
    }

    fn clean_tags<'a>(&mut self, tags: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
        let mut cleaned: Vec<(String, String)> = Vec::new();
        for (key, value) in tags {
            let key = self.grammar.tag_key(key);
            // Backends lower-case keys: written otherwise it would be a second task id.
            if key.is_empty() || key.eq_ignore_ascii_case(TASK_ID_KEY) {
                self.refused_tags += 1;
            } else {
                let pair = (key, self.grammar.tag_value(value));
                if !cleaned.contains(&pair) {
                    cleaned.push(pair);
                }
            }
        }
        cleaned
    }

    /// A context's own tags, then the global ones whose key is not among them.
    fn write_tags(&self, own: &[(String, String)], out: &mut Vec<u8>) {
        if !self.grammar.has_tags() {
            return;
        }
        let inherited = self.globals.iter().filter(|(global, _)| !own.iter().any(|(key, _)| key == global));
        for (place, (key, value)) in own.iter().chain(inherited).enumerate() {
            out.extend_from_slice(if place == 0 { b"|#" } else { b"," });
            out.extend_from_slice(key.as_bytes());
            if !value.is_empty() {
                out.push(b':');
                out.extend_from_slice(value.as_bytes());
            }
        }
    }

    pub(crate) fn take_refused_tags(&mut self) -> u64 {
        std::mem::take(&mut self.refused_tags)
    }

    /// A gauge's level.
    pub(crate) fn gauge(&mut self, line: &Line, value: f64) -> Lines<'_> {
        self.buffer.clear();
        // There `-5` means "subtract 5", so the gauge is set to 0 first, in the same packet.
        let by_difference = value < 0.0 && self.grammar.signed_gauges_are_differences();
        if by_difference {
            self.push(line, |out| out.push(b'0'), 1);
        }
        self.push(line, |out| number::float(value, out), 1);
        Lines { bytes: &self.buffer, count: 1 + u64::from(by_difference) }
    }

    /// A counter's difference.
    pub(crate) fn count(&mut self, line: &Line, n: u64) -> Lines<'_> {
        self.buffer.clear();
        self.push(line, |out| number::integer(n, out), 1);
        Lines { bytes: &self.buffer, count: 1 }
    }

    /// A distribution's value that was seen `n` times, or `None` where the dialect's servers refuse it.
    pub(crate) fn weighted(&mut self, line: &Line, value: f64, n: u64) -> Option<Lines<'_>> {
        if value < 0.0 && !self.grammar.takes_negative_values() {
            return None;
        }
        self.buffer.clear();
        self.push(line, |out| number::float(value, out), n);
        Some(Lines { bytes: &self.buffer, count: 1 })
    }

    /// A set's member, or `None` for the empty one.
    pub(crate) fn member(&mut self, line: &Line, member: &Member) -> Option<Lines<'_>> {
        let member = self.grammar.member(member.as_str());
        if member.is_empty() {
            return None;
        }
        self.buffer.clear();
        self.push(line, |out| out.extend_from_slice(member.as_bytes()), 1);
        Some(Lines { bytes: &self.buffer, count: 1 })
    }

    fn push(&mut self, line: &Line, value: impl FnOnce(&mut Vec<u8>), weight: u64) {
        let out = &mut self.buffer;
        out.extend_from_slice(&line.head);
        value(out);
        out.extend_from_slice(line.code);
        if weight > 1 {
            out.extend_from_slice(b"|@");
            number::float(number::rate(weight), out);
        }
        out.extend_from_slice(&line.tail);
    }

    /// An event, or why it has no line.
    pub(crate) fn event(&mut self, event: &Event) -> Result<Lines<'_>, Unencodable> {
        let tags = self.render_tags(&event.tags);
        self.buffer.clear();
        self.grammar.event(event, &tags, &mut self.buffer)?;
        Ok(Lines { bytes: &self.buffer, count: 1 })
    }

    /// A service check, or why it has no line.
    pub(crate) fn service_check(&mut self, check: &ServiceCheck) -> Result<Lines<'_>, Unencodable> {
        let tags = self.render_tags(&check.tags);
        self.buffer.clear();
        self.grammar.service_check(check, &tags, &mut self.buffer)?;
        Ok(Lines { bytes: &self.buffer, count: 1 })
    }

    fn render_tags(&mut self, tags: &[(String, String)]) -> Vec<u8> {
        let own = self.clean_tags(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let mut out = Vec::new();
        self.write_tags(&own, &mut out);
        out
    }
}

/// Why an event or a service check has no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unencodable {
    /// It has no title or no name.
    Empty,
    /// The dialect has no such thing.
    Unsupported,
}
