//! The course of an objective: from what was seen, slice by slice, to burn rates and what is left of the budget.

use super::burn_alert::{AlertSeverity, BurnAlert};
use super::burn_window::BurnWindow;
use super::counts::Counts;
use super::goal::Goal;
use super::history::{History, Span};
use super::slice::{SliceCounts, SliceState};
use std::time::Duration;

const SECONDS_PER_DAY: u64 = 24 * 3600;

/// What an objective is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Events. A slice is good if its events keep to the goal, if there is one for slices.
    Events(Option<Goal>),
    /// Slices of time. A slice is bad if anything bad was seen in it.
    Slices,
}

/// What an objective promises, and when somebody is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) unit: Unit,
    pub(super) goal: Goal,
    pub(super) span: Span,
    /// The least that must be bad in the long window of an alert.
    pub(super) min_bad: u64,
}

impl Rule {
    pub(super) fn period(&self) -> Duration {
        Duration::from_secs(self.span.period_days * SECONDS_PER_DAY)
    }

    fn state_of(&self, seen: Counts) -> SliceState {
        let is_good = match self.unit {
            Unit::Events(Some(goal)) => goal.is_kept_by(seen),
            Unit::Events(None) | Unit::Slices => seen.bad == 0,
        };
        match (seen.total(), is_good) {
            (0, _) => SliceState::Unknown,
            (_, true) => SliceState::Good,
            (_, false) => SliceState::Bad,
        }
    }

    /// Returns what a slice adds to the windows.
    fn weight_of(&self, over: Open) -> Counts {
        match (self.unit, self.state_of(over.seen)) {
            (Unit::Events(_), _) => over.seen,
            (Unit::Slices, SliceState::Good) if over.is_whole => Counts::GOOD,
            (Unit::Slices, SliceState::Bad) if over.is_whole => Counts::BAD,
            (Unit::Slices, _) => Counts::default(),
        }
    }
}

/// The slice that is not over yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    slice: u64,
    seen: Counts,
    // A slice that began before anybody looked has no state. In a fleet, another task may have reported it.
    is_whole: bool,
}

/// The course of an objective. It has neither clock nor thread: slices are numbers.
#[derive(Clone, Debug)]
pub(super) struct Course {
    rule: Rule,
    history: History,
    open: Option<Open>,
}

impl Course {
    /// Returns the course of an objective of which nothing is known.
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, history: History::new(rule.span), open: None }
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// Begins to look, in the middle of a slice, with what is known of the past.
    pub(super) fn begin(&mut self, slice: u64, history: Option<History>) {
        if let Some(history) = history {
            self.history = history;
        }
        self.open = Some(Open { slice, seen: Counts::default(), is_whole: false });
    }

    pub(super) fn has_begun(&self) -> bool {
        self.open.is_some()
    }

    /// Stops looking. The slice that is not over is nobody's.
    pub(super) fn stop(&mut self) {
        self.open = None;
    }

    /// Adds to the slice that is not over.
    pub(super) fn see(&mut self, counts: Counts) {
        if let Some(open) = &mut self.open {
            open.seen = open.seen.plus(counts);
        }
    }

    /// Moves on to a slice. Returns the slices that are over by then, or `None` if it is the same one. In those that were
    /// slept over, nothing was seen.
    pub(super) fn turn_to(&mut self, slice: u64) -> Option<SliceCounts> {
        let over = self.open.filter(|open| open.slice < slice)?;
        self.history.add(over.slice, self.rule.weight_of(over));
        self.history.turn_to(slice - 1);
        self.open = Some(Open { slice, seen: Counts::default(), is_whole: true });
        let missed = SliceCounts::of(SliceState::Unknown, slice - over.slice - 1);
        let own = SliceCounts::of(self.rule.state_of(over.seen), u64::from(over.is_whole));
        Some(own.plus(missed))
    }

    /// Returns how many times faster than allowed the budget was used in a window, or `None` if nothing is known of it.
    pub(super) fn burn_rate(&self, window: BurnWindow) -> Option<f64> {
        self.rule.goal.burn_rate(self.history.within(window))
    }

    /// Returns the share of the period's budget that is left, or `None` if that is unknown. The budget of time is that of
    /// the whole period. How many events a whole period has is unknown, so theirs is that of the events so far.
    pub(super) fn budget_left(&self) -> Option<f64> {
        let counts = self.history.within_period();
        let total = match (self.rule.unit, counts.total()) {
            (_, 0) => 0,
            (Unit::Events(_), total) => total,
            (Unit::Slices, _) => self.rule.span.slices(),
        };
        self.rule.goal.budget_left(counts.bad, total)
    }

    /// Returns the slices of the period, for an objective of slices.
    pub(super) fn slices(&self) -> SliceCounts {
        let Counts { good, bad } = self.history.within_period();
        SliceCounts::new(good, bad, self.history.slices_of_period().saturating_sub(good.saturating_add(bad)))
    }

    /// Returns whether an alert of this severity fires, or `None` if nothing is known of any of its windows.
    pub(super) fn alert(&self, severity: AlertSeverity) -> Option<bool> {
        let alerts = BurnAlert::WORKBOOK.into_iter().filter(|alert| alert.severity == severity);
        let known = alerts.filter_map(|alert| self.fires(alert));
        known.reduce(|one, other| one || other)
    }

    fn fires(&self, alert: BurnAlert) -> Option<bool> {
        let threshold = alert.threshold(self.rule.period());
        let is_above = |window| self.burn_rate(window).is_some_and(|rate| rate > threshold);
        let long = self.history.within(alert.long);
        (long.total() > 0)
            .then(|| long.bad >= self.rule.min_bad && is_above(alert.long) && is_above(alert.short))
    }
}

#[cfg(test)]
mod tests;
