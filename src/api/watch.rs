//! Watched pools and queues: a status, and the gauges that report it.

mod pool;
mod queue;
mod work_queue;

pub use self::pool::PoolStatus;
pub use self::queue::{Promise, QueueDepth, QueueStatus, QueueTicket, Queued, RunningJob};
pub use self::work_queue::{WorkQueue, WorkQueueBuilder};

use crate::api::client::Client;
use crate::api::handle::{Counter, Gauge};
use crate::callback::probe::{Collect, Levels, Watch};
use crate::callback::watch_name::WatchName;
use crate::vocabulary::tag::TagList;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One gauge of a status.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Whether `<name>.max` is reported too. A configured limit has no peak.
    pub(crate) peak: bool,
    /// `None` is not reported.
    pub(crate) value: Option<f64>,
}

/// A count that a status has added to since the last one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) name: &'static str,
    pub(crate) added: u64,
}

/// A status that can be watched: [`PoolStatus`] or [`QueueStatus`].
///
/// Use it as a bound in functions that work for both. The trait is sealed: no other type can implement it.
///
/// ```
/// use tasktag::{PoolStatus, Watch, Watchable, WatchBuilder};
///
/// /// Every watch of this service is named alike.
/// fn watch<S: Watchable>(what: WatchBuilder<'_, S>, status: impl FnMut() -> S + Send + 'static) -> Watch {
///     what.tag("service", "shop").watch(status)
/// }
///
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let _watch = watch(client.pool("primary"), || PoolStatus::new().max(10).in_use(7));
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[allow(private_bounds, reason = "it is sealed")]
pub trait Watchable: Reported {}

/// Defines how a status is reported.
pub(crate) trait Reported: Send + 'static {
    /// The default prefix of its gauges, which is also the key of the tag that names the pool or queue.
    const NOUN: &'static str;
    fn fields(&self) -> Vec<Field>;
    /// Returns the same counts in the same order each time.
    fn counts(&self) -> Vec<Count> {
        Vec::new()
    }
    /// Adds the promise of a watch to a status that can have one and has none of its own.
    fn with_promise(self, _promise: Option<Promise>) -> Self
    where
        Self: Sized,
    {
        self
    }
}

/// Watches.
impl Client {
    /// Watches a pool under the default names: see [`WatchBuilder`]. A second pool with the same name is refused and
    /// counted.
    pub fn watch_pool(&self, name: &str, status: impl FnMut() -> PoolStatus + Send + 'static) -> Watch {
        self.pool(name).watch(status)
    }

    /// Returns a builder for a watch of a pool.
    pub fn pool(&self, name: &str) -> WatchBuilder<'_, PoolStatus> {
        WatchBuilder::new(self, name)
    }

    /// Watches a queue under the default names: see [`WatchBuilder`]. A second queue with the same name is refused and
    /// counted.
    pub fn watch_queue(&self, name: &str, status: impl FnMut() -> QueueStatus + Send + 'static) -> Watch {
        self.queue(name).watch(status)
    }

    /// Returns a builder for a watch of a queue.
    pub fn queue(&self, name: &str) -> WatchBuilder<'_, QueueStatus> {
        WatchBuilder::new(self, name)
    }
}

/// A pool or a queue that is about to be watched. [`Client::pool`] and [`Client::queue`] return one.
///
/// Its gauges are named `<prefix>.<field>`, after the client's own prefix, and have a tag with the name of the pool or
/// queue: `shop.pool.in_use` with `pool:primary`. The peak since the last flush is `<prefix>.<field>.max`. The
/// configured limits, `pool.max` and `queue.capacity`, have no peak.
///
/// The prefix and the tags, in any order, identify a watch. While a watch is active, a second one with the same prefix
/// and tags is refused, because the two would overwrite each other's gauges. The status of a refused watch is never
/// polled, its [`Watch`] does nothing, and it is counted in [`Stats::refused_watches`](crate::Stats::refused_watches).
///
/// The prefix and the tags can be used again once
///
/// - the first [`Watch`] was dropped;
/// - its status was `None`;
/// - or its status panicked three times in a row.
///
/// A [detached](Watch::detach) watch keeps them like any other. In a forked child all of them are free, because the
/// parent's pools and queues are not watched there.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::PoolStatus;
///
/// let _first = client.watch_pool("primary", PoolStatus::new);
/// let _second = client.watch_pool("primary", PoolStatus::new); // refused
/// let _other = client.pool("primary").tag("shard", "2").watch(PoolStatus::new);
/// assert_eq!(client.stats().refused_watches, 1);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is watched until `watch` is called"]
pub struct WatchBuilder<'a, S> {
    client: &'a Client,
    prefix: String,
    tags: Vec<(String, String)>,
    promise: Option<Promise>,
    status: PhantomData<fn() -> S>,
}

impl<'a, S: Watchable> WatchBuilder<'a, S> {
    pub(crate) fn new(client: &'a Client, name: &str) -> Self {
        let tags = vec![(S::NOUN.to_owned(), name.to_owned())];
        Self { client, prefix: S::NOUN.to_owned(), tags, promise: None, status: PhantomData }
    }

    /// Sets the prefix of the gauges' names. The default is `pool` or `queue`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('.').clone_into(&mut self.prefix);
        self
    }

    /// Adds a tag to every gauge.
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Polls `status` at every collection until the [`Watch`] is dropped. By default there are four collections per
    /// second.
    ///
    /// `status` runs on a thread named `tasktag-probes`, which all watches of a client share. It should be quick,
    /// because the others wait for it.
    ///
    /// If `status` has not returned after 1 s, it is late. It is left behind with its thread, and another thread polls
    /// the others. Until it returns, its gauges are absent, and [`Stats::late_probes`](crate::Stats::late_probes) names
    /// it. [`Stats::probes_late`](crate::Stats::probes_late) counts it, and a [`LossNotice`](crate::LossNotice) reports
    /// it. Up to four threads can be left behind. With one more late call, nothing is polled until one of them returns.
    ///
    /// If `status` panics, the panic is caught and counted. After three panics in a row it is no longer polled. If the
    /// program is built with `panic = "abort"`, or if its panic hook ends the process, the first panic ends the
    /// program.
    pub fn watch(self, mut status: impl FnMut() -> S + Send + 'static) -> Watch {
        self.watch_while(move || Some(status()))
    }

    /// Does the same as [`watch`](Self::watch), for objects that may be gone before the [`Watch`] is dropped. A status
    /// of `None` ends the watch, as dropping it would.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use std::sync::{Arc, Mutex};
    /// use tasktag::QueueStatus;
    ///
    /// let jobs = Arc::new(Mutex::new(Vec::<String>::new()));
    /// let watched = Arc::downgrade(&jobs);
    /// client
    ///     .queue("jobs")
    ///     .watch_while(move || {
    ///         let depth = watched.upgrade()?.lock().ok()?.len() as u64;
    ///         Some(QueueStatus::new().depth(depth))
    ///     })
    ///     .detach();
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn watch_while(self, status: impl FnMut() -> Option<S> + Send + 'static) -> Watch {
        let name = self.watch_name();
        let levels = StatusLevels::new(self.client, &self.prefix, &self.tags);
        let probe = StatusProbe::new(&name, levels, self.promise, status);
        Watch::new(self.client.shared().watch_as(&name, Box::new(probe)))
    }

    fn watch_name(&self) -> Arc<WatchName> {
        let pairs = pairs(&self.tags);
        let mut tags = TagList::default();
        tags.set_slice(&pairs);
        WatchName::new(&self.client.shared().index, &self.prefix, &tags)
    }
}

/// Polls a status, and sets a gauge for each of its fields.
#[derive(Debug)]
struct StatusProbe<F> {
    // The name is taken for as long as this is polled.
    _name: Arc<WatchName>,
    levels: Arc<StatusLevels>,
    promise: Option<Promise>,
    status: F,
    // In the order of the status's counts. A count that was never above 0 has no counter.
    counters: Vec<Option<Counter>>,
    over: bool,
}

/// The gauges of a status, and what they have in common.
#[derive(Debug)]
struct StatusLevels {
    client: Client,
    prefix: String,
    tags: Vec<(String, String)>,
    // In the order of the status's fields. A field that was never known has no gauge. The lock is not held while a
    // status is polled.
    gauges: Mutex<Vec<Option<Gauge>>>,
}

impl StatusLevels {
    fn new(client: &Client, prefix: &str, tags: &[(String, String)]) -> Self {
        let (client, prefix, tags) = (client.clone(), prefix.to_owned(), tags.to_owned());
        Self { client, prefix, tags, gauges: Mutex::default() }
    }

    fn gauge(&self, field: Field) -> Gauge {
        let (name, tags) = (self.name(field.name), self.tags());
        let builder = self.client.gauge(&name).tags(&tags);
        if field.peak { builder.peak().register() } else { builder.register() }
    }

    fn counter(&self, name: &str) -> Counter {
        let (name, tags) = (self.name(name), self.tags());
        self.client.counter(&name).tags(&tags).register()
    }

    fn name(&self, name: &str) -> String {
        joined(&self.prefix, name)
    }

    fn tags(&self) -> Vec<(&str, &str)> {
        pairs(&self.tags)
    }

    fn report(&self, fields: Vec<Field>) {
        let mut gauges = self.gauges();
        gauges.resize_with(fields.len(), || None);
        for (gauge, field) in gauges.iter_mut().zip(fields) {
            match (field.value, gauge) {
                (Some(value), gauge) => gauge.get_or_insert_with(|| self.gauge(field)).set(value),
                (None, Some(gauge)) => gauge.unset(),
                (None, None) => {}
            }
        }
    }

    fn gauges(&self) -> MutexGuard<'_, Vec<Option<Gauge>>> {
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Levels for StatusLevels {
    fn make_absent(&self) {
        self.gauges().iter().flatten().for_each(Gauge::unset);
    }
}

impl<F> StatusProbe<F> {
    fn new(name: &Arc<WatchName>, levels: StatusLevels, promise: Option<Promise>, status: F) -> Self {
        let (name, levels) = (Arc::clone(name), Arc::new(levels));
        Self { _name: name, levels, promise, status, counters: Vec::new(), over: false }
    }

    fn report_counts(&mut self, counts: Vec<Count>) {
        self.counters.resize_with(counts.len(), || None);
        for (counter, count) in self.counters.iter_mut().zip(counts).filter(|(_, count)| count.added > 0) {
            counter.get_or_insert_with(|| self.levels.counter(count.name)).increment(count.added);
        }
    }
}

impl<S: Watchable, F: FnMut() -> Option<S> + Send> Collect for StatusProbe<F> {
    fn collect(&mut self) {
        let Some(status) = (self.status)() else {
            self.over = true;
            return;
        };
        let status = status.with_promise(self.promise);
        self.levels.report(status.fields());
        self.report_counts(status.counts());
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn name(&self) -> String {
        let first = self.levels.tags.first();
        first.map(|(noun, name)| format!("{noun}:{name}")).unwrap_or_default()
    }

    fn levels(&self) -> Option<Arc<dyn Levels>> {
        Some(Arc::clone(&self.levels) as Arc<dyn Levels>)
    }
}

/// Returns the name of a metric with a prefix.
fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn pairs(tags: &[(String, String)]) -> Vec<(&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Returns `part / whole` if both are known, and `None` if the whole is 0.
fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0 => Some(part as f64 / whole as f64),
        _ => None,
    }
}

fn level(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::{Capture, ManualClock};
    use std::time::Duration;

    struct Counted([u64; 2]);

    impl Watchable for Counted {}

    impl Reported for Counted {
        const NOUN: &'static str = "door";

        fn fields(&self) -> Vec<Field> {
            Vec::new()
        }

        fn counts(&self) -> Vec<Count> {
            let [opened, forced] = self.0;
            vec![Count { name: "opened", added: opened }, Count { name: "forced", added: forced }]
        }
    }

    #[test]
    fn what_a_status_counted_adds_up_and_0_is_not_sent() {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let builder = Client::builder().capture(&capture).clock(&clock).telemetry(false);
        let guard = builder.flush_interval(Duration::from_secs(3600)).build().unwrap();
        let client = guard.client();
        let mut statuses = [[2, 0], [3, 0], [0, 0], [0, 1]].into_iter();
        let _watch = WatchBuilder::new(client, "front").watch_while(move || statuses.next().map(Counted));
        let flushed = || {
            client.flush(Duration::from_secs(60)).unwrap();
            let metrics = capture.take_metrics().unwrap();
            metrics
                .iter()
                .map(|metric| {
                    assert_eq!((metric.code.as_str(), metric.tag("door")), ("c", Some("front")));
                    (metric.name.clone(), metric.value.number().unwrap())
                })
                .collect::<Vec<_>>()
        };
        clock.advance(Duration::from_secs(1));
        assert_eq!(flushed(), [("door.opened".to_owned(), 5.0)]);
        assert_eq!(client.stats().contexts, 1, "what was never counted has no context");
        assert_eq!(flushed(), []);
        assert_eq!(flushed(), [("door.forced".to_owned(), 1.0)]);
        assert_eq!(flushed(), []);
        assert_eq!(client.stats().contexts, 0, "it is over");
    }
}
