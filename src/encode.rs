//! Values become lines. Pure: no socket, clock or thread is known here.

pub(crate) mod clean;
mod dialect;
mod dogstatsd;
mod embedded;
mod group;
mod number;
mod protocol;
mod statsd;
mod summary;

pub use self::dialect::{Dialect, Weights};
pub use self::protocol::Protocol;

pub(crate) use self::dialect::Grammar;
pub(crate) use self::group::{Group, groups};
pub(crate) use self::number::split_counts;
pub(crate) use self::summary::{SUFFIXES, summary};

use self::clean::MAX_NAME;
use crate::event::{Event, ServiceCheck};
use crate::kind::Kind;
use crate::origin::Origin;
use crate::record::Member;
use crate::tag::Tags;

/// What stands around the number of a line, rendered once a context.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    // `shop.jobs.done:`, or with tags `shop.jobs.done;queue=within_1_minute;task_id=0042:`
    head: Vec<u8>,
    // How much of the head is the name.
    name_len: usize,
    // `|#queue:within_1_minute,task_id:0042`
    tail: Vec<u8>,
    // `|c`
    code: &'static [u8],
}

impl Line {
    /// Bytes of a line but its numbers, more or less.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.head.len() + self.tail.len() + "|d|@0.0625\n".len()
    }
}

/// How values are written for one agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) dialect: Dialect,
    pub(crate) protocol: Protocol,
    /// In place of the dialect's own.
    pub(crate) weights: Option<Weights>,
    /// What distributions and histograms become where there is no `d`: timings, or histograms.
    pub(crate) distributions_as: Kind,
    pub(crate) task_id_in_names: bool,
}

/// What stands on every line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Globals<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) tags: &'a [(String, String)],
    pub(crate) task_id_key: &'a str,
    pub(crate) task_id: &'a str,
    pub(crate) origin: &'a Origin,
}

/// Turns values into the lines of one dialect.
#[derive(Debug)]
pub(crate) struct Encoder {
    grammar: &'static dyn Grammar,
    format: Format,
    prefix: String,
    // How much of the prefix stands before the task id.
    own_prefix_len: usize,
    task_id_key: String,
    task_id: String,
    // Cleaned, in the order they are written, the task id last.
    globals: Vec<(String, String)>,
    // `|c:ci-5a3f`
    origin: Vec<u8>,
    // Tags left out so far: an empty or a reserved key.
    refused_tags: u64,
    buffer: Vec<u8>,
    // What follows the numbers of the line under way.
    ending: Vec<u8>,
}

/// One or more lines that must travel in one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) count: u64,
}

impl Encoder {
    pub(crate) fn new(format: Format, globals: Globals<'_>) -> Self {
        let mut encoder = Self {
            grammar: format.dialect.grammar(),
            format,
            prefix: String::new(),
            own_prefix_len: 0,
            task_id_key: globals.task_id_key.to_owned(),
            task_id: globals.task_id.to_owned(),
            globals: Vec::new(),
            origin: Vec::new(),
            refused_tags: 0,
            buffer: Vec::new(),
            ending: Vec::new(),
        };
        if encoder.grammar.is_dogstatsd() {
            globals.origin.write_fields(format.protocol, &mut encoder.origin);
        }
        encoder.prefix = clean::name(globals.prefix.trim_end_matches('.'));
        if !encoder.prefix.is_empty() {
            encoder.prefix.push('.');
        }
        encoder.own_prefix_len = encoder.prefix.len();
        encoder.globals =
            encoder.clean_tags(globals.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        encoder.rename(globals.task_id);
        encoder
    }

    /// Puts a task id in the place of the one that there was. The one place where it is added.
    pub(crate) fn rename(&mut self, task_id: &str) {
        self.prefix.truncate(self.own_prefix_len);
        if self.format.task_id_in_names {
            self.prefix.push_str("task_");
            self.prefix.push_str(task_id);
            self.prefix.push('.');
        }
        task_id.clone_into(&mut self.task_id);
        self.globals.retain(|(key, _)| *key != self.task_id_key);
        self.globals.push((self.task_id_key.clone(), task_id.to_owned()));
    }

    pub(crate) fn weights(&self) -> Weights {
        self.format.weights.unwrap_or_else(|| self.grammar.weights())
    }

    /// Whether values that were seen equally often can share a line.
    pub(crate) fn packs_values(&self) -> bool {
        self.grammar.is_dogstatsd() && self.format.protocol.packs_values()
    }

    /// Whether a value can carry the time at which it was taken.
    pub(crate) fn has_timestamps(&self) -> bool {
        self.grammar.is_dogstatsd() && self.format.protocol.has_timestamps()
    }

    /// Whether a value of a distribution can be told to the dialect's servers.
    pub(crate) fn takes(&self, value: f64) -> bool {
        // Every kind of value has a gauge.
        value >= 0.0 || self.grammar.takes_negative_values() || self.weights() == Weights::Summaries
    }

    /// What stands around the numbers of a context, whose metric's name is followed by `suffix`.
    pub(crate) fn line(&mut self, name: &str, suffix: &str, tags: &Tags, kind: Kind) -> Line {
        let name = self.full_name(name, suffix);
        self.line_of(name, tags, kind)
    }

    /// Another line of the same context, with another suffix.
    pub(crate) fn sibling(&self, line: &Line, name: &str, suffix: &str, kind: Kind) -> Line {
        let name = self.full_name(name, suffix);
        let name_len = name.len();
        let mut head = name.into_bytes();
        head.extend(line.head.iter().skip(line.name_len));
        Line { head, name_len, tail: line.tail.clone(), code: self.code(kind) }
    }

    /// The same for the client's own telemetry, whose names nobody prefixes or cleans.
    pub(crate) fn telemetry_line(&mut self, name: &str, tags: &Tags) -> Line {
        self.line_of(format!("{}{name}", self.grammar.telemetry_prefix()), tags, Kind::Counter)
    }

    /// A gauge of the client's own, in all dialects under the same name.
    pub(crate) fn own_gauge_line(&mut self, name: &str, tags: &Tags) -> Line {
        self.line_of(format!("tasktag.{name}"), tags, Kind::Gauge)
    }

    fn full_name(&self, name: &str, suffix: &str) -> String {
        let mut full = self.prefix.clone();
        full.push_str(&clean::name(name));
        clean::start_with_letter(&mut full);
        full.truncate(MAX_NAME - suffix.len());
        full.push_str(suffix);
        full
    }

    fn line_of(&mut self, name: String, tags: &Tags, kind: Kind) -> Line {
        let own = self.clean_tags(tags.iter());
        let all = self.with_globals(&own);
        let name_len = name.len();
        let (mut head, mut tail) = (name.into_bytes(), Vec::new());
        self.grammar.tags_in_name(&all, &mut head);
        head.push(b':');
        self.grammar.tags_at_end(&all, &mut tail);
        tail.extend_from_slice(&self.origin);
        Line { head, name_len, tail, code: self.code(kind) }
    }

    fn code(&self, kind: Kind) -> &'static [u8] {
        let is_spread = matches!(kind, Kind::Distribution | Kind::Histogram);
        if is_spread && !self.grammar.is_dogstatsd() && self.format.distributions_as == Kind::Histogram {
            b"|h"
        } else {
            self.grammar.code(kind)
        }
    }

    fn clean_tags<'a>(&mut self, tags: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
        let mut cleaned: Vec<(String, String)> = Vec::new();
        for (key, value) in tags {
            let mut key = self.grammar.tag_key(key);
            let is_reserved = clean::becomes(&key, &self.task_id_key);
            if is_reserved {
                // Somebody else's, who means another task by it: it stays apart from the others under another key.
                key = self.grammar.tag_key(&format!("{}_", self.task_id_key));
            }
            if key.is_empty() || is_reserved && value == self.task_id {
                self.refused_tags += 1;
            } else {
                let mut value = self.grammar.tag_value(value);
                clean::fit(&key, &mut value);
                let pair = (key, value);
                if !cleaned.contains(&pair) {
                    cleaned.push(pair);
                }
            }
        }
        cleaned
    }

    /// A context's own tags, then the global ones whose key is not among them.
    fn with_globals<'a>(&'a self, own: &'a [(String, String)]) -> Vec<(&'a str, &'a str)> {
        let inherited = self.globals.iter().filter(|(global, _)| !own.iter().any(|(key, _)| key == global));
        own.iter().chain(inherited).map(|(key, value)| (key.as_str(), value.as_str())).collect()
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
            self.push(line, |out| out.push(b'0'));
        }
        self.push(line, |out| number::float(value, out));
        Lines { bytes: &self.buffer, count: 1 + u64::from(by_difference) }
    }

    /// A counter's difference, of less than 2^64 in size.
    pub(crate) fn count(&mut self, line: &Line, n: impl Into<i128>) -> Lines<'_> {
        let n = n.into();
        self.buffer.clear();
        self.push(line, |out| {
            if n < 0 {
                out.push(b'-');
            }
            number::integer(u64::try_from(n.unsigned_abs()).unwrap_or(u64::MAX), out);
        });
        Lines { bytes: &self.buffer, count: 1 }
    }

    /// A gauge's level at a time, in seconds since 1970.
    pub(crate) fn gauge_at(&mut self, line: &Line, value: f64, seconds: u64) -> Lines<'_> {
        self.push_at(line, |out| number::float(value, out), seconds)
    }

    /// A counter's difference at a time, in seconds since 1970.
    pub(crate) fn count_at(&mut self, line: &Line, n: u64, seconds: u64) -> Lines<'_> {
        self.push_at(line, |out| number::integer(n, out), seconds)
    }

    /// As many of `values`, each seen `weight` times, as a line of `room` bytes holds, but at least one; and how many
    /// that were.
    pub(crate) fn values(
        &mut self,
        line: &Line,
        values: &[f64],
        weight: u64,
        room: usize,
    ) -> (Lines<'_>, usize) {
        self.ending.clear();
        self.ending.extend_from_slice(line.code);
        if weight > 1 {
            self.ending.extend_from_slice(b"|@");
            number::float(number::rate(weight), &mut self.ending);
        }
        self.ending.extend_from_slice(&line.tail);
        self.ending.push(b'\n');
        let most = if self.packs_values() { values.len() } else { 1 };
        let out = &mut self.buffer;
        out.clear();
        out.extend_from_slice(&line.head);
        let mut taken = 0;
        for value in values.iter().take(most) {
            let end = out.len();
            if taken > 0 {
                out.push(b':');
            }
            number::float(*value, out);
            if taken > 0 && out.len() + self.ending.len() > room {
                out.truncate(end);
                break;
            }
            taken += 1;
        }
        out.extend_from_slice(&self.ending);
        (Lines { bytes: &self.buffer, count: 1 }, taken)
    }

    /// A set's member, or `None` for the empty one.
    pub(crate) fn member(&mut self, line: &Line, member: &Member) -> Option<Lines<'_>> {
        let member = self.grammar.member(member.as_str());
        if member.is_empty() {
            return None;
        }
        self.buffer.clear();
        self.push(line, |out| out.extend_from_slice(member.as_bytes()));
        Some(Lines { bytes: &self.buffer, count: 1 })
    }

    fn push(&mut self, line: &Line, value: impl FnOnce(&mut Vec<u8>)) {
        let out = &mut self.buffer;
        out.extend_from_slice(&line.head);
        value(out);
        out.extend_from_slice(line.code);
        out.extend_from_slice(&line.tail);
        out.push(b'\n');
    }

    fn push_at(&mut self, line: &Line, value: impl FnOnce(&mut Vec<u8>), seconds: u64) -> Lines<'_> {
        self.buffer.clear();
        self.push(line, value);
        self.buffer.pop();
        self.buffer.extend_from_slice(b"|T");
        number::integer(seconds, &mut self.buffer);
        self.buffer.push(b'\n');
        Lines { bytes: &self.buffer, count: 1 }
    }

    /// An event, or why it has no line.
    pub(crate) fn event(&mut self, event: &Event) -> Result<Lines<'_>, Unencodable> {
        let fields = self.render_fields(&event.tags);
        self.buffer.clear();
        self.grammar.event(event, &fields, &mut self.buffer)?;
        Ok(Lines { bytes: &self.buffer, count: 1 })
    }

    /// A service check, or why it has no line.
    pub(crate) fn service_check(&mut self, check: &ServiceCheck) -> Result<Lines<'_>, Unencodable> {
        let fields = self.render_fields(&check.tags);
        self.buffer.clear();
        self.grammar.service_check(check, &fields, &mut self.buffer)?;
        Ok(Lines { bytes: &self.buffer, count: 1 })
    }

    fn render_fields(&mut self, tags: &[(String, String)]) -> Vec<u8> {
        let own = self.clean_tags(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let mut out = Vec::new();
        self.grammar.tags_at_end(&self.with_globals(&own), &mut out);
        out.extend_from_slice(&self.origin);
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
