//! What is said of the traffic where nobody looks at a table: a line a metric and interval, or an object of JSON.

use crate::line::Notice;
use crate::readable::readable;
use crate::traffic::{Figures, Misread, Row, Totals, Traffic, View};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use tasktag::Kind;

/// Tells what came since the last time. What is told is kept until it is printed: whoever reads it slowly must not hold
/// up the traffic that it is of.
#[derive(Debug)]
pub(crate) struct Report {
    out: Vec<u8>,
    is_json: bool,
    view: View,
    // What was told before.
    told: Totals,
    was_full: bool,
}

impl Report {
    pub(crate) fn new(is_json: bool, view: View) -> Self {
        Self { out: Vec::new(), is_json, view, told: Totals::default(), was_full: false }
    }

    /// Tells of an interval that ended: its notices, what was not understood, and each row that had a value.
    pub(crate) fn tell(&mut self, traffic: &Traffic) -> io::Result<()> {
        let totals = traffic.totals();
        let notices = newest(traffic.notices(), totals.notices - self.told.notices);
        notices.into_iter().try_for_each(|notice| self.tell_notice(notice))?;
        let misread = newest(traffic.misread(), totals.misread - self.told.misread);
        misread.into_iter().try_for_each(|misread| self.tell_misread(misread))?;
        let rows = traffic.rows(&self.view);
        rows.iter().filter(|row| row.interval.count > 0.0).try_for_each(|row| self.tell_row(row))?;
        if totals.beyond_room > 0 && !std::mem::replace(&mut self.was_full, true) {
            self.tell_full(traffic.max_series())?;
        }
        self.told = totals;
        Ok(())
    }

    /// Prints what was told.
    pub(crate) fn print(&mut self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&self.out)?;
        self.out.clear();
        to.flush()
    }

    /// Tells the sums over everything, at the end.
    pub(crate) fn tell_totals(&mut self, traffic: &Traffic, states: &[String]) -> io::Result<()> {
        let Totals { packets, bytes, lines, notices, misread, beyond_room, kernel_drops } = traffic.totals();
        let series = traffic.series();
        if self.is_json {
            let totals = json!({
                "type": "total", "packets": packets, "bytes": bytes, "lines": lines, "series": series,
                "notices": notices, "not_understood": misread, "beyond_room": beyond_room, "kernel_drops": kernel_drops, "states": states,
            });
            writeln!(self.out, "{totals}")?;
        } else {
            states.iter().try_for_each(|state| writeln!(self.out, "# {state}"))?;
            write!(self.out, "# {packets} packets, {bytes} bytes, {lines} lines: {series} series, ")?;
            write!(self.out, "{notices} events and checks, {misread} not understood")?;
            for (lost, why) in [(beyond_room, "without room"), (kernel_drops, "dropped by the kernel")] {
                if lost > 0 {
                    write!(self.out, ", {lost} {why}")?;
                }
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn tell_full(&mut self, max: usize) -> io::Result<()> {
        let text = format!("there are {max} series, and no room for more: see --max-series");
        if self.is_json {
            writeln!(self.out, "{}", json!({ "type": "full", "text": text }))
        } else {
            writeln!(self.out, "# {text}")
        }
    }

    fn tell_notice(&mut self, notice: &Notice) -> io::Result<()> {
        let (kind, title, text) = (notice.kind.as_str(), safe(&notice.title), safe(&notice.text));
        let level = safe(&notice.level);
        if self.is_json {
            let tags = tags_object(&notice.tags);
            let notice = json!({ "type": kind, "title": title, "text": text, "level": level, "tags": tags });
            writeln!(self.out, "{notice}")
        } else {
            writeln!(self.out, "{kind} {level} {title}: {text}{}", tags_text(&notice.tags))
        }
    }

    fn tell_misread(&mut self, misread: &Misread) -> io::Result<()> {
        let Misread { reason, bytes } = misread;
        if self.is_json {
            let misread = json!({ "type": "not_understood", "reason": reason, "bytes": bytes });
            writeln!(self.out, "{misread}")
        } else {
            writeln!(self.out, "not understood, {reason}: {bytes}")
        }
    }

    fn tell_row(&mut self, row: &Row) -> io::Result<()> {
        if self.is_json {
            writeln!(self.out, "{}", row_object(row))
        } else {
            let (name, tags) = (safe(&row.name), tags_text(&row.tags));
            writeln!(self.out, "{name} {}{}{tags}", row.kind, figures_text(row))
        }
    }
}

/// The last of a list, in their order.
fn newest<T>(kept: impl DoubleEndedIterator<Item = T>, count: u64) -> Vec<T> {
    let mut newest: Vec<T> = kept.rev().take(usize::try_from(count).unwrap_or(usize::MAX)).collect();
    newest.reverse();
    newest
}

fn safe(text: &str) -> String {
    readable(text.as_bytes())
}

fn tags_text(tags: &[(String, String)]) -> String {
    let mut text = String::new();
    for (place, (key, value)) in tags.iter().enumerate() {
        text.push_str(if place == 0 { " #" } else { "," });
        text.push_str(&safe(key));
        if !value.is_empty() {
            text.push(':');
            text.push_str(&safe(value));
        }
    }
    text
}

/// The tags by their keys. Of one key that is there several times, all values, with a comma between them.
fn tags_object(tags: &[(String, String)]) -> Value {
    let mut object = Map::new();
    for (key, value) in tags {
        match object.entry(safe(key)).or_insert_with(|| Value::String(String::new())) {
            Value::String(known) if known.is_empty() => *known = safe(value),
            Value::String(known) => *known = format!("{known},{}", safe(value)),
            _ => {}
        }
    }
    Value::Object(object)
}

/// What is said of a row's last interval. Counts and sums since the start follow.
fn figures_text(row: &Row) -> String {
    let figures = &row.interval;
    let mut text = String::new();
    let mut put = |name: &str, value: f64| {
        // Writing to a `String` can't fail.
        let _ = write!(text, " {name}={}", number(value));
    };
    match row.kind {
        Kind::Counter => {
            put("rate", row.rate);
            put("sum", figures.sum);
            put("total", row.whole.sum);
        }
        Kind::Set => {
            put("distinct", figures.distinct as f64);
            put("total", row.whole.distinct as f64);
        }
        Kind::Gauge => {
            put("level", row.level.unwrap_or(0.0));
            put_bounds(figures, &mut put);
        }
        _ => {
            put("count", figures.count);
            put_bounds(figures, &mut put);
            for (name, value) in ["p50", "p95", "p99"].into_iter().zip(figures.quantiles.unwrap_or_default())
            {
                put(name, value);
            }
        }
    }
    if row.series > 1 {
        put("series", row.series as f64);
    }
    text
}

fn put_bounds(figures: &Figures, put: &mut impl FnMut(&str, f64)) {
    put("min", figures.min.unwrap_or(0.0));
    put("max", figures.max.unwrap_or(0.0));
}

/// A number as people read it: at most six digits behind the first one that counts.
pub(crate) fn number(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let size = value.abs();
    let text = if (1e-4..1e15).contains(&size) {
        let digits = if size >= 1000.0 {
            1
        } else if size >= 1.0 {
            3
        } else {
            6
        };
        format!("{value:.digits$}")
    } else {
        return format!("{value:.3e}");
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn row_object(row: &Row) -> Value {
    let mut object = json!({
        "type": "metric", "name": safe(&row.name), "kind": row.kind.as_str(), "tags": tags_object(&row.tags),
        "rate": row.rate, "series": row.series, "tasks": row.tasks,
        "interval": figures_object(&row.interval, row.kind), "total": figures_object(&row.whole, row.kind),
    });
    if let Some(level) = row.level {
        object["level"] = json!(level);
    }
    object
}

fn figures_object(figures: &Figures, kind: Kind) -> Value {
    let mut object = json!({ "count": figures.count });
    if kind == Kind::Set {
        object["distinct"] = json!(figures.distinct);
        return object;
    }
    for (name, value) in [("sum", Some(figures.sum)), ("min", figures.min), ("max", figures.max)] {
        object[name] = json!(value);
    }
    for (name, value) in ["p50", "p95", "p99"].into_iter().zip(figures.quantiles.into_iter().flatten()) {
        object[name] = json!(value);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(packet: &str, is_json: bool) -> Vec<String> {
        let mut traffic = Traffic::new(2, false);
        traffic.take(packet.as_bytes());
        traffic.turn();
        let mut report = Report::new(is_json, View::default());
        report.tell(&traffic).unwrap();
        report.tell_totals(&traffic, &["a state".to_owned()]).unwrap();
        let mut printed = Vec::new();
        report.print(&mut printed).unwrap();
        String::from_utf8(printed).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_metric_has_a_line_and_each_text_another() {
        let lines = told("fill:0.83|g|#task_id:0042,flag\n_e{1,1}:a|b|#x:y\nbad\x1b\nu:1|s\nv:1|s", false);
        assert_eq!(
            lines,
            [
                "event info a: b #x:y",
                "not understood, there is no `:` between a name and a value: bad\\u{1b}",
                "fill gauge level=0.83 min=0.83 max=0.83 #flag,task_id:0042",
                "u set distinct=1 total=1",
                "# there are 2 series, and no room for more: see --max-series",
                "# a state",
                "# 1 packets, 64 bytes, 5 lines: 2 series, 1 events and checks, 1 not understood, 1 without room",
            ]
        );
    }

    #[test]
    fn json_has_an_object_a_line() {
        let lines = told("query:1:3|ms|@0.5|#a:b,a:c\n_sc|db|2|m:x\ny", true);
        let read: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let types: Vec<_> = read.iter().map(|object| object["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["check", "not_understood", "metric", "total"]);
        assert_eq!(read[2]["total"]["count"], 4.0);
        assert_eq!(read[2]["total"]["max"], 3.0);
        assert_eq!(read[2]["tags"]["a"], "b,c");
        assert_eq!(read[3]["lines"], 3);
    }

    #[test]
    fn a_number_is_short() {
        for (value, text) in [
            (0.0, "0"),
            (-12.5, "-12.5"),
            (1234.567, "1234.6"),
            (0.000_123_456, "0.000123"),
            (0.1 + 0.2, "0.3"),
            (1e300, "1.000e300"),
            (1e-9, "1.000e-9"),
            (1e9, "1000000000"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
