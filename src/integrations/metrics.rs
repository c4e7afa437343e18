//! [metrics](https://docs.rs/metrics) 0.24.6: its macros report through a tasktag client, or another recorder gets the
//! task id.
//!
//! A program that is instrumented with [`metrics`] keeps its call sites and changes only its set-up:
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
//! [`Recorder`] is the recorder; [`TaskIdLayer`] adds the task id to any other recorder.
//!
//! # How metrics are mapped
//!
//! * **Counters** are counters. [`absolute`](metrics::Counter::absolute) sends the growth since the last absolute
//!   value. The first value is the starting point and sends nothing, because the count may be older than this process.
//!   Call `absolute(0)` first if the counter starts with the process. A slightly lower value is treated as out of order
//!   and ignored. If a thread twice reports less than half of the previous value, the source is assumed to have
//!   restarted, and counting resumes from 0. A value from before a restart that another thread sets after it can't be
//!   told from growth, and counts as that: 1000, then 3, then a late 1001 count 998 too many.
//! * **Gauges** are gauges: `set`, and `increment` and `decrement` from 0. They are [sent at every
//!   flush](crate::Gauge#how-long-a-gauge-is-sent) as long as there is room. Setting a gauge to NaN makes it absent
//!   until it is set again.
//! * **Histograms** are distributions by default; [`histograms_as`](Recorder::histograms_as) changes the kind. Values
//!   are sent as recorded, except for [times in milliseconds](#seconds-and-milliseconds). The facade records a
//!   `Duration` in seconds.
//! * **Descriptions** are not sent, because `StatsD` has none. Units other than those of time, and the target and level
//!   of the metadata, are ignored too.
//! * **Labels** are tags. A label `task_id`, in any case, is sent as `task_id_`, as everywhere in this crate: the key
//!   is reserved for the client's own tag, unless [`task_id_key`](crate::ClientBuilder::task_id_key) sets another key.
//! * **One name has one kind**, except that a counter and a histogram may share a name, as servers allow. A counter
//!   with the name of a gauge is refused, and its values are counted as [`Invalid`](crate::DropReason::Invalid). The
//!   facade itself keeps names of different kinds apart.
//!
//! # Seconds and milliseconds
//!
//! By convention, the facade's histograms of times are in seconds, and StatsD's `ms` is in milliseconds, which
//! `statsd_exporter`, Vector and collectd convert back to seconds. Therefore values of a histogram whose unit is known
//! are converted to milliseconds when they are written as `ms` to a StatsD server: 0.25 under
//! `http_request_duration_seconds` becomes `250|ms`. The unit is determined as follows:
//!
//! 1. from the description, if it came before the histogram was first registered: seconds, milliseconds, microseconds
//!    or nanoseconds. Any other unit, for example bytes, means that the histogram is not a time;
//! 2. otherwise from the name: one that ends in `_seconds` is in seconds.
//!
//! In these cases values are written as they were recorded:
//!
//! - in [DogStatsD](crate::Dialect::DogStatsd), where `d`, `h` and `ms` are displayed unchanged;
//! - as `h`, with [`distributions_as`](crate::Agent::distributions_as);
//! - in [summaries](crate::Weights::Summaries), which are gauges;
//! - with [`HistogramKind::Timing`], which declares that the program records milliseconds.
//!
//! With several agents, each agent gets the form that its own settings ask for.
//! [`timings_by_unit`](Recorder::timings_by_unit) sends times as timings in milliseconds to every agent.
//!
//! # Limits and eviction
//!
//! The client's [limits](crate::ClientBuilder::context_limit) apply to labels too. Beyond them, a metric's values are
//! folded into one context with the tag `tasktag_overflow:true`, and each such call counts as a folded registration.
//! Folded contexts can't be distinguished, so an absolute value there is refused and counted as
//! [`ContextLimit`](crate::DropReason::ContextLimit).
//!
//! A macro registers at each call and keeps no handle. The recorder keeps what was registered:
//!
//! - A metric with a handle is kept as long as the handle is held.
//! - A counter or histogram without a handle is kept until 150 flushes have passed without a call, like a metric called
//!   by name. If others need the room, it is removed after two flushes. A counter that was set by `absolute` stays for
//!   the 150 flushes even then.
//! - A gauge is kept as long as there is room. If others need the room, the least recently called gauges are removed
//!   first, as many as necessary, whether or not the facade called them.
//!   [`idle_gauges`](crate::ClientBuilder::idle_gauges) removes them earlier.
//!
//! The worker does this at every flush, without a further thread.
//!
//! The last value of an evicted gauge or counter is remembered: `increment` and `decrement` continue from the gauge's
//! level, and `absolute` from the counter's last absolute value. Values are remembered for at most as many gauges and
//! as many counters as the context limit, most recent first, and for at least half as many. Once forgotten, a gauge
//! restarts from 0 and a counter from its next absolute value.
//!
//! # Cost
//!
//! A registered handle adds one call through a pointer to one of this crate's handles: a counter takes 41 instructions
//! instead of 22. It takes no lock and allocates nothing. A macro finds what its thread registered recently, up to 256
//! of each kind, without a lock, and other known keys under a read lock. Neither allocates, although the macro itself
//! may, to build a key from labels known only at run time. A key with a label `task_id`, or with the same label twice,
//! is always found under the lock.
//!
//! # Forks
//!
//! Handles and macros work in a forked child as [everything else](crate#forks) does. Absolute values continue from
//! those of the parent.
//!
//! Feature `metrics`; extra dependencies: `metrics` 0.24.6 or later, because some earlier versions confused different
//! labels, and `rapidhash`.

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

/// The kind that the facade's histograms are sent as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HistogramKind {
    /// [Distributions](crate::Kind::Distribution): quantiles over all tasks. The default.
    #[default]
    Distribution,
    /// [Histograms](crate::Kind::Histogram): quantiles per agent.
    Histogram,
    /// [Timings](crate::Kind::Timing), for programs that record milliseconds. Nothing is converted.
    Timing,
}

names! {
    HistogramKind, "what histograms are sent as":
    Distribution = "distribution",
    Histogram = "histogram",
    Timing = "timing",
}

/// A recorder that reports through a [`Client`]. Clones share one state, and dropping a clone has no effect.
///
/// The [module](self) describes how metrics are mapped.
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
    /// Makes a recorder that reports through a client.
    pub fn new(client: &Client) -> Self {
        Self { bridge: Bridge::new(client, Settings::default()) }
    }

    /// Sets the kind that histograms are sent as. Defaults to [`HistogramKind::Distribution`].
    ///
    /// This makes a new recorder: call it before the first metric is registered.
    pub fn histograms_as(self, kind: HistogramKind) -> Self {
        self.with(Settings { histograms: kind, ..self.bridge.settings() })
    }

    /// Sends histograms whose [unit of time is known](self#seconds-and-milliseconds) as timings in milliseconds, in
    /// every dialect. Values in [`Unit::Seconds`], which every `Duration` is recorded in, are multiplied by 1000, and
    /// other units accordingly. Off by default.
    ///
    /// Describe a histogram before it is first registered, unless its name ends in `_seconds`. This makes a new
    /// recorder, as [`histograms_as`](Self::histograms_as) does.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
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
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timings_by_unit(self) -> Self {
        self.with(Settings { timings_by_unit: true, ..self.bridge.settings() })
    }

    fn with(&self, settings: Settings) -> Self {
        Self { bridge: Bridge::new(&self.bridge.client, settings) }
    }

    /// Installs this recorder for the whole process, permanently.
    ///
    /// # Errors
    ///
    /// Fails if the process already has a recorder, from this crate or another.
    pub fn install(self) -> Result<(), InstallError> {
        metrics::set_global_recorder(self).map_err(|_| InstallError)
    }
}

/// The process already has a recorder. It can have only one, permanently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstallError;

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another recorder of the metrics facade is already installed in this process")
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
