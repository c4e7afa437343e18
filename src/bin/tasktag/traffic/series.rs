//! One time series: a metric with its tags.

use super::window::Window;
use crate::line::{Metric, Value};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use tasktag::Kind;

/// The intervals that a history remembers.
const MAX_HISTORY: usize = 60;

/// The values of a series, within bounds.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) tags: Vec<(String, String)>,
    /// The level of a gauge.
    pub(super) level: Option<f64>,
    /// Since the start.
    pub(super) whole: Window,
    /// The last interval that ended.
    pub(super) interval: Window,
    current: Window,
    /// What each of the last intervals had, the oldest first.
    pub(super) history: VecDeque<f64>,
}

impl Series {
    pub(super) fn new(metric: &Metric<'_>) -> Self {
        let tags = metric.tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self {
            name: metric.name.to_owned(),
            kind: metric.kind,
            tags: tags.collect(),
            level: None,
            whole: Window::default(),
            interval: Window::default(),
            current: Window::default(),
            history: VecDeque::new(),
        }
    }

    pub(super) fn take(&mut self, metric: &Metric<'_>, differences: bool) {
        for value in &metric.values {
            let number = match *value {
                Value::Signed(number) if differences && self.kind == Kind::Gauge => {
                    self.level.unwrap_or(0.0) + number
                }
                Value::Number(number) | Value::Signed(number) => number,
                Value::Member(member) => {
                    self.take_member(member);
                    continue;
                }
            };
            let keeps_quantiles = has_quantiles(self.kind);
            for window in [&mut self.whole, &mut self.current] {
                window.add(number, metric.weight, keeps_quantiles);
            }
            if self.kind == Kind::Gauge {
                self.level = Some(number);
            }
        }
    }

    fn take_member(&mut self, member: &str) {
        let mut hasher = DefaultHasher::new();
        member.hash(&mut hasher);
        let hash = hasher.finish();
        self.whole.add_member(hash);
        self.current.add_member(hash);
    }

    /// Ends the current interval.
    pub(super) fn turn(&mut self) {
        self.interval = std::mem::take(&mut self.current);
        if self.history.len() == MAX_HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(self.point());
    }

    /// What the history remembers of an interval.
    fn point(&self) -> f64 {
        match self.kind {
            Kind::Gauge => self.level.unwrap_or(0.0),
            Kind::Counter => self.interval.sum,
            Kind::Set => self.interval.distinct() as f64,
            _ => self.interval.quantile(0.5).unwrap_or(0.0),
        }
    }

    pub(super) fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }
}

/// Whether quantiles are kept of a kind's values.
pub(super) fn has_quantiles(kind: Kind) -> bool {
    matches!(kind, Kind::Timing | Kind::Histogram | Kind::Distribution)
}
