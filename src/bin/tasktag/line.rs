//! A line of StatsD or DogStatsD, read as leniently as servers read it.
//!
//! Grammar: <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>. What a server ignores is ignored here
//! too, such as unknown fields and empty values among several.

mod notice;

pub(crate) use self::notice::Notice;

use tasktag::Kind;

/// Why a line was not understood.
pub(crate) type Reason = &'static str;

/// A tag. One without a value has an empty one.
pub(crate) type Tag<'a> = (&'a str, &'a str);

/// What a line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Line<'a> {
    Metric(Metric<'a>),
    Notice(Notice),
}

/// A metric's line.
#[derive(Debug, PartialEq)]
pub(crate) struct Metric<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) values: Vec<Value<'a>>,
    /// How often each value was seen: 1 divided by the sample rate.
    pub(crate) weight: f64,
    /// Sorted by key.
    pub(crate) tags: Vec<Tag<'a>>,
}

/// One of a line's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Number(f64),
    /// A number with a sign, which is a difference to StatsD servers if the metric is a gauge.
    Signed(f64),
    /// A member of a set.
    Member(&'a str),
}

/// Reads a line without its line break.
pub(crate) fn read(line: &str) -> Result<Line<'_>, Reason> {
    if let Some(rest) = line.strip_prefix("_e{") {
        notice::read_event(rest).map(Line::Notice)
    } else if let Some(rest) = line.strip_prefix("_sc|") {
        notice::read_check(rest).map(Line::Notice)
    } else {
        read_metric(line).map(Line::Metric)
    }
}

fn read_metric(line: &str) -> Result<Metric<'_>, Reason> {
    let (head, rest) = line.split_once(':').ok_or("there is no `:` between a name and a value")?;
    let mut fields = rest.split('|');
    let values = fields.next().unwrap_or_default();
    let kind = read_kind(fields.next().ok_or("there is no `|` in front of a type")?)?;
    let (name, mut tags) = read_name(head);
    if name.is_empty() {
        return Err("the name is empty");
    }
    let mut weight = 1.0;
    for field in fields {
        if let Some(rate) = field.strip_prefix('@') {
            weight = read_rate(rate)?;
        } else if let Some(listed) = field.strip_prefix('#') {
            tags.extend(read_tags(listed));
        }
    }
    tags.sort_unstable();
    tags.dedup();
    Ok(Metric { name, kind, values: read_values(values, kind)?, weight, tags })
}

fn read_kind(code: &str) -> Result<Kind, Reason> {
    match code {
        "g" => Ok(Kind::Gauge),
        // Some clients have meters, which servers count.
        "c" | "m" => Ok(Kind::Counter),
        "ms" => Ok(Kind::Timing),
        "h" => Ok(Kind::Histogram),
        "d" => Ok(Kind::Distribution),
        "s" => Ok(Kind::Set),
        "" => Err("the type is empty"),
        _ => Err("the type is none of g c ms h d s"),
    }
}

fn read_rate(text: &str) -> Result<f64, Reason> {
    let rate: f64 = text.parse().map_err(|_| "the sample rate is no number")?;
    if rate > 0.0 && rate <= 1.0 {
        Ok(1.0 / rate)
    } else {
        Err("the sample rate is not above 0 and at most 1")
    }
}

fn read_values(text: &str, kind: Kind) -> Result<Vec<Value<'_>>, Reason> {
    if text.is_empty() {
        return Err("the value is empty");
    }
    if kind == Kind::Set {
        return Ok(vec![Value::Member(text)]);
    }
    let values: Vec<_> =
        text.split(':').filter(|value| !value.is_empty()).map(read_number).collect::<Result<_, _>>()?;
    if values.is_empty() { Err("the value is empty") } else { Ok(values) }
}

fn read_number(text: &str) -> Result<Value<'_>, Reason> {
    let number: f64 = text.parse().map_err(|_| "the value is no number")?;
    if !number.is_finite() {
        return Err("the value is not finite");
    }
    Ok(if text.starts_with(['+', '-']) { Value::Signed(number) } else { Value::Number(number) })
}

/// Splits off the tags that some dialects put into the name: `name;k=v`, `name,k=v`, `name#k=v` and `name[k=v]`.
fn read_name(head: &str) -> (&str, Vec<Tag<'_>>) {
    let starts_tags = |c: char| matches!(c, ';' | ',' | '#') || c == '[' && head.contains(']');
    let Some(start) = head.find(starts_tags) else { return (head, Vec::new()) };
    let (name, tags) = head.split_at(start);
    let separator = if tags.starts_with(';') { ';' } else { ',' };
    let tags = tags.get(1..).unwrap_or_default().trim_end_matches(']');
    let tags = tags.split(separator).filter(|tag| !tag.is_empty());
    (name, tags.map(|tag| tag.split_once('=').unwrap_or((tag, ""))).collect())
}

/// The tags of a list as in `key:value,key`.
fn read_tags(list: &str) -> impl Iterator<Item = Tag<'_>> {
    list.split(',').filter(|tag| !tag.is_empty()).map(|tag| tag.split_once(':').unwrap_or((tag, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(line: &str) -> Metric<'_> {
        match read(line) {
            Ok(Line::Metric(metric)) => metric,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_metric_is_the_same_in_every_dialect() {
        let lines = [
            "jobs:3|g|#queue:mail,task_id:0042",
            "jobs:3|g|@1|#task_id:0042,queue:mail|c:ci-0|T1|x:unknown",
            "jobs;queue=mail;task_id=0042:3|g",
            "jobs,queue=mail,task_id=0042:3|g",
            "jobs#queue=mail,task_id=0042:3|g",
            "jobs[queue=mail,task_id=0042]:3|g",
        ];
        for line in lines {
            let tags = vec![("queue", "mail"), ("task_id", "0042")];
            let values = vec![Value::Number(3.0)];
            let expected = Metric { name: "jobs", kind: Kind::Gauge, values, weight: 1.0, tags };
            assert_eq!(metric(line), expected, "{line}");
        }
    }

    #[test]
    fn values_share_a_line_and_a_rate() {
        let read = metric("query:1:2.5::-3|ms|@0.25");
        assert_eq!(read.values, [Value::Number(1.0), Value::Number(2.5), Value::Signed(-3.0)]);
        assert_eq!(read.weight, 4.0);
        assert_eq!(metric("users:a:b|s").values, [Value::Member("a:b")]);
    }

    #[test]
    fn what_is_no_metric_has_a_reason() {
        for (line, reason) in [
            ("", "there is no `:` between a name and a value"),
            ("jobs", "there is no `:` between a name and a value"),
            ("jobs:1", "there is no `|` in front of a type"),
            (":1|c", "the name is empty"),
            ("jobs:|c", "the value is empty"),
            ("jobs:::|c", "the value is empty"),
            ("jobs:x|c", "the value is no number"),
            ("jobs:inf|c", "the value is not finite"),
            ("jobs:1|", "the type is empty"),
            ("jobs:1|q", "the type is none of g c ms h d s"),
            ("jobs:1|c|@2", "the sample rate is not above 0 and at most 1"),
            ("jobs:1|c|@nan", "the sample rate is not above 0 and at most 1"),
            ("jobs:1|c|@x", "the sample rate is no number"),
        ] {
            assert_eq!(read(line), Err(reason), "{line}");
        }
    }
}
