//! A parser of packets that is stricter than any server.

use std::fmt;
use std::str::FromStr;

/// One line of a packet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Parsed {
    /// A metric.
    Metric(ParsedMetric),
    /// An event.
    Event(ParsedEvent),
    /// A service check.
    ServiceCheck(ParsedServiceCheck),
}

/// The origin of a line, as far as the line has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParsedOrigin {
    /// The container id, `c:`.
    pub container_id: Option<String>,
    /// External data, `e:`.
    pub external_data: Option<String>,
    /// The tags' cardinality, `card:`.
    pub cardinality: Option<String>,
}

impl ParsedOrigin {
    /// Reads a field if it is one of these.
    fn read(&mut self, field: &str) -> Result<bool, Reason> {
        let fields = [
            ("c:", &mut self.container_id),
            ("e:", &mut self.external_data),
            ("card:", &mut self.cardinality),
        ];
        for (mark, place) in fields {
            if let Some(text) = field.strip_prefix(mark) {
                if text.is_empty() {
                    return Err("an origin is not empty");
                }
                once(place, text.to_owned())?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A metric's value. A line with several values is read as several of these.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParsedMetric {
    /// The name, with the prefix.
    pub name: String,
    /// The value that was reported.
    pub value: Value,
    /// The type on the wire: `g`, `c`, `d`, `h`, `ms` or `s`.
    pub code: String,
    /// The sample rate, or 1 if the line has none.
    pub rate: f64,
    /// The tags in their order. A tag without a value has an empty one.
    pub tags: Vec<(String, String)>,
    /// Seconds since 1970, if given.
    pub timestamp: Option<u64>,
    /// The origin.
    pub origin: ParsedOrigin,
}

/// The value of a metric's line.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// The number of any kind except a set.
    Number(f64),
    /// The member of a set.
    Member(String),
}

impl Value {
    /// Returns the number, if the value is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

impl ParsedMetric {
    /// Returns the value of a tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    /// Returns how often the value was seen, as counted by an agent that truncates `1 / rate`.
    #[must_use]
    pub fn count(&self) -> u64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is in 0..=1")]
        let count = (1.0 / self.rate) as u64;
        count
    }
}

/// The line of an event. Line breaks are unescaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParsedEvent {
    /// The title.
    pub title: String,
    /// The text.
    pub text: String,
    /// Seconds since 1970, if given.
    pub timestamp: Option<u64>,
    /// The host, if given.
    pub hostname: Option<String>,
    /// The aggregation key, if given.
    pub aggregation_key: Option<String>,
    /// `normal` or `low`, if given.
    pub priority: Option<String>,
    /// The source type, if given.
    pub source_type: Option<String>,
    /// `error`, `warning`, `info` or `success`, if given.
    pub alert_type: Option<String>,
    /// The tags in their order. A tag without a value has an empty one.
    pub tags: Vec<(String, String)>,
    /// The origin.
    pub origin: ParsedOrigin,
}

/// The line of a service check. Line breaks are unescaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParsedServiceCheck {
    /// The name.
    pub name: String,
    /// The status: 0 is ok, 1 warning, 2 critical, 3 unknown.
    pub status: u8,
    /// Seconds since 1970, if given.
    pub timestamp: Option<u64>,
    /// The host, if given.
    pub hostname: Option<String>,
    /// The message, if given.
    pub message: Option<String>,
    /// The tags in their order. A tag without a value has an empty one.
    pub tags: Vec<(String, String)>,
    /// The origin.
    pub origin: ParsedOrigin,
}

/// The error for a line that is not valid DogStatsD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    line: String,
    reason: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.line, self.reason)
    }
}

impl std::error::Error for ParseError {}

type Reason = &'static str;
type Tags = Vec<(String, String)>;

/// Reads a packet of DogStatsD or StatsD lines. Each line ends with a line break, which may be missing after the last
/// one.
///
/// ```
/// use tasktag::testing::{Parsed, Value, parse};
///
/// let lines = parse(b"shop.jobs.done:3|c|#queue:mail,task_id:0042\n")?;
/// let [Parsed::Metric(metric)] = lines.as_slice() else { panic!("one metric") };
/// assert_eq!((metric.name.as_str(), &metric.value), ("shop.jobs.done", &Value::Number(3.0)));
/// # Ok::<(), tasktag::testing::ParseError>(())
/// ```
///
/// # Errors
///
/// Fails if a line is not allowed by the DogStatsD grammar, or if one of its fields is unknown, empty or repeated. Only
/// the texts of an event or a check may be empty: the text, the message, the host and the keys.
pub fn parse(packet: &[u8]) -> Result<Vec<Parsed>, ParseError> {
    let fail = |line: &str, reason| ParseError { line: line.to_owned(), reason };
    let text = std::str::from_utf8(packet)
        .map_err(|_| fail(&String::from_utf8_lossy(packet), "a packet is UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut parsed = Vec::new();
    for line in text.split('\n') {
        parsed.extend(parse_line(line).map_err(|reason| fail(line, reason))?);
    }
    Ok(parsed)
}

fn parse_line(line: &str) -> Result<Vec<Parsed>, Reason> {
    if line.contains('\r') {
        return Err("a carriage return ends a line for some servers");
    }
    if let Some(rest) = line.strip_prefix("_e{") {
        parse_event(rest).map(|event| vec![Parsed::Event(event)])
    } else if let Some(rest) = line.strip_prefix("_sc|") {
        parse_service_check(rest).map(|check| vec![Parsed::ServiceCheck(check)])
    } else {
        parse_metric(line).map(|values| values.into_iter().map(Parsed::Metric).collect())
    }
}

/// Returns the values of a line, which share everything else.
fn parse_metric(line: &str) -> Result<Vec<ParsedMetric>, Reason> {
    let (name, rest) = line.split_once(':').ok_or("a metric has a `:` behind its name")?;
    let mut fields = rest.split('|');
    let value = fields.next().unwrap_or_default();
    let code = fields.next().ok_or("a metric has a type")?;
    if name.is_empty() || name.contains(['|', '#', '@', ',']) || name.starts_with("_sc") {
        return Err("a metric's name is not empty and has no field's mark");
    }
    let values = match code {
        "s" if value.is_empty() => return Err("a set's member is not empty"),
        "s" => vec![Value::Member(value.to_owned())],
        "g" | "c" | "d" | "h" | "ms" => value
            .split(':')
            .map(|number| parse_number(number).map(Value::Number))
            .collect::<Result<_, _>>()?,
        _ => return Err("a type is one of g c d h ms s"),
    };
    let (mut rate, mut tags, mut timestamp) = (None, None, None);
    let mut origin = ParsedOrigin::default();
    for field in fields {
        if let Some(text) = field.strip_prefix('@') {
            once(&mut rate, parse_number(text)?)?;
        } else if let Some(text) = field.strip_prefix('#') {
            once(&mut tags, parse_tags(text)?)?;
        } else if let Some(text) = field.strip_prefix('T') {
            let seconds = parse_seconds(text)?;
            once(&mut timestamp, seconds)?;
            if seconds == 0 {
                return Err("a timestamp is above 0");
            }
        } else if !origin.read(field)? {
            return Err("an unknown field");
        }
    }
    if timestamp.is_some() && (rate.is_some() || !matches!(code, "g" | "c")) {
        return Err("a timestamp stands on gauges and counters without a rate");
    }
    let rate = rate.unwrap_or(1.0);
    if !(rate > 0.0 && rate <= 1.0) {
        return Err("a rate is above 0 and at most 1");
    }
    let first = ParsedMetric {
        name: name.to_owned(),
        value: Value::Number(0.0),
        code: code.to_owned(),
        rate,
        tags: tags.unwrap_or_default(),
        timestamp,
        origin,
    };
    Ok(values.into_iter().map(|value| ParsedMetric { value, ..first.clone() }).collect())
}

/// Reads a decimal number that every server can read: it has no exponent and no sign except `-`, and is not infinite.
fn parse_number(text: &str) -> Result<f64, Reason> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.') && digits.starts_with(|c| c != '.');
    if !plain || digits.ends_with('.') {
        return Err("a number has digits, a point between them and perhaps a `-`");
    }
    let number: f64 = text.parse().map_err(|_| "a number has one point at most")?;
    if number.is_finite() { Ok(number) } else { Err("a number is finite") }
}

fn parse_tags(text: &str) -> Result<Tags, Reason> {
    text.split(',')
        .map(|tag| {
            let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
            if key.is_empty() { Err("a tag has a key") } else { Ok((key.to_owned(), value.to_owned())) }
        })
        .collect()
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Reason> {
    if place.replace(value).is_some() { Err("a field that is there twice") } else { Ok(()) }
}

fn parse_event(rest: &str) -> Result<ParsedEvent, Reason> {
    const PRIORITIES: [&str; 2] = ["normal", "low"];
    const ALERT_TYPES: [&str; 4] = ["error", "warning", "info", "success"];
    const LENGTHS: Reason = "an event begins with the lengths of its title and text in bytes";
    let (lengths, rest) = rest.split_once("}:").ok_or(LENGTHS)?;
    let (title_len, text_len) = lengths.split_once(',').ok_or(LENGTHS)?;
    let title_len: usize = parse_whole(title_len, LENGTHS)?;
    let text_len: usize = parse_whole(text_len, LENGTHS)?;
    let title = rest.get(..title_len).filter(|title| !title.is_empty()).ok_or(LENGTHS)?;
    let rest = rest.get(title_len..).and_then(|rest| rest.strip_prefix('|')).ok_or(LENGTHS)?;
    let text = rest.get(..text_len).ok_or(LENGTHS)?;
    let fields = rest.get(text_len..).unwrap_or_default();
    let mut event = ParsedEvent { title: unescape(title), text: unescape(text), ..ParsedEvent::default() };
    let mut tags = None;
    for field in fields_of(fields)? {
        let text = field.get(2..).unwrap_or_default();
        let kept = text.to_owned();
        match field.get(..2) {
            Some("d:") => once(&mut event.timestamp, parse_seconds(text)?)?,
            Some("h:") => once(&mut event.hostname, kept)?,
            Some("k:") => once(&mut event.aggregation_key, kept)?,
            Some("p:") if PRIORITIES.contains(&text) => once(&mut event.priority, kept)?,
            Some("s:") => once(&mut event.source_type, kept)?,
            Some("t:") if ALERT_TYPES.contains(&text) => once(&mut event.alert_type, kept)?,
            Some("p:" | "t:") => return Err("no priority or alert type of that name"),
            _ if event.origin.read(field)? => {}
            _ => once(&mut tags, parse_tags(field.strip_prefix('#').ok_or("an unknown field")?)?)?,
        }
    }
    event.tags = tags.unwrap_or_default();
    Ok(event)
}

fn parse_service_check(rest: &str) -> Result<ParsedServiceCheck, Reason> {
    let (name, rest) =
        rest.split_once('|').filter(|(name, _)| !name.is_empty()).ok_or("a check has a name")?;
    let status = rest.get(..1).and_then(|digit| digit.parse().ok()).filter(|status| *status <= 3);
    let status = status.ok_or("a check's status is 0, 1, 2 or 3")?;
    let mut check = ParsedServiceCheck { name: name.to_owned(), status, ..ParsedServiceCheck::default() };
    let mut tags = None;
    for field in fields_of(rest.get(1..).unwrap_or_default())? {
        if check.message.is_some() {
            return Err("a check's message is its last field");
        }
        let text = field.get(2..).unwrap_or_default();
        match field.get(..2) {
            Some("d:") => once(&mut check.timestamp, parse_seconds(text)?)?,
            Some("h:") => once(&mut check.hostname, text.to_owned())?,
            Some("m:") if text.contains("m:") => return Err("an `m:` in a message is escaped"),
            Some("m:") => check.message = Some(unescape(&text.replace("m\\:", "m:"))),
            _ if check.origin.read(field)? => {}
            _ => once(&mut tags, parse_tags(field.strip_prefix('#').ok_or("an unknown field")?)?)?,
        }
    }
    check.tags = tags.unwrap_or_default();
    Ok(check)
}

/// Returns the fields between `|`, in a text that begins with `|` if it is not empty.
fn fields_of(text: &str) -> Result<impl Iterator<Item = &str>, Reason> {
    if text.is_empty() || text.starts_with('|') {
        Ok(text.split('|').skip(1))
    } else {
        Err("a field begins with `|`")
    }
}

fn parse_seconds(text: &str) -> Result<u64, Reason> {
    parse_whole(text, "a time is in whole seconds since 1970")
}

/// Accepts digits only. `from_str` would accept a leading `+`.
fn parse_whole<T: FromStr>(text: &str, reason: Reason) -> Result<T, Reason> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(reason)
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whole_or_not_at_all() {
        for good in [
            "a:1|c",
            "a.b-c:-0.5|g|#k:v,flag,u:http://x:1",
            "a:b:c|s",
            "a:1|d|@0.5|#k:v",
            "a:1:-2:3.5|d|@0.5|#k:v",
            "a:1|g|#k:v|c:ci-5a|e:it-false|card:low|T1700000000",
            "_sc|db|2|#k:v|c:in-7|m:down",
            "_e{1,0}:t|",
            "_e{4,3}:a|b\u{7f}|x|y|d:5|#k:v",
            "_sc|db|2|d:1|h:x|#k:v|m:it is m\\:down",
            "_e{1,1}:t|x|d:5|h:|k:|p:low|s:|t:success|#k:v|c:x",
            "_sc|db|0|h:|m:",
        ] {
            assert!(parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a:1",
            ":1|c",
            "a:|c",
            "a:1|x",
            "a:1|",
            "a:1e5|g",
            "a:NaN|g",
            "a:+1|g",
            "a:.5|g",
            "a:1|c|@0",
            "a:1|c|@2",
            "a:1|c|#",
            "a:1|c|#a,",
            "a:1|c|#a|#b",
            "a:1|c|x:y",
            "a:|s",
            "a:1::2|d",
            "a:1:2:|d",
            "a:1|d|T1700000000",
            "a:1|c|@0.5|T1700000000",
            "a:1|c|T0",
            "a:1|c|T-5",
            "a:1|c|c:",
            "a:1|c|c:a|c:b",
            "_sc|db|4",
            "_sc|db|0|m:a|h:b",
            "_sc||0",
            "_e{0,0}:|",
            "_e{1,1}:t|x|z:1",
            "_e{9,1}:t|x",
            "a:1|c\n\nb:1|c",
            "a:1|c\r",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_finite_and_of_digits() {
        for bad in [
            "a:1.|g",
            "a:1.2.3|g",
            &format!("a:{}|g", "9".repeat(400)),
            "a:1|c|T+5",
            "_e{+1,1}:t|x",
            "_e{1,+1}:t|x",
            "_e{1,1}:t|x|d:+5",
            "_sc|db|0|d:+5",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_field_is_there_once_and_has_a_known_value() {
        for bad in [
            "_e{1,1}:t|x|d:5|d:5",
            "_e{1,1}:t|x|h:a|h:b",
            "_e{1,1}:t|x|k:a|k:b",
            "_e{1,1}:t|x|p:low|p:low",
            "_e{1,1}:t|x|p:high",
            "_e{1,1}:t|x|s:a|s:b",
            "_e{1,1}:t|x|t:info|t:error",
            "_e{1,1}:t|x|t:",
            "_sc|db|0|d:5|d:6",
            "_sc|db|0|h:a|h:b",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_of_several_values_is_read_as_several() {
        let parsed = parse(b"a:1:2|d|@0.5|#k:v").unwrap();
        let expected = [1.0, 2.0].map(|value| (Value::Number(value), 2, Some("v".to_owned())));
        let found: Vec<_> = parsed
            .iter()
            .filter_map(|parsed| if let Parsed::Metric(metric) = parsed { Some(metric) } else { None })
            .map(|metric| (metric.value.clone(), metric.count(), metric.tag("k").map(str::to_owned)))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_rate_is_the_count_that_an_agent_truncates_it_to() {
        let parsed = parse(b"a:1|d|@0.3333333333333333").unwrap();
        assert!(matches!(parsed.as_slice(), [Parsed::Metric(metric)] if metric.count() == 3));
    }
}
