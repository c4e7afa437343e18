//! Turns values into lines. Pure: this module knows no socket, clock or thread.

pub(crate) mod clean;
mod dialect;
mod dogstatsd;
mod embedded;
mod ending;
mod grammar;
mod group;
mod line;
mod number;
mod sent_as;
mod serverless;
mod spelling;
mod statsd;
mod summary;
mod tags;
mod weights;

pub use self::dialect::Dialect;
pub use self::weights::Weights;

pub(crate) use self::grammar::Grammar;
pub(crate) use self::group::{Group, groups};
pub(crate) use self::line::Line;
pub(crate) use self::number::split_counts;
pub(crate) use self::sent_as::SentAs;
pub(crate) use self::spelling::{Spelled, Spelling};
pub(crate) use self::summary::{SUFFIXES, summary};
pub(crate) use self::tags::OwnTags;

use self::clean::MAX_NAME;
use self::ending::Endings;
use crate::task_id::TaskIdOn;
use crate::vocabulary::event::{Cuts, Event, ServiceCheck};
use crate::vocabulary::kind::Kind;
use crate::vocabulary::member::Member;
use crate::vocabulary::protocol::Protocol;
use crate::vocabulary::tag::Tags;
use crate::wire::origin::Origin;

/// The format of values for one agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) dialect: Dialect,
    pub(crate) protocol: Protocol,
    /// Overrides the dialect's default.
    pub(crate) weights: Option<Weights>,
    pub(crate) sent_as: SentAs,
    /// Whether negative values of distributions are sent; overrides the dialect's default.
    pub(crate) negative_values: Option<bool>,
    pub(crate) task_id_in_names: bool,
}

/// The text that every line has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Globals<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) tags: &'a [(String, String)],
    pub(crate) task_id_key: &'a str,
    pub(crate) task_id: &'a str,
    pub(crate) task_id_on: TaskIdOn,
    pub(crate) origin: &'a Origin,
}

/// Turns values into the lines of one dialect.
#[derive(Debug)]
pub(crate) struct Encoder {
    grammar: &'static dyn Grammar,
    format: Format,
    prefix: String,
    // The length of the prefix before the task id.
    own_prefix_len: usize,
    task_id_key: String,
    task_id: String,
    // Cleaned, in the order in which they are written, the task id last.
    globals: Vec<(String, String)>,
    task_id_on: TaskIdOn,
    // `|c:ci-5a3f`
    origin: Vec<u8>,
    endings: Endings,
    // The number of tags left out so far because of an empty or a reserved key.
    refused_tags: u64,
    // The number of events and service checks so far whose text was cut.
    truncated_texts: u64,
    buffer: Vec<u8>,
    // The text after the numbers of the current line.
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
            task_id_on: globals.task_id_on,
            origin: Vec::new(),
            endings: Endings::default(),
            refused_tags: 0,
            truncated_texts: 0,
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
        (encoder.globals, encoder.refused_tags) =
            encoder.clean_tags(globals.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        encoder.rename(globals.task_id);
        encoder
    }

    /// Replaces the task id. This is the only place where it is added.
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
        self.endings =
            Endings { without_task_id: self.common_ending(false), with_task_id: self.common_ending(true) };
    }

    /// The text that follows tags which have other keys than the global ones.
    fn common_ending(&self, with_task_id: bool) -> Vec<u8> {
        let (mut own, mut all) = (Vec::new(), Vec::new());
        let tag = (String::new(), String::new());
        self.grammar.tags_at_end(&[(&tag.0, &tag.1)], &mut own);
        self.grammar.tags_at_end(&self.with_globals(&[tag], with_task_id), &mut all);
        all.extend_from_slice(&self.origin);
        all.split_off(own.len())
    }

    pub(crate) fn weights(&self) -> Weights {
        self.format.weights.unwrap_or_else(|| self.grammar.weights())
    }

    /// Whether values with equal counts can share a line.
    pub(crate) fn packs_values(&self) -> bool {
        self.grammar.is_dogstatsd() && self.format.protocol.packs_values()
    }

    /// Whether a value can carry an explicit timestamp.
    pub(crate) fn has_timestamps(&self) -> bool {
        self.grammar.has_timestamps() && self.format.protocol.has_timestamps()
    }

    /// Whether a distribution's value can be sent to the dialect's servers.
    pub(crate) fn takes(&self, value: f64) -> bool {
        let below_0 = || self.format.negative_values.unwrap_or_else(|| self.grammar.takes_negative_values());
        // Summaries are gauges.
        value >= 0.0 || below_0() || self.weights() == Weights::Summaries
    }

    /// Whether the server reads a line's values as milliseconds, whatever the metric's name. Datadog displays them
    /// unchanged.
    pub(crate) fn writes_milliseconds(&self, line: &Line) -> bool {
        line.code() == sent_as::MILLISECONDS
            && !self.grammar.is_dogstatsd()
            && self.weights() != Weights::Summaries
    }

    /// The text around the numbers of a context's line; `suffix` follows the metric's name. The line's own kind decides
    /// whether the line carries the task id.
    pub(crate) fn line(&self, name: &str, suffix: &str, own: &OwnTags, kind: Kind) -> Line {
        let with_task_id = self.carries_task_id(kind, own.without_task_id);
        self.line_of(self.full_name(name, suffix, with_task_id), &own.pairs, with_task_id, kind)
    }

    /// Whether a line of a kind carries the task id.
    fn carries_task_id(&self, kind: Kind, without_task_id: bool) -> bool {
        !without_task_id && self.task_id_on.includes(kind)
    }

    /// The same for the client's own telemetry, whose names are neither prefixed nor cleaned.
    pub(crate) fn telemetry_line(&mut self, name: &str, tags: &Tags) -> Line {
        let own = self.counted_tags(tags.iter());
        self.line_of(format!("{}{name}", self.grammar.telemetry_prefix()), &own, true, Kind::Counter)
    }

    /// A gauge of the client's own, with the same name in all dialects.
    pub(crate) fn own_gauge_line(&mut self, name: &str, tags: &Tags) -> Line {
        let own = self.counted_tags(tags.iter());
        self.line_of(format!("tasktag.{name}"), &own, true, Kind::Gauge)
    }

    fn full_name(&self, name: &str, suffix: &str, with_task_id: bool) -> String {
        let mut full = self.prefix.clone();
        if !with_task_id {
            full.truncate(self.own_prefix_len);
        }
        full.push_str(&clean::name(name));
        clean::start_with_letter(&mut full);
        full.truncate(MAX_NAME - suffix.len());
        full.push_str(suffix);
        full
    }

    fn line_of(&self, name: String, own: &[(String, String)], with_task_id: bool, kind: Kind) -> Line {
        let all = self.with_globals(own, with_task_id);
        let (mut head, mut tail) = (name.into_bytes(), Vec::new());
        self.grammar.tags_in_name(&all, &mut head);
        head.push(b':');
        self.grammar.tags_at_end(&all, &mut tail);
        tail.extend_from_slice(&self.origin);
        Line::new(&head, self.format.sent_as.code(kind), self.endings.split(&tail, with_task_id))
    }

    /// The approximate length of a line without its numbers.
    pub(crate) fn frame_bytes(&self, line: &Line) -> usize {
        let ending = self.endings.get(line.ending);
        line.head().len() + line.tail().len() + ending.len() + "|d|@0.0625\n".len()
    }

    pub(crate) fn take_refused_tags(&mut self) -> u64 {
        std::mem::take(&mut self.refused_tags)
    }

    pub(crate) fn take_truncated_texts(&mut self) -> u64 {
        std::mem::take(&mut self.truncated_texts)
    }

    /// A gauge's level.
    pub(crate) fn gauge(&mut self, line: &Line, value: f64) -> Lines<'_> {
        self.buffer.clear();
        // In these dialects `-5` means "subtract 5", so the gauge is set to 0 first, in the same packet.
        let by_difference = value < 0.0 && self.grammar.signed_gauges_are_differences();
        if by_difference {
            self.push(line, |out| out.push(b'0'));
        }
        self.push(line, |out| number::float(value, out));
        Lines { bytes: &self.buffer, count: 1 + u64::from(by_difference) }
    }

    /// A counter's difference, whose absolute value is below 2^64.
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

    /// A gauge's level with a timestamp, in seconds since 1970.
    pub(crate) fn gauge_at(&mut self, line: &Line, value: f64, seconds: u64) -> Lines<'_> {
        self.push_at(line, |out| number::float(value, out), seconds)
    }

    /// A counter's difference with a timestamp, in seconds since 1970.
    pub(crate) fn count_at(&mut self, line: &Line, n: u64, seconds: u64) -> Lines<'_> {
        self.push_at(line, |out| number::integer(n, out), seconds)
    }

    /// Writes as many of `values`, each seen `weight` times, as a line of `room` bytes holds, but at least one. Returns
    /// how many were written.
    pub(crate) fn values(
        &mut self,
        line: &Line,
        values: &[f64],
        weight: u64,
        room: usize,
    ) -> (Lines<'_>, usize) {
        self.ending.clear();
        self.ending.extend_from_slice(line.code());
        if weight > 1 {
            self.ending.extend_from_slice(b"|@");
            number::float(number::rate(weight), &mut self.ending);
        }
        self.ending.extend_from_slice(line.tail());
        self.ending.extend_from_slice(self.endings.get(line.ending));
        self.ending.push(b'\n');
        let most = if self.packs_values() { values.len() } else { 1 };
        let out = &mut self.buffer;
        out.clear();
        out.extend_from_slice(line.head());
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

    /// A set's member, or the reason why it has no line.
    pub(crate) fn member(&mut self, line: &Line, member: &Member) -> Result<Lines<'_>, Unencodable> {
        if !self.grammar.has_sets() {
            return Err(Unencodable::Unsupported);
        }
        let member = self.grammar.member(member.as_str());
        if member.is_empty() {
            return Err(Unencodable::Empty);
        }
        self.buffer.clear();
        self.push(line, |out| out.extend_from_slice(member.as_bytes()));
        Ok(Lines { bytes: &self.buffer, count: 1 })
    }

    fn push(&mut self, line: &Line, value: impl FnOnce(&mut Vec<u8>)) {
        let out = &mut self.buffer;
        out.extend_from_slice(line.head());
        value(out);
        out.extend_from_slice(line.code_and_tail());
        out.extend_from_slice(self.endings.get(line.ending));
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

    /// An event, cut to `room` bytes if its texts allow, or the reason why it has no line.
    pub(crate) fn event(&mut self, event: &Event, room: usize) -> Result<Lines<'_>, Unencodable> {
        let fields = self.render_fields(&event.tags);
        self.buffer.clear();
        let is_cut = self.grammar.event(event, &fields, room, &mut self.buffer)?;
        Ok(self.said(event.cuts, is_cut))
    }

    /// A service check, cut to `room` bytes if its message allows, or the reason why it has no line.
    pub(crate) fn service_check(
        &mut self,
        check: &ServiceCheck,
        room: usize,
    ) -> Result<Lines<'_>, Unencodable> {
        let fields = self.render_fields(&check.tags);
        self.buffer.clear();
        let is_cut = self.grammar.service_check(check, &fields, room, &mut self.buffer)?;
        Ok(self.said(check.cuts, is_cut))
    }

    /// The line of an event or a service check. Counts what was cut from it, here or before.
    fn said(&mut self, before: Cuts, is_cut: bool) -> Lines<'_> {
        self.refused_tags += before.tags;
        self.truncated_texts += u64::from(before.text || is_cut);
        Lines { bytes: &self.buffer, count: 1 }
    }

    fn render_fields(&mut self, tags: &[(String, String)]) -> Vec<u8> {
        let own = self.counted_tags(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let mut out = Vec::new();
        self.grammar.tags_at_end(&self.with_globals(&own, true), &mut out);
        out.extend_from_slice(&self.origin);
        out
    }
}

/// Why an event, a service check or a set's member has no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unencodable {
    /// It has no title or no name, or is the empty member.
    Empty,
    /// The dialect does not support it.
    Unsupported,
}
