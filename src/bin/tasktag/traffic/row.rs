//! Series as they are shown: one a row, or several that differ only in folded tags.

use super::series::{Series, has_quantiles};
use super::window::Window;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tasktag::Kind;

/// The shares below which the quantiles of a row are.
const SHARES: [f64; 3] = [0.5, 0.95, 0.99];

/// Which series are shown, and how.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The keys of tags that are left out, so that series which differ only there are one row.
    pub(crate) folded: Vec<String>,
    /// The key of the only tag that is not left out.
    pub(crate) grouped_by: Option<String>,
    /// The key of the tag that tells tasks apart.
    pub(crate) task_id_key: String,
    /// A text that the name or a tag contains.
    pub(crate) filter: String,
}

impl Default for View {
    fn default() -> Self {
        Self {
            folded: Vec::new(),
            grouped_by: None,
            task_id_key: "task_id".to_owned(),
            filter: String::new(),
        }
    }
}

/// A row's numbers within a stretch of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// The 50 %, 95 % and 99 % quantile.
    pub(crate) quantiles: Option<[f64; 3]>,
    /// Different members of a set.
    pub(crate) distinct: usize,
}

/// One or several series.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) series: usize,
    /// How many different task ids the series have.
    pub(crate) tasks: usize,
    /// The level of a gauge; of several, their mean.
    pub(crate) level: Option<f64>,
    /// Within the last interval.
    pub(crate) interval: Figures,
    /// Since the start.
    pub(crate) whole: Figures,
    /// A counter's growth a second, or how many values came a second, within the last interval.
    pub(crate) rate: f64,
    /// What each of the last intervals had, the oldest first.
    pub(crate) history: Vec<f64>,
}

type Group<'a> = (&'a str, &'static str, Vec<(&'a str, &'a str)>);

pub(super) fn rows<'a>(all: impl Iterator<Item = &'a Series>, view: &View, interval: Duration) -> Vec<Row> {
    let mut groups: BTreeMap<Group<'a>, Vec<&'a Series>> = BTreeMap::new();
    for series in all.filter(|series| view.shows(series)) {
        let tags = series.tags.iter().filter(|(key, _)| view.tells_apart(key));
        let tags = tags.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        groups.entry((&series.name, series.kind.as_str(), tags)).or_default().push(series);
    }
    groups.into_iter().map(|((_, _, tags), group)| row(&group, &tags, view, interval)).collect()
}

impl View {
    /// Whether series that differ in this tag are rows of their own.
    fn tells_apart(&self, key: &String) -> bool {
        self.grouped_by.as_ref().map_or_else(|| !self.folded.contains(key), |only| only == key)
    }

    fn shows(&self, series: &Series) -> bool {
        let in_tag = |(key, value): &(String, String)| format!("{key}:{value}").contains(&self.filter);
        self.filter.is_empty() || series.name.contains(&self.filter) || series.tags.iter().any(in_tag)
    }
}

fn row(group: &[&Series], tags: &[(&str, &str)], view: &View, interval: Duration) -> Row {
    // A group has at least one series.
    let (name, kind) = group.first().map_or(("", Kind::Gauge), |first| (first.name.as_str(), first.kind));
    let figures = |window: fn(&Series) -> &Window| Figures::of(&merged(group, window), kind);
    let (current, whole) = (figures(|series| &series.interval), figures(|series| &series.whole));
    let tasks: BTreeSet<&str> = group.iter().filter_map(|series| series.tag(&view.task_id_key)).collect();
    let grown = if kind == Kind::Counter { current.sum } else { current.count };
    let seconds = interval.as_secs_f64();
    Row {
        name: name.to_owned(),
        kind,
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        series: group.len(),
        tasks: tasks.len(),
        level: mean(group.iter().filter_map(|series| series.level)),
        rate: if seconds > 0.0 { grown / seconds } else { 0.0 },
        interval: current,
        whole,
        history: history(group, kind),
    }
}

/// The windows of a group as one. That of a single series is not copied.
fn merged<'a>(group: &[&'a Series], window: fn(&Series) -> &Window) -> Cow<'a, Window> {
    match group {
        [only] => Cow::Borrowed(window(only)),
        _ => Cow::Owned(group.iter().fold(Window::default(), |mut sum, series| {
            sum.merge(window(series));
            sum
        })),
    }
}

/// The histories of a group as one: counts add up, and of levels and quantiles it is the mean.
fn history(group: &[&Series], kind: Kind) -> Vec<f64> {
    let longest = group.iter().map(|series| series.history.len()).max().unwrap_or(0);
    let at = |back: usize| {
        let points = group.iter().filter_map(|series| series.history.iter().rev().nth(back)).copied();
        if kind == Kind::Counter { points.sum() } else { mean(points).unwrap_or(0.0) }
    };
    (0..longest).rev().map(at).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

impl Figures {
    fn of(window: &Window, kind: Kind) -> Self {
        let quantiles = SHARES.map(|share| window.quantile(share).unwrap_or(0.0));
        Self {
            count: window.count,
            sum: window.sum,
            min: window.min,
            max: window.max,
            quantiles: (has_quantiles(kind) && window.count > 0.0).then_some(quantiles),
            distinct: window.distinct(),
        }
    }
}
