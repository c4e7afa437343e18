//! One line of a metric, read as the dialect's servers read it, and more strictly.

use super::input::Pairs;
use tasktag::Dialect;
use tasktag::testing::{Parsed, Value, parse};

/// The parts of a line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) tags: Pairs,
    /// One, or several in DogStatsD.
    pub(crate) values: Vec<String>,
    pub(crate) code: String,
    pub(crate) rate: Option<f64>,
    pub(crate) seconds: Option<u64>,
}

/// Reads all lines of the packets.
pub(crate) fn read(dialect: Dialect, packets: &[Vec<u8>]) -> Vec<Line> {
    let mut lines = Vec::new();
    for packet in packets {
        let text = std::str::from_utf8(packet).expect("a packet is UTF-8");
        let text = text.strip_suffix('\n').expect("a packet ends with a line's end");
        assert!(!text.contains('\r'), "{text:?}");
        for line in text.split('\n') {
            let read = Line::read(dialect, line);
            read.agrees_with_testing(dialect, line);
            lines.push(read);
        }
    }
    lines
}

impl Line {
    fn read(dialect: Dialect, line: &str) -> Self {
        let (head, rest) = line.split_once(':').expect("a name ends");
        let (name, mut tags) = read_head(dialect, head);
        assert!(name.len() <= 200 && name.starts_with(|c: char| c.is_ascii_alphabetic()), "{line:?}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)), "{line:?}");
        let fields: Vec<&str> = rest.split('|').collect();
        let [value, code, fields @ ..] = &fields[..] else { panic!("no kind: {line:?}") };
        let (mut rate, mut seconds) = (None, None);
        for (place, field) in fields.iter().enumerate() {
            let (mark, text) = field.split_at_checked(1).unwrap_or_else(|| panic!("what field: {line:?}"));
            match mark {
                // Each at its place.
                "@" if place == 0 => rate = Some(number(text)),
                "#" if tags.is_empty() && seconds.is_none() && has_tags_at_end(dialect) => {
                    tags = text.split(',').map(|tag| read_tag(tag, ':')).collect();
                }
                "T" if dialect == Dialect::DogStatsd && seconds.is_none() => seconds = text.parse().ok(),
                _ => panic!("a forged field: {line:?}"),
            }
        }
        let is_one = *code == "s" || dialect != Dialect::DogStatsd;
        let values = if is_one { vec![*value] } else { value.split(':').collect() };
        assert!(values.iter().all(|value| !value.is_empty()), "{line:?}");
        assert!(dialect == Dialect::DogStatsd || !value.contains(':'), "{line:?}");
        let values = values.into_iter().map(str::to_owned).collect();
        Self { name, tags, values, code: (*code).to_owned(), rate, seconds }
    }

    /// The parser that tests use reads the same, where it knows the dialect.
    fn agrees_with_testing(&self, dialect: Dialect, line: &str) {
        if !has_tags_at_end(dialect) && dialect != Dialect::Statsd {
            return;
        }
        let parsed = parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parsed.len(), self.values.len(), "{line:?}");
        for (parsed, value) in parsed.iter().zip(&self.values) {
            let Parsed::Metric(metric) = parsed else { panic!("not a metric: {line:?}") };
            assert_eq!((&metric.name, &metric.code, &metric.tags), (&self.name, &self.code, &self.tags));
            assert!((metric.rate, metric.timestamp) == (self.rate.unwrap_or(1.0), self.seconds), "{line:?}");
            match &metric.value {
                Value::Number(found) => assert!(*found == number(value), "{line:?}"),
                Value::Member(found) => assert_eq!(found, value),
                other => panic!("neither a number nor a member: {other:?}"),
            }
        }
    }
}

fn has_tags_at_end(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::DogStatsd | Dialect::TaggedStatsd)
}

/// The name and the tags that stand in it.
fn read_head(dialect: Dialect, head: &str) -> (String, Pairs) {
    let (first, next) = match dialect {
        Dialect::Graphite => (';', ';'),
        Dialect::Influx => (',', ','),
        Dialect::Librato => ('#', ','),
        Dialect::SignalFx => ('[', ','),
        _ => return (head.to_owned(), Pairs::new()),
    };
    let (name, tags) = head.split_once(first).expect("there is always the task id");
    let tags =
        if dialect == Dialect::SignalFx { tags.strip_suffix(']').expect("it is closed") } else { tags };
    let tags: Pairs = tags.split(next).map(|tag| read_tag(tag, '=')).collect();
    for (key, value) in &tags {
        let is_clean = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        assert!(!value.is_empty() && key.chars().chain(value.chars()).all(is_clean), "{head:?}");
    }
    (name.to_owned(), tags)
}

pub(crate) fn read_tag(tag: &str, mark: char) -> (String, String) {
    let (key, value) = tag.split_once(mark).unwrap_or((tag, ""));
    assert!(!key.is_empty() && (!value.is_empty() || !tag.contains(mark)), "{tag:?}");
    (key.to_owned(), value.to_owned())
}

/// Digits, a point between them, perhaps a `-`.
pub(crate) fn number(text: &str) -> f64 {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    assert!(are_digits(whole) && are_digits(part), "no number: {text:?}");
    let number: f64 = text.parse().expect("digits are a number");
    assert!(number.is_finite(), "no finite number: {text:?}");
    number
}
