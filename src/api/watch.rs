//! Pools and queues as they are watched: a status, and the gauges that report it.

mod pool;
mod queue;

pub use self::pool::PoolStatus;
pub use self::queue::{QueueDepth, QueueStatus, QueueTicket};

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
    /// `None` is reported as nothing.
    pub(crate) value: Option<f64>,
}

/// Something that a status counted since the last one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) name: &'static str,
    pub(crate) added: u64,
}

/// A status that can be watched: [`PoolStatus`] or [`QueueStatus`].
///
/// It bounds what works alike for both. The trait is sealed: no other type can implement it.
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

/// How a status is reported.
pub(crate) trait Reported: Send + 'static {
    /// The default prefix of its gauges, and the key of the tag that names what is watched.
    const NOUN: &'static str;
    fn fields(&self) -> Vec<Field>;
    /// As many at every time, in the same order.
    fn counts(&self) -> Vec<Count> {
        Vec::new()
    }
}

/// What is watched.
impl Client {
    /// Watches a pool under the default names: see [`WatchBuilder`]. A second pool of the same name is refused and counted.
    pub fn watch_pool(&self, name: &str, status: impl FnMut() -> PoolStatus + Send + 'static) -> Watch {
        self.pool(name).watch(status)
    }

    /// A pool that is about to be watched.
    pub fn pool(&self, name: &str) -> WatchBuilder<'_, PoolStatus> {
        WatchBuilder::new(self, name)
    }

    /// Watches a queue under the default names: see [`WatchBuilder`]. A second queue of the same name is refused and counted.
    pub fn watch_queue(&self, name: &str, status: impl FnMut() -> QueueStatus + Send + 'static) -> Watch {
        self.queue(name).watch(status)
    }

    /// A queue that is about to be watched.
    pub fn queue(&self, name: &str) -> WatchBuilder<'_, QueueStatus> {
        WatchBuilder::new(self, name)
    }
}

/// A pool or a queue that is about to be watched. [`Client::pool`] and [`Client::queue`] give one.
///
/// Gauges are named `<prefix>.<field>` with the client's own prefix before them, and tagged with what is watched:
/// `shop.pool.in_use` with `pool:primary`. The peak since the last flush is `<prefix>.<field>.max`; the configured
/// limits, `pool.max` and `queue.capacity`, have none.
///
/// The prefix and the tags, in any order, are the name of what is watched, and only one thing is watched by a name: two
/// would overwrite each other's gauges. While the first is watched, a second of the same name is refused. Its status is never
/// asked, its [`Watch`] watches nothing, and it is counted in [`Stats::refused_watches`](crate::Stats::refused_watches). The
/// name is free again as soon as the first [`Watch`] is dropped, its status is `None`, or it panicked three times in a row. A
/// [detached](Watch::detach) watch keeps its name like any other. In a forked child all names are free, as the parent's pools
/// and queues are not watched there.
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
    status: PhantomData<fn() -> S>,
}

impl<'a, S: Watchable> WatchBuilder<'a, S> {
    pub(crate) fn new(client: &'a Client, name: &str) -> Self {
        let tags = vec![(S::NOUN.to_owned(), name.to_owned())];
        Self { client, prefix: S::NOUN.to_owned(), tags, status: PhantomData }
    }

    /// What the gauges' names start with. Defaults to `pool` or `queue`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('.').clone_into(&mut self.prefix);
        self
    }

    /// Adds a tag to every gauge.
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Has `status` asked at every collection, four times a second by default, until the [`Watch`] is dropped.
    ///
    /// It is asked on a thread named `tasktag-probes`, one for all watches of a client, and should be quick: the others
    /// wait for it. If it has not returned after 1 s, it is left behind with that thread and another thread goes on with the
    /// others: its gauges are absent until it returns, [`Stats::probes_late`](crate::Stats::probes_late) counts it, and
    /// [`Stats::late_probes`](crate::Stats::late_probes) and a [`LossNotice`](crate::LossNotice) name it. Four threads can be
    /// left behind; with one more such call nothing is asked until one of them returns. A panic of it is caught and
    /// counted; after three in a row it is asked no more. In a program that is built with `panic = "abort"`, or whose panic
    /// hook ends the process, the first panic ends the program.
    pub fn watch(self, mut status: impl FnMut() -> S + Send + 'static) -> Watch {
        self.watch_while(move || Some(status()))
    }

    /// As [`watch`](Self::watch), for what may be gone before the [`Watch`] is: a status of `None` ends the watching, as
    /// if the watch had been dropped.
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
        let pairs: Vec<_> = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut tags = TagList::default();
        tags.set_slice(&pairs);
        let name = WatchName::new(&self.client.shared().index, &self.prefix, &tags);
        let levels = StatusLevels {
            client: self.client.clone(),
            prefix: self.prefix,
            tags: self.tags,
            gauges: Mutex::default(),
        };
        let levels = Arc::new(levels);
        let probe =
            StatusProbe { _name: Arc::clone(&name), levels, status, counters: Vec::new(), over: false };
        Watch::new(self.client.shared().watch_as(&name, Box::new(probe)))
    }
}

/// Asks for a status and sets a gauge for each of its fields.
#[derive(Debug)]
struct StatusProbe<F> {
    // Taken for as long as this is asked.
    _name: Arc<WatchName>,
    levels: Arc<StatusLevels>,
    status: F,
    // In the order of the status's counts; what was never counted has none.
    counters: Vec<Option<Counter>>,
    over: bool,
}

/// What the gauges of a status have in common, and the gauges.
#[derive(Debug)]
struct StatusLevels {
    client: Client,
    prefix: String,
    tags: Vec<(String, String)>,
    // In the order of the status's fields; a field that was never known has none. Not locked while a status is asked for.
    gauges: Mutex<Vec<Option<Gauge>>>,
}

impl StatusLevels {
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
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn tags(&self) -> Vec<(&str, &str)> {
        self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
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

/// `part / whole` of what is known, and nothing where the whole is 0.
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
