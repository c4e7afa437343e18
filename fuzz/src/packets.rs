//! The parser of packets: it takes any bytes, and what it takes for a packet has nothing in it that it does not tell.

use super::line::number;
use std::borrow::Cow;
use tasktag::testing::{Parsed, ParsedEvent, ParsedMetric, ParsedOrigin, ParsedServiceCheck, Value, parse};

pub(crate) fn check(bytes: &[u8]) {
    let parsed = match parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "an error is a line: {error}");
            return;
        }
    };
    let text = std::str::from_utf8(bytes).expect("a packet is UTF-8");
    assert!(!text.contains('\r'), "{text:?}");
    let mut parsed = parsed.into_iter().peekable();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        match parsed.next().unwrap_or_else(|| panic!("nothing is told of {line:?}")) {
            Parsed::Metric(first) => {
                let (_, rest) = line.split_once(':').expect("it has a name");
                let (values, _) = rest.split_once('|').expect("it has a kind");
                let more = if first.code == "s" { 0 } else { values.matches(':').count() };
                let others = (0..more).map(|_| match parsed.next() {
                    Some(Parsed::Metric(metric)) => metric,
                    other => panic!("{other:?} of {line:?}"),
                });
                let all: Vec<_> = std::iter::once(first).chain(others).collect();
                metric(line, values, &all);
            }
            Parsed::Event(found) => event(line, &found),
            Parsed::ServiceCheck(found) => service_check(line, &found),
            other => panic!("what is {other:?}"),
        }
    }
    assert_eq!(parsed.next(), None, "more is told than there is: {text:?}");
}

fn metric(line: &str, values: &str, all: &[ParsedMetric]) {
    let [first, ..] = all else { panic!("no value: {line:?}") };
    let values: Vec<&str> = if first.code == "s" { vec![values] } else { values.split(':').collect() };
    assert_eq!(values.len(), all.len(), "{line:?}");
    for (metric, value) in all.iter().zip(values) {
        match &metric.value {
            Value::Number(found) => assert!(*found == number(value), "{line:?}"),
            Value::Member(found) => assert_eq!((found.as_str(), metric.code.as_str()), (value, "s")),
            other => panic!("neither a number nor a member: {other:?}"),
        }
        let mut same = metric.clone();
        same.value.clone_from(&first.value);
        assert_eq!(&same, first, "{line:?}");
    }
    let known = ["g", "c", "d", "h", "ms", "s"].contains(&first.code.as_str());
    assert!(known && first.rate > 0.0 && first.rate <= 1.0 && first.count() >= 1, "{line:?}");
    let fields = line.strip_prefix(&format!("{}:", first.name)).expect("it begins with its name");
    let mut told = Fields::new(fields, 2);
    assert_eq!(fields.split('|').nth(1), Some(first.code.as_str()));
    told.take("@", |text| number(text) == first.rate);
    told.take("T", |text| first.timestamp.is_some_and(|seconds| is_written(text, seconds)));
    told.tags(&first.tags);
    told.origin(&first.origin);
    told.end();
}

fn event(line: &str, found: &ParsedEvent) {
    let rest = line.strip_prefix("_e{").expect("an event");
    let (lengths, rest) = rest.split_once("}:").expect("its lengths");
    let (title, text) = lengths.split_once(',').expect("two of them");
    let [title, text] = [title, text].map(|length| length.parse::<usize>().expect("a length"));
    assert_eq!(lengths.replace(|c: char| c.is_ascii_digit(), ""), ",", "{line:?}");
    assert_eq!(rest[..title].replace("\\n", "\n"), found.title);
    assert_eq!(&rest[title..=title], "|");
    assert_eq!(rest[title + 1..][..text].replace("\\n", "\n"), found.text);
    assert!(!found.title.is_empty());
    let mut told = Fields::new(&rest[title + 1 + text..], 1);
    told.take("d:", |text| found.timestamp.is_some_and(|seconds| is_written(text, seconds)));
    told.text("h:", found.hostname.as_deref());
    told.text("k:", found.aggregation_key.as_deref());
    told.text("p:", found.priority.as_deref());
    told.text("s:", found.source_type.as_deref());
    told.text("t:", found.alert_type.as_deref());
    told.tags(&found.tags);
    told.origin(&found.origin);
    told.end();
    assert!(found.priority.as_deref().is_none_or(|text| ["normal", "low"].contains(&text)), "{line:?}");
    let types = ["error", "warning", "info", "success"];
    assert!(found.alert_type.as_deref().is_none_or(|text| types.contains(&text)), "{line:?}");
}

fn service_check(line: &str, found: &ParsedServiceCheck) {
    assert!(!found.name.is_empty() && found.status <= 3, "{line:?}");
    let head = format!("_sc|{}|{}", found.name, found.status);
    let rest = line.strip_prefix(&head).unwrap_or_else(|| panic!("{line:?} begins with {head:?}"));
    let mut told = Fields::new(rest, 1);
    told.take("d:", |text| found.timestamp.is_some_and(|seconds| is_written(text, seconds)));
    told.text("h:", found.hostname.as_deref());
    told.tags(&found.tags);
    told.origin(&found.origin);
    told.take("m:", |text| {
        let unescaped = text.replace("m\\:", "m:").replace("\\n", "\n");
        !text.contains("m:") && found.message.as_ref() == Some(&unescaped)
    });
    told.end();
    let is_last =
        found.message.is_none() || rest.rsplit('|').next().is_some_and(|last| last.starts_with("m:"));
    assert!(is_last, "{line:?}");
}

fn is_written(text: &str, seconds: u64) -> bool {
    let digits = text.trim_start_matches('0');
    let digits = if digits.is_empty() { Cow::from("0") } else { digits.into() };
    !text.is_empty() && digits == seconds.to_string()
}

/// The fields of a line, of which each is told once.
struct Fields<'a>(Vec<&'a str>);

impl<'a> Fields<'a> {
    fn new(text: &'a str, skipped: usize) -> Self {
        Self(text.split('|').skip(skipped).collect())
    }

    /// Takes out the field that begins with the mark, and sees that it reads as what was told.
    fn take(&mut self, mark: &str, is_told: impl Fn(&str) -> bool) -> bool {
        let Some(place) = self.0.iter().position(|field| field.starts_with(mark)) else { return false };
        let field = self.0.remove(place);
        assert!(is_told(&field[mark.len()..]), "{field:?} was told as something else");
        true
    }

    fn text(&mut self, mark: &str, told: Option<&str>) {
        let found = self.take(mark, |text| told == Some(text));
        assert_eq!(found, told.is_some(), "{mark} is {told:?}");
    }

    fn tags(&mut self, told: &[(String, String)]) {
        let found = self.take("#", |text| {
            let read = text.split(',').map(|tag| tag.split_once(':').unwrap_or((tag, "")));
            read.eq(told.iter().map(|(key, value)| (key.as_str(), value.as_str())))
                && told.iter().all(|(key, _)| !key.is_empty())
        });
        assert_eq!(found, !told.is_empty(), "{told:?}");
    }

    fn origin(&mut self, told: &ParsedOrigin) {
        for (mark, field) in
            [("c:", &told.container_id), ("e:", &told.external_data), ("card:", &told.cardinality)]
        {
            self.text(mark, field.as_deref());
            assert!(field.as_ref().is_none_or(|field| !field.is_empty()), "{mark} is empty");
        }
    }

    fn end(self) {
        assert!(self.0.is_empty(), "fields that nothing is told of: {:?}", self.0);
    }
}
