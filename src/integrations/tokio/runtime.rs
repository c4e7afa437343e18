//! The probe of a runtime.

use super::busy::{BusyMeter, BusyRatios};
use super::delay::{Delay, DelayProbe};
use crate::api::client::Client;
use crate::api::watch::{Count, Field, Reported, WatchBuilder, Watchable};
use crate::callback::probe::Watch;
use crate::vocabulary::tag_value::TagValue;
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeMetrics};

/// Configures the watch of a runtime. [`WatchTokio::runtime`](super::WatchTokio::runtime) returns one.
///
/// | metric | meaning |
/// |---|---|
/// | `runtime.workers` | worker threads; 1 for a current-thread runtime |
/// | `runtime.busy_ratio` | busy time of all workers, divided by their number and the time since the last collection: 0 to 1 |
/// | `runtime.busiest_worker_ratio` | the same for the busiest worker: 1 with a low `busy_ratio` means that one task holds a worker |
/// | `runtime.global_queue_depth` | tasks scheduled from outside the runtime that wait for a poll |
/// | `runtime.alive_tasks` | spawned tasks that have not finished |
/// | `runtime.scheduling_delay_seconds` | how long a task spawned from outside the runtime waits for its first poll |
/// | `runtime.parks` | a counter: how often a worker ran out of work |
///
/// All have a tag with the runtime's name, for example `runtime:main`. All but `workers` and `parks` report their peak
/// since the last flush as `<name>.max`. Ratios cover at least 100 ms, so a flush right after a collection repeats the
/// last ones. The client's own task, which measures the delay, is left out of the queue depth and of the number of
/// tasks.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::integrations::tokio::WatchTokio;
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
/// let _watch = client.runtime("imports").prefix("tokio").tag("role", "importer").watch(runtime.handle());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is watched until `watch` is called"]
pub struct RuntimeBuilder<'a> {
    watch: WatchBuilder<'a, RuntimeStatus>,
}

impl<'a> RuntimeBuilder<'a> {
    pub(super) fn new(client: &'a Client, name: &str) -> Self {
        Self { watch: WatchBuilder::new(client, name) }
    }

    /// Sets the prefix of the metrics' names. Defaults to `runtime`.
    pub fn prefix(self, prefix: &str) -> Self {
        Self { watch: self.watch.prefix(prefix) }
    }

    /// Adds a tag to every metric. [`TagValue`] says what its value can be.
    pub fn tag<'v>(self, key: &str, value: impl TagValue<'v>) -> Self {
        Self { watch: self.watch.tag(key, value) }
    }

    /// Starts the watch: the runtime is read at every collection, until the [`Watch`] is dropped or the runtime is shut
    /// down.
    pub fn watch(self, runtime: &Handle) -> Watch {
        let mut probe = RuntimeProbe::new(runtime.clone());
        self.watch.watch_while(move || probe.status())
    }
}

#[derive(Debug)]
struct RuntimeProbe {
    runtime: Handle,
    busy: BusyMeter,
    delay: DelayProbe,
    parks: u64,
}

impl RuntimeProbe {
    fn new(runtime: Handle) -> Self {
        let busy = BusyMeter::start(&runtime);
        let parks = parks(&runtime.metrics());
        Self { runtime, busy, delay: DelayProbe::new(), parks }
    }

    /// Returns `None` once the runtime accepts no more tasks.
    fn status(&mut self) -> Option<RuntimeStatus> {
        let (delay, own_tasks) = match self.delay.delay() {
            Delay::AtLeast(age) => (Some(age), 1),
            Delay::Exactly(delay) => (Some(delay), 0),
            Delay::Unknown | Delay::Never => (None, 0),
        };
        let metrics = self.runtime.metrics();
        let before = std::mem::replace(&mut self.parks, parks(&metrics));
        let status = RuntimeStatus {
            workers: metrics.num_workers(),
            busy: self.busy.ratios(&metrics),
            global_queue_depth: metrics.global_queue_depth().saturating_sub(own_tasks),
            alive_tasks: metrics.num_alive_tasks().saturating_sub(own_tasks),
            delay,
            parks: self.parks.saturating_sub(before),
        };
        if own_tasks == 0 {
            self.delay.ask(&self.runtime);
        }
        // A runtime that is shut down drops new tasks, at once if it was shut down before.
        (self.delay.delay() != Delay::Never).then_some(status)
    }
}

fn parks(metrics: &RuntimeMetrics) -> u64 {
    (0..metrics.num_workers()).map(|worker| metrics.worker_park_count(worker)).fold(0, u64::wrapping_add)
}

#[derive(Clone, Copy, Debug)]
struct RuntimeStatus {
    workers: usize,
    busy: Option<BusyRatios>,
    global_queue_depth: usize,
    alive_tasks: usize,
    delay: Option<Duration>,
    /// Parks since the last status.
    parks: u64,
}

impl Watchable for RuntimeStatus {}

impl Reported for RuntimeStatus {
    const NOUN: &'static str = "runtime";

    fn fields(&self) -> Vec<Field> {
        let level = |name, value| Field { name, peak: true, value };
        vec![
            Field { name: "workers", peak: false, value: Some(self.workers as f64) },
            level("busy_ratio", self.busy.map(|busy| busy.mean)),
            level("busiest_worker_ratio", self.busy.map(|busy| busy.busiest)),
            level("global_queue_depth", Some(self.global_queue_depth as f64)),
            level("alive_tasks", Some(self.alive_tasks as f64)),
            level("scheduling_delay_seconds", self.delay.map(|delay| delay.as_secs_f64())),
        ]
    }

    fn counts(&self) -> Vec<Count> {
        vec![Count { name: "parks", added: self.parks }]
    }
}
