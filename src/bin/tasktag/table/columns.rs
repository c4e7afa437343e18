//! The columns of the table of metrics, as many as there is room for.

use crate::readable::{readable, readable_start};
use crate::report::number;
use crate::traffic::Row;
use ratatui::layout::Constraint;
use tasktag::Kind;

/// The heights of a history, from low to high.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The intervals that a history shows.
const HISTORY: usize = 16;
/// The characters of a name or of its tags that are shown.
const MAX_TEXT: usize = 200;

/// A column: its head, its width, and what it says of a row.
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) width: Constraint,
    pub(super) cell: fn(&Row) -> String,
    // The width of a screen from which on it is shown.
    from: u16,
}

/// Each appears on a screen that leaves at least 24 characters for the name.
const COLUMNS: [Column; 10] = [
    Column { head: "metric", width: Constraint::Fill(1), cell: name, from: 0 },
    Column { head: "kind", width: Constraint::Length(12), cell: |row| row.kind.to_string(), from: 62 },
    Column { head: "value", width: Constraint::Length(12), cell: value, from: 0 },
    Column { head: "rate/s", width: Constraint::Length(10), cell: |row| number(row.rate), from: 0 },
    Column { head: "min", width: Constraint::Length(10), cell: |row| optional(row.whole.min), from: 95 },
    Column { head: "p50", width: Constraint::Length(10), cell: |row| quantile(row, 0), from: 123 },
    Column { head: "p99", width: Constraint::Length(10), cell: |row| quantile(row, 2), from: 84 },
    Column { head: "max", width: Constraint::Length(10), cell: |row| optional(row.whole.max), from: 73 },
    Column { head: "series/tasks", width: Constraint::Length(12), cell: spread, from: 136 },
    Column { head: "history", width: Constraint::Length(16), cell: history, from: 112 },
];

/// The columns for a screen of a width.
pub(super) fn columns(width: u16) -> impl Iterator<Item = &'static Column> + Clone {
    COLUMNS.iter().filter(move |column| column.from <= width)
}

/// The name and the tags.
fn name(row: &Row) -> String {
    let mut text = readable_start(&row.name, MAX_TEXT);
    for (place, (key, value)) in row.tags.iter().enumerate() {
        let separator = if place == 0 { " #" } else { "," };
        let colon = if value.is_empty() { "" } else { ":" };
        text.extend([separator, &readable(key.as_bytes()), colon, &readable(value.as_bytes())]);
        if text.len() > MAX_TEXT {
            break;
        }
    }
    text
}

/// The level of a gauge, the sum of a counter, the members of a set, or how many values there were.
fn value(row: &Row) -> String {
    match row.kind {
        Kind::Gauge => optional(row.level),
        Kind::Counter => number(row.whole.sum),
        Kind::Set => row.whole.distinct.to_string(),
        _ => number(row.whole.count),
    }
}

fn optional(value: Option<f64>) -> String {
    value.map(number).unwrap_or_default()
}

fn quantile(row: &Row, place: usize) -> String {
    optional(row.whole.quantiles.and_then(|quantiles| quantiles.get(place).copied()))
}

fn spread(row: &Row) -> String {
    format!("{}/{}", row.series, row.tasks)
}

/// The last intervals as bars, from the lowest to the highest of them.
fn history(row: &Row) -> String {
    let start = row.history.len().saturating_sub(HISTORY);
    let points = row.history.get(start..).unwrap_or_default();
    let (low, high) =
        points.iter().fold((f64::MAX, f64::MIN), |(low, high), point| (low.min(*point), high.max(*point)));
    let bar = |point: &f64| {
        let share = if high > low { (point - low) / (high - low) } else { 0.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
        let place = (share * (BARS.len() - 1) as f64).round() as usize;
        BARS.get(place).copied().unwrap_or(' ')
    };
    points.iter().map(bar).collect()
}
