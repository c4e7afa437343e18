//! Objectives whose events are counted.

use super::builder::ObjectiveBuilder;
use super::course::Unit;
use super::events::{EventSource, Events};
use super::goal::Goal;
use super::probe::Subject;
use super::target::Target;
use super::timer::ObjectiveTimer;
use crate::api::client::Client;
use crate::callback::probe::Watch;
use crate::process::clock;
use crate::process::fork;
use crate::vocabulary::error::ConfigError;
use std::sync::Arc;
use std::time::Duration;

/// Objectives by event.
impl Client {
    /// Returns a builder for an objective by event: this share of all events, from 0 to 1, is to meet the target within a
    /// period. See [`Objective`].
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use std::time::Duration;
    /// use tasktag::Target;
    ///
    /// let objective = client.objective("checkout", Target::within(Duration::from_millis(250)), 0.999).register()?;
    /// objective.record(Duration::from_millis(180)); // a good one
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn objective(&self, name: &str, target: Target, goal: f64) -> ObjectiveBuilder<'_, ByEvent> {
        ObjectiveBuilder::new(self, name, goal, ByEvent { target, slice_goal: None })
    }
}

/// An objective by event, as an [`ObjectiveBuilder`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct ByEvent {
    target: Target,
    slice_goal: Option<f64>,
}

/// A promise about events: this share of all requests, jobs or payments succeeds within this time. [`Client::objective`]
/// makes one.
///
/// It reports, with the tag `objective:<name>`,
///
/// | metric | kind | what it is |
/// |---|---|---|
/// | `slo.total` | counter | the events |
/// | `slo.good` | counter | those that succeeded and met the [`Target`] |
/// | `slo.burn_rate` | gauge | how many times faster than allowed the budget is used, by [`window`](crate::BurnWindow) |
/// | `slo.budget_left` | gauge | the share of the period's budget that is left: 1 at first, below 0 if the promise is broken |
/// | `slo.alert` | gauge | whether a [`BurnAlert`](crate::BurnAlert) fires, 0 or 1, by [`severity`](crate::AlertSeverity) |
/// | `slo.slices` | counter | slices of time by [`state`](crate::SliceState), if there is a [`slice_goal`](ObjectiveBuilder::slice_goal) |
/// | `slo.file_errors` | counter | errors of the [history file](ObjectiveBuilder::history_file), by `reason` |
///
/// `slo.good` and `slo.total` of all tasks add up: their quotient is the fleet's. A single flush may have an event in one
/// of them and not in the other, if it was counted at that moment; the next has the rest. The gauges know this task alone.
/// The page [`objectives`](crate::guide::objectives) computes those of a fleet from the counters.
///
/// A gauge is absent while nothing is known of its window. The gauges change at the end of a slice, of 10 s unless
/// [`slice`](ObjectiveBuilder::slice) is called. A window never reaches back further than its length. It may be shorter by
/// up to 5 minutes (`6h`) or an hour (`3d` and the period).
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use std::time::{Duration, Instant};
/// use tasktag::Target;
///
/// # fn pay() -> Result<(), std::fmt::Error> { Ok(()) }
/// let objective = client.objective("checkout", Target::within(Duration::from_millis(250)), 0.999).register()?;
/// let start = Instant::now();
/// match pay() {
///     Ok(()) => objective.record(start.elapsed()),
///     Err(_) => objective.record_outcome(false), // bad, however fast it was
/// }
///
/// let timer = objective.start(); // does the same
/// timer.end(&pay());
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// # Cost
///
/// A record increments one counter or two. It takes no lock and allocates nothing. The history of an objective takes 18 KiB
/// with the default settings, however many events there are.
///
/// # Handles
///
/// Clones are the same objective, which is reported while one of them is alive. The prefix and the tags identify it. The
/// gauges and slices of a second one with the same are refused, which is counted in
/// [`Stats::refused_watches`](crate::Stats::refused_watches), while its events go to the same counters. A forked child's
/// burn rates begin anew. With a [disabled client](Client::disabled) or by `Default` it does nothing.
///
/// A process that starts knows nothing of the past: its first burn rates are those of the few events since then, and its
/// budget is that of these events. [`history_file`](ObjectiveBuilder::history_file) carries the past over.
#[derive(Clone, Debug, Default)]
#[must_use = "an objective counts only what is recorded"]
pub struct Objective {
    // `None` if it does nothing.
    events: Option<Arc<Events>>,
    _watch: Option<Arc<Watch>>,
}

impl Objective {
    /// Counts an event that succeeded after this time. It is good if that meets the target.
    #[inline]
    pub fn record(&self, elapsed: Duration) {
        if let Some(events) = &self.events {
            events.count_success(clock::nanos(elapsed));
        }
    }

    /// Counts an event that was good or bad, whatever the target says. A failure is bad.
    #[inline]
    pub fn record_outcome(&self, is_good: bool) {
        if let Some(events) = &self.events {
            events.count(is_good);
        }
    }

    /// Begins an event, whose end is counted: see [`ObjectiveTimer`].
    #[inline]
    pub fn start(&self) -> ObjectiveTimer {
        ObjectiveTimer::start(self.events.as_ref())
    }
}

impl ObjectiveBuilder<'_, ByEvent> {
    /// Has the objective count slices of time too: a slice is good if at least this share of its events was, and unknown if
    /// it had none. By default none are counted.
    ///
    /// Choose a lower share than that of the objective if a slice has few events: with 50 of them, a single bad one is 2 %.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::Target;
    ///
    /// let objective = client.objective("login", Target::success(), 0.999).slice_goal(0.9).register()?;
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn slice_goal(mut self, share: f64) -> Self {
        self.kind.slice_goal = Some(share);
        self
    }

    /// Leaves the task id out of all metrics. The counters add up just as well, under the conditions that
    /// [`MetricBuilder::without_task_id`](crate::MetricBuilder::without_task_id) names. The gauges of several tasks then
    /// overwrite each other.
    pub fn without_task_id(self) -> Self {
        self.without_id()
    }

    /// Registers the metrics, and returns the objective.
    ///
    /// # Errors
    ///
    /// Fails if a share is not above 0 and below 1, to a billionth, if the target is 0 s, or if a setting is out of its
    /// range. The error names the setting and its value.
    pub fn register(self) -> Result<Objective, ConfigError> {
        let ByEvent { target, slice_goal } = self.kind;
        if target.duration().is_some_and(|within| within.is_zero()) {
            return Err(ConfigError::setting("target", "0 s", "nothing takes no time"));
        }
        let slice_goal = slice_goal.map(|share| Goal::new("slice_goal", share)).transpose()?;
        let rule = self.rule(Unit::Events(slice_goal))?;
        if self.client.is_disabled() {
            return Ok(Objective::default());
        }
        fork::check();
        let events = Arc::new(Events::new(self.client, self.naming(), target));
        let counted = Arc::downgrade(&events);
        let watch = self.watch_in_every_process(rule, move || {
            let source = EventSource::new(&counted.upgrade()?);
            Some(Subject { source, sole: None, standing: None })
        });
        Ok(Objective { events: Some(events), _watch: Some(Arc::new(watch)) })
    }
}
