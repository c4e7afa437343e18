//! The facade [metrics](https://docs.rs/metrics) 0.24.6: its macros report through our client, and the task id goes in
//! front of any recorder.
//!
//! A program that is instrumented with [`metrics`] keeps its call sites and changes its set-up:
//!
//! ```
//! use metrics::{counter, gauge, histogram};
//! use tasktag::Client;
//! use tasktag::integrations::metrics::Recorder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let guard = Client::builder().prefix("shop").build()?;
//! Recorder::new(guard.client()).install()?;
//!
//! counter!("jobs.done", "queue" => "mail").increment(1);      // shop.jobs.done:1|c|#queue:mail,task_id:0042
//! gauge!("cache.fill").set(0.83);
//! histogram!("query.time").record(12.5);
//!
//! let done = counter!("jobs.done", "queue" => "mail");         // a handle: one of ours, behind a pointer
//! done.increment(1);
//! # Ok(())
//! # } // The guard is dropped: the last values are sent.
//! ```
//!
//! [`Recorder`] is the recorder; [`TaskIdLayer`] adds the task id where another one stays.
//!
//! # What becomes of what
//!
//! * **Counters** are counters. [`absolute`](metrics::Counter::absolute) sends the growth since the last absolute value:
//!   the first one is where it begins, and sends nothing, as it may stand for years before this process. One that
//!   begins with the process is told so: `absolute(0)` first. A lower value is late, overtaken on its way by another
//!   thread or task, and is left out. One below half of what the same thread set or saw before is a counter that started
//!   again, and counts from 0; it takes a thread two values to tell.
//! * **Gauges** are gauges: `set`, `increment` and `decrement` from 0, and [sent at every
//!   flush](crate::Gauge#how-long-a-gauge-is-sent) as long as there is room. One that is set to NaN is absent until it is set again.
//! * **Histograms** are distributions, or what [`histograms_as`](Recorder::histograms_as) says. Values are sent as they are,
//!   and a `Duration` is recorded in seconds, by the facade, but for [times in milliseconds](#seconds-and-milliseconds).
//! * **Descriptions** have no place in `StatsD` and go nowhere, and so do units but for those of time, and the target and
//!   level of metadata.
//! * **Labels** are tags. A label `task_id`, in any case, is sent as `task_id_`, as it is everywhere: the key is that of the
//!   client's own tag, unless [`task_id_key`](crate::ClientBuilder::task_id_key) sets another.
//! * **One name, one kind**, but that a counter and a histogram may have the same name, as servers allow. A counter under the
//!   name of a gauge is refused, and its values are counted as [`Invalid`](crate::DropReason::Invalid). Not so in the facade,
//!   where kinds are apart.
//!
//! # Seconds and milliseconds
//!
//! The facade's histograms of times are in seconds by custom, and StatsD's `ms` is in milliseconds: `statsd_exporter`, Vector
//! and collectd make seconds of it again. So where a histogram is written as `ms` to a StatsD server, and its unit is
//! known, its values are written in milliseconds: 0.25 under `http_request_duration_seconds` is `250|ms`. The unit is known
//!
//! 1. from the description, if that came before the histogram was first registered: seconds, milliseconds, microseconds
//!    or nanoseconds. Another unit, as bytes, means that it is no time;
//! 2. else from the name, if that ends in `_seconds`: seconds.
//!
//! Everything else is written as it was recorded: in [DogStatsD](crate::Dialect::DogStatsd), where `d`, `h` and `ms` are
//! shown as they come; as `h`, with [`distributions_as`](crate::Agent::distributions_as); in
//! [summaries](crate::Weights::Summaries), which are gauges; and with [`HistogramKind::Timing`], by which the program says
//! that it records milliseconds. With several agents, each is written to in its own way.
//! [`timings_by_unit`](Recorder::timings_by_unit) makes timings in milliseconds of times for every agent.
//!
//! # Limits, and what is forgotten
//!
//! The client's [limits](crate::ClientBuilder::context_limit) hold for labels too. Past them a metric's values are
//! folded into one with the tag `tasktag_overflow:true`; each such call counts as a folded registration. What was folded
//! can't be told apart: an absolute value there is refused and counted as [`ContextLimit`](crate::DropReason::ContextLimit).
//!
//! A macro registers at each call, and leaves no handle behind. What is registered is kept: for as long as somebody holds
//! a handle of it, and from then on, if it is a counter or a histogram, until 150 flushes have passed without a call, as for
//! calls by name. If there is no room for others, these two go after two flushes, but a counter that is set stays for the 150
//! then too. A gauge stays as long as there is room. In a crowd the least recently called gauges leave first, whether the facade
//! called them or not, as many as are needed; [`idle_gauges`](crate::ClientBuilder::idle_gauges) ends them earlier. The worker
//! sees to it at every flush; there is no thread of its own.
//!
//! What is left of the forgotten is where they were: a gauge's level, from which `increment` and `decrement` go on, and the
//! last absolute value of a counter. That is kept of as many of each as the client may have contexts, the latest ones,
//! and of half as many for sure. Further back, a gauge goes on from 0, and a counter from its next absolute value.
//!
//! # Cost
//!
//! A registered handle is one of ours behind one call through a pointer, which is about 20 instructions more: 41 instead
//! of 22 for a counter. It takes no lock and allocates nothing. A macro finds what its thread registered lately, up to 256 of each kind, without a
//! lock, and other known keys under a read lock; neither allocates (what the macro does to make a key of labels known at
//! run time is its own). A key that has a label `task_id` or the same label twice is found under the lock always.
//!
//! # Forks
//!
//! Handles and macros work in a forked child as [everything else](crate#forks) does. Absolute values go on from those of the
//! parent.
//!
//! Feature `metrics`; extra dependency: `metrics` 0.24.6 or later (some before took different labels for the same), which brings
//! `rapidhash`.

mod absolute;
mod bridge;
mod forgotten;
mod kept;
mod labels;
mod layer;
mod recent;
mod refused;
mod table;

pub use self::layer::TaskIdLayer;

use self::bridge::{Bridge, Settings};
use self::kept::{CounterHandle, GaugeHandle, HistogramHandle};
use crate::api::client::Client;
use crate::vocabulary::name::names;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use std::fmt;
use std::sync::Arc;

/// What the facade's histograms are sent as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HistogramKind {
    /// [Distributions](crate::Kind::Distribution): quantiles over all tasks. The default.
    #[default]
    Distribution,
    /// [Histograms](crate::Kind::Histogram): quantiles of each agent.
    Histogram,
    /// [Timings](crate::Kind::Timing): for programs that record milliseconds. Nothing is converted.
    Timing,
}

names! {
    HistogramKind, "what histograms are sent as":
    Distribution = "distribution",
    Histogram = "histogram",
    Timing = "timing",
}

/// A recorder that reports through a [`Client`]. Clones share what they keep, and nothing happens when one is dropped.
///
/// See the [module](self) for what becomes of what.
///
/// ```
/// use metrics::{gauge, with_local_recorder};
/// use tasktag::Client;
/// use tasktag::integrations::metrics::Recorder;
///
/// let guard = Client::builder().build()?;
/// let recorder = Recorder::new(guard.client());
/// with_local_recorder(&recorder, || gauge!("workers.busy").increment(1.0));
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is reported until the recorder is installed"]
pub struct Recorder {
    bridge: Arc<Bridge>,
}

impl Recorder {
    /// A recorder that reports through a client.
    pub fn new(client: &Client) -> Self {
        Self { bridge: Bridge::new(client, Settings::default()) }
    }

    /// What histograms are sent as. Defaults to [`HistogramKind::Distribution`]. Makes another recorder: call it before the
    /// first metric is registered.
    pub fn histograms_as(self, kind: HistogramKind) -> Self {
        self.with(Settings { histograms: kind, ..self.bridge.settings() })
    }

    /// Sends histograms whose [unit of time is known](self#seconds-and-milliseconds) as timings, in milliseconds, in every
    /// dialect: what was recorded in [`Unit::Seconds`], as every `Duration` is, a thousand times as much, and so on for the
    /// others. Off by default.
    ///
    /// A histogram has to be described before it is registered first, unless its name ends in `_seconds`. Makes another recorder, as
    /// [`histograms_as`](Self::histograms_as).
    ///
    /// ```
    /// use metrics::{Unit, describe_histogram, histogram, with_local_recorder};
    /// use std::time::Duration;
    /// use tasktag::testing::Capture;
    /// use tasktag::{Client, TaskIdPool};
    /// use tasktag::integrations::metrics::Recorder;
    ///
    /// let capture = Capture::new();
    /// let task_id = TaskIdPool::DEFAULT.id(42).ok_or("no such id")?;
    /// let guard = Client::builder().capture(&capture).task_id(task_id).telemetry(false).build()?;
    /// with_local_recorder(&Recorder::new(guard.client()).timings_by_unit(), || {
    ///     describe_histogram!("query", Unit::Seconds, "How long a query takes.");
    ///     histogram!("query").record(Duration::from_millis(250));
    /// });
    /// drop(guard);
    /// assert_eq!(capture.take_lines(), ["query:250|ms|#task_id:0042"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timings_by_unit(self) -> Self {
        self.with(Settings { timings_by_unit: true, ..self.bridge.settings() })
    }

    fn with(&self, settings: Settings) -> Self {
        Self { bridge: Bridge::new(&self.bridge.client, settings) }
    }

    /// Makes it the recorder of the whole process, for good.
    ///
    /// # Errors
    ///
    /// When the process has one already, ours or another.
    pub fn install(self) -> Result<(), InstallError> {
        metrics::set_global_recorder(self).map_err(|_| InstallError)
    }
}

/// The process has a recorder already: it can have one, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstallError;

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another recorder of the metrics facade is installed in this process already")
    }
}

impl std::error::Error for InstallError {}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.bridge.describe(key.as_str(), unit);
    }

    #[inline]
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.bridge.handle::<CounterHandle>(key) {
            Ok(kept) => Counter::from_arc(kept),
            Err(reason) => Counter::from_arc(Arc::clone(self.bridge.stand_in(reason))),
        }
    }

    #[inline]
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.bridge.handle::<GaugeHandle>(key) {
            Ok(kept) => Gauge::from_arc(kept),
            Err(reason) => Gauge::from_arc(Arc::clone(self.bridge.stand_in(reason))),
        }
    }

    #[inline]
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.bridge.handle::<HistogramHandle>(key) {
            Ok(kept) => Histogram::from_arc(kept),
            Err(reason) => Histogram::from_arc(Arc::clone(self.bridge.stand_in(reason))),
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (counters, gauges, histograms) = self.bridge.lens();
        f.debug_struct("Recorder")
            .field("counters", &counters)
            .field("gauges", &gauges)
            .field("histograms", &histograms)
            .finish_non_exhaustive()
    }
}
