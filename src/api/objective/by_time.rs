//! Objectives whose slices of time are counted.

use super::builder::ObjectiveBuilder;
use super::counts::Counts;
use super::course::Unit;
use super::probe::{Source, Subject};
use super::slice::SliceCounts;
use super::standing::Standing;
use crate::api::client::Client;
use crate::api::sole::SoleReporter;
use crate::callback::probe::Watch;
use crate::process::fork;
use crate::vocabulary::error::ConfigError;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};

const GOOD: u8 = 1;
const BAD: u8 = 2;

/// Objectives by time.
impl Client {
    /// Returns a builder for an objective by time: this share of a period, from 0 to 1, is to be good. See
    /// [`TimeObjective`].
    pub fn time_objective(&self, name: &str, goal: f64) -> ObjectiveBuilder<'_, ByTime> {
        ObjectiveBuilder::new(self, name, goal, ByTime { sole: None })
    }
}

/// An objective by time, as an [`ObjectiveBuilder`] makes it.
#[derive(Clone, Debug)]
pub struct ByTime {
    sole: Option<SoleReporter>,
}

/// A promise about time: this share of a period a queue is fast enough, or a dependency is there.
/// [`Client::time_objective`] makes one.
///
/// Time is cut into slices, of 10 s unless [`slice`](ObjectiveBuilder::slice) is called. A slice is bad if anything bad
/// was seen in it, good if only good was, and **unknown if nothing was seen**: the closure returned `None`, hung or
/// panicked, nobody called [`see`](Self::see), or the process slept. Unknown is never good, and never bad.
///
/// It reports, with the tag `objective:<name>`,
///
/// | metric | kind | what it is |
/// |---|---|---|
/// | `slo.slices` | counter | the slices, by [`state`](crate::SliceState) |
/// | `slo.burn_rate` | gauge | how many times faster than allowed the budget is used, by [`window`](crate::BurnWindow) |
/// | `slo.budget_left` | gauge | the share of the period's budget that is left: 1 at first, below 0 if the promise is broken |
/// | `slo.alert` | gauge | whether a [`BurnAlert`](crate::BurnAlert) fires, 0 or 1, by [`severity`](crate::AlertSeverity) |
/// | `slo.file_errors` | counter | errors of the [history file](ObjectiveBuilder::history_file), by `reason` |
///
/// The budget is that of the whole period: 99.9 % of 7 days leaves 10.08 minutes, of 28 days 40.32, and of 30 days
/// 43.2. Three bad minutes in a week are 99.970 %, and 70 % of the budget is left.
///
/// A closure is asked at every collection, four times a second by default:
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// # fn oldest_job_seconds() -> Option<f64> { None }
/// // `None`, if the database doesn't answer, is neither good nor bad.
/// let _watch = client.time_objective("mail", 0.999).watch(|| Some(oldest_job_seconds()? < 300.0))?;
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// A handle takes what is known already, for example from the closure of a [watch](crate::WatchBuilder), so that
/// nothing is asked twice:
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// # use std::time::Duration;
/// # fn oldest_job() -> Duration { Duration::ZERO }
/// use tasktag::QueueStatus;
///
/// let objective = client.time_objective("mail", 0.999).register()?;
/// let _watch = client.queue("mail").watch(move || {
///     let age = oldest_job();
///     objective.see(age < Duration::from_secs(300));
///     QueueStatus::new().oldest_age(age)
/// });
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// # Slices
///
/// Slices begin at multiples of their length since 1970, by the time of day at which the objective was made and the
/// client's clock since then. The first slice that is counted is the first whole one, and the one that is not over when
/// the process ends is not counted.
///
/// If the subject belongs to the fleet, set [`by`](ObjectiveBuilder::by): each slice is then counted at most once. A
/// slice during which the lease changes hands is counted by nobody. The unknown part of a period is therefore what
/// remains of it without the good and bad slices, not the sum of `state:unknown`.
///
/// # Handles
///
/// Clones are the same objective, which is reported while one of them is alive. The prefix and the tags identify it,
/// and a second one with the same is refused and counted in [`Stats::refused_watches`](crate::Stats::refused_watches).
/// A forked child's objective begins anew, and knows what is seen in the child. With a [disabled
/// client](Client::disabled) or by `Default` it does nothing.
#[derive(Clone, Debug, Default)]
#[must_use = "an objective knows only what it is told"]
pub struct TimeObjective {
    // `None` if it does nothing.
    sightings: Option<Arc<Sightings>>,
    _watch: Option<Arc<Watch>>,
}

/// What was seen since the last look.
#[derive(Debug)]
struct Sightings {
    // `GOOD`, `BAD` or both.
    seen: AtomicU8,
    standing: Arc<Standing>,
    sole: Option<SoleReporter>,
}

impl TimeObjective {
    /// Tells that it is good or bad at this moment. It takes no lock and allocates nothing.
    #[inline]
    pub fn see(&self, is_good: bool) {
        fork::check();
        if let Some(sightings) = &self.sightings {
            sightings.seen.fetch_or(if is_good { GOOD } else { BAD }, Ordering::Relaxed);
        }
    }

    /// Returns the slices of the period that ended with the last whole slice. It begins with a full hour, so it has up
    /// to an hour less than its days. What this process does not know of it, for example because it started later, is
    /// unknown.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let objective = client.time_objective("mail", 0.999).period_days(7).register()?;
    /// assert_eq!(objective.slices().to_string(), "unknown: 0 slices good, 0 bad, 60480 unknown");
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn slices(&self) -> SliceCounts {
        self.sightings.as_ref().map(|sightings| sightings.standing.get()).unwrap_or_default()
    }
}

impl ObjectiveBuilder<'_, ByTime> {
    /// Has only the task with this lease look and report, without a task id. Use it for what belongs to all tasks, such
    /// as a queue in a database. In the other tasks the gauges are absent, and no slice is counted.
    ///
    /// A task that takes the lease over begins with what it knows itself, or with the
    /// [history file](Self::history_file) if all tasks name the same one.
    ///
    /// ```no_run
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// # fn oldest_job_seconds() -> Option<f64> { None }
    /// use tasktag::TaskIdSource;
    ///
    /// let sole = client.sole_reporter(TaskIdSource::leased("/run/shop/mail-queue"))?;
    /// let objective = client.time_objective("mail", 0.999).by(&sole).history_file("/var/lib/shop/mail.slo");
    /// objective.watch(|| Some(oldest_job_seconds()? < 300.0))?.detach();
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn by(self, sole: &SoleReporter) -> Self {
        let mut builder = self.without_id();
        builder.kind.sole = Some(sole.clone());
        builder
    }

    /// Registers the metrics, and returns an objective that is [told](TimeObjective::see).
    ///
    /// # Errors
    ///
    /// Fails if the share is not above 0 and below 1, to a billionth, or if a setting is out of its range. The error
    /// names the setting and its value.
    pub fn register(self) -> Result<TimeObjective, ConfigError> {
        let rule = self.rule(Unit::Slices)?;
        if self.client.is_disabled() {
            return Ok(TimeObjective::default());
        }
        let sightings = Arc::new(Sightings {
            seen: AtomicU8::new(0),
            standing: Arc::new(Standing::new(rule.span.slices())),
            sole: self.kind.sole.clone(),
        });
        let told = Arc::downgrade(&sightings);
        let watch = self.watch_in_every_process(rule, move || {
            let sightings = told.upgrade()?;
            // In a forked child, what was seen until now and what is known of the period are its parent's.
            sightings.seen.store(0, Ordering::Relaxed);
            sightings.standing.set(SliceCounts::new(0, 0, rule.span.slices()));
            let (sole, standing) = (sightings.sole.clone(), Some(Arc::clone(&sightings.standing)));
            Some(Subject { source: Told(Weak::clone(&told)), sole, standing })
        });
        Ok(TimeObjective { sightings: Some(sightings), _watch: Some(Arc::new(watch)) })
    }

    /// Asks a closure at every collection, until the [`Watch`] is dropped: `Some(true)` is good, `Some(false)` is bad,
    /// and `None` is unknown. [`WatchBuilder::watch`](crate::WatchBuilder::watch) says on which thread it runs, and
    /// what happens if it hangs or panics. In a forked child it stays with the parent.
    ///
    /// # Errors
    ///
    /// Fails like [`register`](Self::register).
    pub fn watch(self, is_good: impl FnMut() -> Option<bool> + Send + 'static) -> Result<Watch, ConfigError> {
        let rule = self.rule(Unit::Slices)?;
        let sole = self.kind.sole.clone();
        Ok(self.watch_here(rule, Subject { source: Asked(is_good), sole, standing: None }))
    }
}

/// What a handle was told.
struct Told(Weak<Sightings>);

impl Source for Told {
    fn take(&mut self) -> Option<Counts> {
        let seen = self.0.upgrade()?.seen.swap(0, Ordering::Relaxed);
        Some(Counts { good: u64::from(seen & GOOD != 0), bad: u64::from(seen & BAD != 0) })
    }
}

/// A closure that is asked.
struct Asked<F>(F);

impl<F: FnMut() -> Option<bool> + Send> Source for Asked<F> {
    fn take(&mut self) -> Option<Counts> {
        Some(Counts::default())
    }

    fn ask(&mut self) -> Option<bool> {
        (self.0)()
    }
}
