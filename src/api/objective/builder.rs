//! The settings of an objective.

use super::course::{Rule, Unit};
use super::goal::Goal;
use super::history::Span;
use super::metrics::Naming;
use super::probe::{Plan, Source, Subject};
use crate::api::client::Client;
use crate::callback::probe::{Collect, Watch};
use crate::vocabulary::error::ConfigError;
use crate::vocabulary::tag_value::TagValue;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The length of a slice of time, unless [`ObjectiveBuilder::slice`] is called.
pub const DEFAULT_SLICE: Duration = Duration::from_secs(10);
/// The days of a period, unless [`ObjectiveBuilder::period_days`] is called.
pub const DEFAULT_PERIOD_DAYS: u32 = 30;
/// The least that must be bad for an alert, unless [`ObjectiveBuilder::min_bad`] is called.
pub const DEFAULT_MIN_BAD: u64 = 3;

const FIVE_MINUTES: u64 = 300;

/// An objective that is about to be registered. [`Client::objective`] and [`Client::time_objective`] return one. `K` is
/// [`ByEvent`](crate::ByEvent) or [`ByTime`](crate::ByTime).
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::Target;
///
/// let weekly = client.objective("login", Target::success(), 0.99).tag("region", "eu").period_days(7).register()?;
/// let error = client.objective("login", Target::success(), 99.0).register().unwrap_err();
/// assert!(error.to_string().starts_with(r#"the setting objective can't be "99""#));
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is reported until it is registered"]
pub struct ObjectiveBuilder<'a, K> {
    pub(super) client: &'a Client,
    pub(super) kind: K,
    name: String,
    naming: Naming,
    goal: f64,
    slice: Duration,
    period_days: u32,
    min_bad: u64,
    history_file: Option<PathBuf>,
}

impl<'a, K> ObjectiveBuilder<'a, K> {
    pub(super) fn new(client: &'a Client, name: &str, goal: f64, kind: K) -> Self {
        Self {
            client,
            kind,
            name: format!("objective:{name}"),
            naming: Naming::of(name),
            goal,
            slice: DEFAULT_SLICE,
            period_days: DEFAULT_PERIOD_DAYS,
            min_bad: DEFAULT_MIN_BAD,
            history_file: None,
        }
    }

    /// Sets the prefix of the metrics' names. Defaults to `slo`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('.').clone_into(&mut self.naming.prefix);
        self
    }

    /// Adds a tag to every metric. [`TagValue`] says what its value can be.
    pub fn tag<'v>(mut self, key: &str, value: impl TagValue<'v>) -> Self {
        self.naming.tags.push((key.to_owned(), value.into_text().to_owned()));
        self
    }

    /// Sets the length of a slice of time: whole seconds, of which there is a whole number in 5 minutes. Defaults to
    /// [`DEFAULT_SLICE`].
    ///
    /// A slice must be longer than the [collection interval](crate::ClientBuilder::collect_interval): what is not asked
    /// in a slice is unknown. With slices of a minute and an objective of 99.9 %, a single bad one in an hour is a burn
    /// rate of 16.7.
    pub fn slice(mut self, slice: Duration) -> Self {
        self.slice = slice;
        self
    }

    /// Sets the days of the period that the budget is for, from 7 to 90. Defaults to [`DEFAULT_PERIOD_DAYS`].
    pub fn period_days(mut self, days: u32) -> Self {
        self.period_days = days;
        self
    }

    /// Sets how many events or slices must be bad within an alert's long window before `slo.alert` is 1, so that a
    /// single one can't page where there is little traffic. It is at least 1. Defaults to [`DEFAULT_MIN_BAD`].
    ///
    /// `slo.burn_rate` is reported in any case.
    pub fn min_bad(mut self, count: u64) -> Self {
        self.min_bad = count;
        self
    }

    /// Carries the burn rates and the budget over to the next process, in a file of its own. It takes a few KiB, or
    /// up to 200 KiB with slices of a second and a period of 90 days. By default they begin anew with each process.
    ///
    /// It is read at the first collection, and replaced at most once a minute and at the shutdown, on the thread of the
    /// watched closures. A process that is killed loses up to a minute. No two processes may write one file at a time:
    /// put the task id into its name, or have a [sole reporter](crate::SoleReporter) write it. The directory must
    /// exist. A forked child has no file.
    ///
    /// A file that can't be read, holds something else or can't be written is counted in `slo.file_errors`, with
    /// `reason:read`, `reason:contents` or `reason:write`. After the first two, the history begins anew, and its next
    /// write replaces the file. A history of other settings or of the future is something else.
    pub fn history_file(mut self, path: impl AsRef<Path>) -> Self {
        self.history_file = Some(path.as_ref().to_owned());
        self
    }

    pub(super) fn without_id(mut self) -> Self {
        self.naming.without_task_id = true;
        self
    }

    pub(super) fn naming(&self) -> &Naming {
        &self.naming
    }

    /// Checks the settings.
    pub(super) fn rule(&self, unit: Unit) -> Result<Rule, ConfigError> {
        let goal = Goal::new("objective", self.goal)?;
        let slice = self.slice.as_secs();
        if self.slice.subsec_nanos() != 0 || FIVE_MINUTES.checked_rem(slice) != Some(0) {
            let reason = "it must be whole seconds, of which there is a whole number in 5 minutes";
            return Err(ConfigError::setting("slice", format!("{:?}", self.slice), reason));
        }
        if !(7..=90).contains(&self.period_days) {
            return Err(ConfigError::setting("period_days", self.period_days, "it must be 7 to 90"));
        }
        if self.min_bad == 0 {
            return Err(ConfigError::setting("min_bad", self.min_bad, "it must be at least 1"));
        }
        let span = Span { slice, period_days: u64::from(self.period_days) };
        Ok(Rule { unit, goal, span, min_bad: self.min_bad })
    }

    /// Looks at a subject in this process alone.
    pub(super) fn watch_here<S: Source + 'static>(self, rule: Rule, subject: Subject<S>) -> Watch {
        let shared = self.client.shared();
        if shared.is_disabled {
            return Watch::new(Arc::default());
        }
        let client = self.client;
        let plan = self.into_plan(rule);
        let probe = plan.probe(client, subject, false);
        Watch::new(shared.watch_as(&plan.watch_name, Box::new(probe)))
    }

    /// Looks at a subject in this process, and at another in each forked child. The client keeps `subjects` for its
    /// children, so they must not keep the client.
    pub(super) fn watch_in_every_process<S: Source + 'static>(
        self,
        rule: Rule,
        subjects: impl Fn() -> Option<Subject<S>> + Send + 'static,
    ) -> Watch {
        let shared = self.client.shared();
        let client = Arc::downgrade(shared);
        let plan = self.into_plan(rule);
        let watch_name = Arc::clone(&plan.watch_name);
        let probes = move |is_child: bool| {
            let client = Client::new(client.upgrade()?);
            Some(Box::new(plan.probe(&client, subjects()?, is_child)) as Box<dyn Collect>)
        };
        Watch::new(shared.watch_as_in_every_process(&watch_name, probes))
    }

    fn into_plan(self, rule: Rule) -> Plan {
        let watch_name = self.naming.watch_name(self.client);
        Plan { rule, watch_name, name: self.name, naming: self.naming, history_file: self.history_file }
    }
}
