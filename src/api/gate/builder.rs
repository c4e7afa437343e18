//! Sets up a gate.

use super::Gate;
use super::admission::Admission;
use super::class::{Decision, GateClass};
use super::control::{Control, OTHER, Pace};
use super::load::Load;
use super::sampler::{Expiry, LoadSetter, Sampler};
use super::status::GateStatus;
use super::verdict::GateState;
use crate::api::client::Client;
use crate::api::dimension::Family;
use crate::api::handle::Counter;
use crate::api::watch::WatchBuilder;
use crate::callback::probe::{Collect, Watch};
use crate::process::clock::{Clock, nanos};
use crate::vocabulary::error::ConfigError;
use crate::vocabulary::tag_value::TagValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const MIN_EVERY: Duration = Duration::from_millis(100);
const MAX_EVERY: Duration = Duration::from_secs(60 * 60);
const MAX_CLASSES: usize = 16;
/// A collection comes a moment early or late. What is due at one must not wait for the next because of that.
const EARLY: u32 = 8;
const MAX_EARLY: Duration = Duration::from_millis(50);

/// A gate that is about to be set up. [`Client::gate`] returns one.
#[derive(Clone, Debug)]
#[must_use = "a gate measures nothing until it is set up"]
pub struct GateBuilder<'a> {
    client: &'a Client,
    name: String,
    watch: WatchBuilder<'a, GateStatus>,
    classes: Vec<(String, Admission)>,
    pace: Pace,
}

impl<'a> GateBuilder<'a> {
    /// The time between two samples of the load, unless [`every`](Self::every) sets another one.
    pub const DEFAULT_EVERY: Duration = Duration::from_secs(1);

    /// The time of the smoothing, unless [`smoothing`](Self::smoothing) sets another one.
    pub const DEFAULT_SMOOTHING: Duration = Duration::from_secs(5);

    /// The time after which to try again, unless [`retry_after`](Self::retry_after) sets another one.
    pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(10);

    pub(super) fn new(client: &'a Client, name: &str) -> Self {
        let pace = Pace {
            every: Self::DEFAULT_EVERY,
            smoothing: Self::DEFAULT_SMOOTHING,
            retry_after: Self::DEFAULT_RETRY_AFTER,
        };
        let watch = WatchBuilder::new(client, name);
        Self { client, name: name.to_owned(), watch, classes: Vec::new(), pace }
    }

    /// Adds a class of work. There may be 16. The names of queues make good classes.
    pub fn class(mut self, name: &str, admission: Admission) -> Self {
        self.classes.push((name.to_owned(), admission));
        self
    }

    /// Sets the time between two samples of the load, from 100 ms to an hour, rounded up to whole collections. The
    /// default is [`DEFAULT_EVERY`](Self::DEFAULT_EVERY). A load that was not measured for twice this time is unknown,
    /// but not before the second collection.
    pub fn every(mut self, every: Duration) -> Self {
        self.pace.every = every.clamp(MIN_EVERY, MAX_EVERY);
        self
    }

    /// Sets how slowly the load that decides follows the measured one: in this time it has come 63 % of the way. The
    /// default is [`DEFAULT_SMOOTHING`](Self::DEFAULT_SMOOTHING), and [`Duration::ZERO`] takes each sample as it is.
    pub fn smoothing(mut self, time: Duration) -> Self {
        self.pace.smoothing = time;
        self
    }

    /// Sets the time after which work that was shed may be tried again. `GateLayer`, of the feature `tower`, sends it
    /// as `Retry-After`. The default is [`DEFAULT_RETRY_AFTER`](Self::DEFAULT_RETRY_AFTER).
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.pace.retry_after = time;
        self
    }

    /// Sets the prefix of the metrics' names. The default is `gate`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.watch = self.watch.prefix(prefix);
        self
    }

    /// Adds a tag to every metric. [`TagValue`] says what its value can be.
    pub fn tag<'v>(mut self, key: &str, value: impl TagValue<'v>) -> Self {
        self.watch = self.watch.tag(key, value);
        self
    }

    /// Sets up a gate whose load is what `measure` returns. It is called once for each sample, on the thread of
    /// [watched closures](WatchBuilder::watch), and should be quick: while it hangs, or if it panics, the load is
    /// unknown. With the feature `tokio`, `measure_async` asks for what has to be waited for.
    ///
    /// # Errors
    ///
    /// Fails if a threshold or a share is out of its range, or if there are more than 16 classes.
    pub fn measure(self, mut measure: impl FnMut() -> Load + Send + 'static) -> Result<Gate, ConfigError> {
        let (every, clock) = (nanos(self.ask_every()), self.clock());
        self.sampled(move |told| {
            let mut due = 0;
            move || {
                let now = clock.now();
                if now < due {
                    return true;
                }
                due = now.saturating_add(every);
                told.observe(measure())
            }
        })
    }

    /// Sets up a gate whose load your own code [sets](Gate::set_load), once for each sample. If it is not set for two
    /// samples, it is unknown.
    ///
    /// # Errors
    ///
    /// Fails if a threshold or a share is out of its range, or if there are more than 16 classes.
    pub fn register(self) -> Result<Gate, ConfigError> {
        let control = self.control()?;
        if self.client.is_disabled() {
            return Ok(Gate::default());
        }
        let watches = [self.watch_expiry(&control), self.watch_status(&control)];
        Ok(Gate::new(control, watches))
    }

    /// The time after which the next sample is due at a collection.
    pub(crate) fn ask_every(&self) -> Duration {
        self.pace.every.saturating_sub((self.pace.every / EARLY).min(MAX_EARLY))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.client.shared().clock.clone()
    }

    /// Sets up a gate whose sampler is called at every collection, until it returns `false`.
    pub(crate) fn sampled<F>(self, sampler: impl FnOnce(LoadSetter) -> F) -> Result<Gate, ConfigError>
    where
        F: FnMut() -> bool + Send + 'static,
    {
        let control = self.control()?;
        if self.client.is_disabled() {
            return Ok(Gate::default());
        }
        let sample = sampler(LoadSetter::of(&control));
        let watches =
            [self.watch_sampler(&control, sample), self.watch_expiry(&control), self.watch_status(&control)];
        Ok(Gate::new(control, watches))
    }

    fn control(&self) -> Result<Arc<Control>, ConfigError> {
        if self.classes.len() > MAX_CLASSES {
            return Err(ConfigError::setting("class", self.classes.len(), "a gate has at most 16 classes"));
        }
        for (name, admission) in &self.classes {
            admission.check()?;
            if name == OTHER || self.classes.iter().filter(|(other, _)| other == name).count() > 1 {
                return Err(ConfigError::setting(
                    "class",
                    name,
                    "each class has a name of its own, but `other`",
                ));
            }
        }
        let classes = self.classes.iter();
        Ok(Control::new(self.clock(), self.pace, |turns| {
            let class = |name: &str, admission| GateClass::new(name, admission, self.decisions(name), turns);
            let other = class(OTHER, Admission::always());
            (classes.map(|(name, admission)| class(name, *admission)).collect(), other)
        }))
    }

    fn decisions(&self, class: &str) -> Family<Counter, (Decision, GateState)> {
        self.watch.clone().into_scope().counter_by("decisions", &[("class", class)])
    }

    fn watch_sampler<F>(&self, control: &Arc<Control>, sample: F) -> Watch
    where
        F: FnMut() -> bool + Send + 'static,
    {
        static GATES: AtomicUsize = AtomicUsize::new(0);
        let number = GATES.fetch_add(1, Ordering::Relaxed).to_string();
        let name = self.watch.clone().tag("sampler", &number).into_scope().watch_name();
        let sampler = Sampler::new(&name, format!("gate:{}", self.name), control, sample);
        Watch::new(self.client.shared().watch_as(&name, Box::new(sampler)))
    }

    fn watch_expiry(&self, control: &Arc<Control>) -> Watch {
        let control = Arc::downgrade(control);
        let expiry = move |_is_child| Some(Box::new(Expiry::new(&control)) as Box<dyn Collect>);
        Watch::new(self.client.shared().watch_in_every_process(expiry))
    }

    fn watch_status(self, control: &Arc<Control>) -> Watch {
        let watched = Arc::downgrade(control);
        self.watch.watch_in_every_process(move || watched.upgrade().map(|control| control.status()))
    }
}
