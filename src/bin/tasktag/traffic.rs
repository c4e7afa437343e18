//! What arrived: the values of each series, the events and checks, and what was not understood.

mod row;
mod series;
mod sketch;
mod window;

pub(crate) use self::row::{Figures, Row, View};

use self::series::Series;
use crate::line::{self, Line, Metric, Notice, Reason};
use crate::readable::readable;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// The events and checks that are kept, and the same number of lines that were not understood.
const MAX_KEPT: usize = 500;
/// The bytes of a name with its tags. Longer ones are refused, so that the memory of a series is bounded.
const MAX_NAME: usize = 4096;
/// The bytes that are shown of a line that was not understood.
const MAX_SHOWN: usize = 300;
/// What Agents take of an event or a check. They are kept, so that their length is bounded.
const MAX_NOTICE: usize = 8192;

/// A line that was not understood.
#[derive(Clone, Debug)]
pub(crate) struct Misread {
    pub(crate) reason: Reason,
    /// The start of the line, safe for a terminal.
    pub(crate) bytes: String,
}

/// The sums over everything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) notices: u64,
    pub(crate) misread: u64,
    /// Lines of series for which there was no room. They are in no series.
    pub(crate) beyond_room: u64,
    /// Datagrams that the kernel had no room for.
    pub(crate) kernel_drops: u64,
}

/// Everything that arrived since the start, within bounds.
#[derive(Debug)]
pub(crate) struct Traffic {
    series: HashMap<String, Series>,
    notices: VecDeque<Notice>,
    misread: VecDeque<Misread>,
    totals: Totals,
    max_series: usize,
    // A sign before a gauge's value makes it a difference.
    differences: bool,
    // The text by which a series is found. It is kept to spare an allocation a line.
    key: String,
    turned: Instant,
    interval: Duration,
}

impl Traffic {
    pub(crate) fn new(max_series: usize, differences: bool) -> Self {
        Self {
            series: HashMap::new(),
            notices: VecDeque::new(),
            misread: VecDeque::new(),
            totals: Totals::default(),
            max_series,
            differences,
            key: String::new(),
            turned: Instant::now(),
            interval: Duration::ZERO,
        }
    }

    /// Takes in a packet of lines, with or without a line break after the last one.
    pub(crate) fn take(&mut self, packet: &[u8]) {
        self.totals.packets += 1;
        self.totals.bytes += packet.len() as u64;
        for bytes in packet.split(|byte| *byte == b'\n') {
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if !bytes.is_empty() {
                self.totals.lines += 1;
                self.take_line(bytes);
            }
        }
    }

    /// Takes in bytes that can't be divided into lines.
    pub(crate) fn refuse(&mut self, bytes: &[u8], reason: Reason) {
        self.totals.misread += 1;
        let shown = bytes.get(..MAX_SHOWN).unwrap_or(bytes);
        let ellipsis = if shown.len() < bytes.len() { "…" } else { "" };
        push(&mut self.misread, Misread { reason, bytes: readable(shown) + ellipsis });
    }

    fn take_line(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        match line::read(&text) {
            Ok(Line::Metric(metric)) => {
                if let Err(reason) = self.take_metric(&metric) {
                    self.refuse(bytes, reason);
                }
            }
            Ok(Line::Notice(_)) if bytes.len() > MAX_NOTICE => {
                self.refuse(bytes, "an event or a check of more than 8 KiB");
            }
            Ok(Line::Notice(notice)) => {
                self.totals.notices += 1;
                push(&mut self.notices, notice);
            }
            Err(reason) => self.refuse(bytes, reason),
        }
    }

    fn take_metric(&mut self, metric: &Metric<'_>) -> Result<(), Reason> {
        write_key(metric, &mut self.key);
        if self.key.len() > MAX_NAME {
            return Err("the name and its tags are too long");
        }
        if let Some(series) = self.series.get_mut(&self.key) {
            series.take(metric, self.differences);
        } else if self.series.len() < self.max_series {
            let mut series = Series::new(metric);
            series.take(metric, self.differences);
            self.series.insert(self.key.clone(), series);
        } else {
            self.totals.beyond_room += 1;
        }
        Ok(())
    }

    /// Ends an interval: what came since the last call is the interval that is shown, until the next call.
    pub(crate) fn turn(&mut self) {
        let now = Instant::now();
        self.interval = now.duration_since(self.turned);
        self.turned = now;
        self.series.values_mut().for_each(Series::turn);
    }

    pub(crate) fn note_kernel_drops(&mut self, datagrams: u64) {
        self.totals.kernel_drops = datagrams;
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn series(&self) -> usize {
        self.series.len()
    }

    /// The keys of the tags that any series has, sorted.
    pub(crate) fn tag_keys(&self) -> Vec<String> {
        let tags = self.series.values().flat_map(|series| &series.tags);
        let keys: BTreeSet<_> = tags.map(|(key, _)| key).collect();
        keys.into_iter().cloned().collect()
    }

    pub(crate) fn max_series(&self) -> usize {
        self.max_series
    }

    /// The last events and checks, the oldest first.
    pub(crate) fn notices(&self) -> impl DoubleEndedIterator<Item = &Notice> {
        self.notices.iter()
    }

    /// The last lines that were not understood, the oldest first.
    pub(crate) fn misread(&self) -> impl DoubleEndedIterator<Item = &Misread> {
        self.misread.iter()
    }

    /// The series as they are to be shown, by name, kind and tags.
    pub(crate) fn rows(&self, view: &View) -> Vec<Row> {
        row::rows(self.series.values(), view, self.interval)
    }
}

/// Adds the newest and removes the oldest.
fn push<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == MAX_KEPT {
        kept.pop_front();
    }
    kept.push_back(item);
}

/// Writes what tells a series from another.
fn write_key(metric: &Metric<'_>, key: &mut String) {
    key.clear();
    // Writing to a `String` can't fail.
    let _ = write!(key, "{}|{}|", metric.name, metric.kind);
    for (tag, value) in &metric.tags {
        key.extend([tag, ":", value, ","]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(packets: &[&str]) -> Traffic {
        let mut traffic = Traffic::new(4, false);
        for packet in packets {
            traffic.take(packet.as_bytes());
        }
        traffic.turn();
        traffic
    }

    fn row(traffic: &Traffic, name: &str, view: &View) -> Row {
        let mut rows = traffic.rows(view).into_iter().filter(|row| row.name == name);
        let row = rows.next().expect(name);
        assert!(rows.next().is_none(), "one row for {name}");
        row
    }

    #[test]
    fn counts_and_levels_and_quantiles_and_members_add_up() {
        let traffic = taken(&[
            "jobs:3|c\njobs:2|c|@0.5\r\nfill:5|g\nfill:-2|g\n",
            "query:1:2:3|ms|@0.1\nusers:a|s\nusers:b|s\nusers:a|s",
        ]);
        let view = View::default();
        let jobs = row(&traffic, "jobs", &view);
        assert_eq!((jobs.whole.sum, jobs.whole.count), (7.0, 3.0));
        let fill = row(&traffic, "fill", &view);
        assert_eq!((fill.level, fill.whole.min, fill.whole.max), (Some(-2.0), Some(-2.0), Some(5.0)));
        let query = row(&traffic, "query", &view);
        assert_eq!(query.whole.count, 30.0);
        assert!((query.whole.quantiles.unwrap()[0] - 2.0).abs() < 0.03);
        let users = row(&traffic, "users", &view);
        assert_eq!((users.whole.distinct, users.whole.count), (2, 3.0));
    }

    #[test]
    fn a_sign_is_a_difference_only_if_the_server_is_one_of_statsd() {
        let level = |differences| {
            let mut traffic = Traffic::new(4, differences);
            traffic.take(b"fill:5|g\nfill:-2|g\nfill:+4|g");
            row(&traffic, "fill", &View::default()).level
        };
        assert_eq!((level(false), level(true)), (Some(4.0), Some(7.0)));
    }

    #[test]
    fn folded_tags_make_one_row_of_several_series_and_the_tasks_are_counted() {
        let traffic = taken(&["fill:4|g|#task_id:0001,p:a\nfill:8|g|#p:a,task_id:0002\n"]);
        assert_eq!(traffic.rows(&View::default()).len(), 2);
        let view = View { folded: vec!["task_id".to_owned()], ..View::default() };
        let fill = row(&traffic, "fill", &view);
        assert_eq!((fill.series, fill.tasks, fill.level), (2, 2, Some(6.0)));
        assert_eq!(fill.tags, [("p".to_owned(), "a".to_owned())]);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_known_series_go_on() {
        let mut traffic = taken(&["a:1|c\nb:1|c\nc:1|c\nd:1|c\ne:1|c\na:1|c"]);
        assert_eq!((traffic.series(), traffic.totals().beyond_room), (4, 1));
        assert_eq!(row(&traffic, "a", &View::default()).whole.sum, 2.0);
        for n in 0..2 * MAX_KEPT {
            traffic.take(format!("bad{n}\n_sc|up|0\n{}:1|c", "x".repeat(MAX_NAME)).as_bytes());
        }
        assert_eq!((traffic.misread().count(), traffic.notices().count()), (MAX_KEPT, MAX_KEPT));
        let totals = traffic.totals();
        assert_eq!((totals.misread, totals.notices), (4 * MAX_KEPT as u64, 2 * MAX_KEPT as u64));
    }

    #[test]
    fn an_interval_has_what_came_within_it() {
        let mut traffic = taken(&["jobs:3|c"]);
        traffic.take(b"jobs:4|c");
        traffic.turn();
        let jobs = row(&traffic, "jobs", &View::default());
        assert_eq!((jobs.interval.sum, jobs.whole.sum), (4.0, 7.0));
        assert_eq!(jobs.history, [3.0, 4.0]);
        traffic.turn();
        assert_eq!(row(&traffic, "jobs", &View::default()).interval.count, 0.0);
    }

    #[test]
    fn no_bytes_at_all_make_it_panic() {
        let mut traffic = Traffic::new(100, true);
        let parts: [&[u8]; 12] =
            [b":", b"|", b"#", b"@", b"_e{", b"1,1}:", b"_sc|", b"[", b"c", b"\xff", b"\n", b"1"];
        for first in parts {
            for second in parts {
                for third in parts {
                    for last in parts {
                        traffic.take(&[first, second, third, last].concat());
                    }
                }
            }
        }
        assert_eq!(traffic.totals().packets, 12_u64.pow(4));
    }
}
