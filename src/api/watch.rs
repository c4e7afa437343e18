//! Watched pools and queues: a status, and the gauges that report it.

mod budget;
mod pgbouncer;
mod pool;
mod postgres;
mod queue;
mod scope;
mod status_probe;
mod work_queue;

pub use self::budget::ConnectionBudget;
pub use self::pgbouncer::{PgBouncerPool, PgBouncerStatus};
pub use self::pool::PoolStatus;
pub use self::postgres::{PostgresRow, PostgresStatus};
pub use self::queue::{
    Promise, QueueDepth, QueueStatus, QueueTicket, Queued, RunningJob, SqlQueue, SqlQueueRow,
};
pub use self::work_queue::{WorkQueue, WorkQueueBuilder};

use self::scope::Scope;
use self::status_probe::StatusProbe;
use crate::api::client::Client;
use crate::api::sole::SoleReporter;
use crate::callback::probe::{Collect, Watch};
use crate::vocabulary::tag_value::TagValue;
use std::marker::PhantomData;
use std::sync::Arc;

/// One gauge of a status.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Whether `<name>.max` is reported too. A configured limit has no peak.
    pub(crate) peak: bool,
    /// `None` is not reported.
    pub(crate) value: Option<f64>,
}

/// One gauge of a status with tags of its own. Its name is reported once for each group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) tags: Vec<(&'static str, String)>,
    pub(crate) value: f64,
}

/// A count that a status has added to since the last one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) name: &'static str,
    pub(crate) added: u64,
}

/// A status that can be watched: [`PoolStatus`], [`QueueStatus`], [`ConnectionBudget`], [`PostgresStatus`],
/// [`PgBouncerStatus`] or [`IdSpaceStatus`](crate::IdSpaceStatus).
///
/// Use it as a bound in functions that work for all of them. The trait is sealed: no other type can implement it.
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
    /// The key of the tag that names the pool or queue.
    const NOUN: &'static str;
    /// The default prefix of its gauges.
    const PREFIX: &'static str = Self::NOUN;
    /// Returns the same gauges in the same order each time.
    fn fields(&self) -> Vec<Field>;
    /// Returns what there is at the moment. A group that is missing in the next status is no longer reported.
    fn groups(&self) -> Vec<Group> {
        Vec::new()
    }
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
    sole: Option<SoleReporter>,
    has_task_id: bool,
    promise: Option<Promise>,
    status: PhantomData<fn() -> S>,
}

impl<'a, S: Watchable> WatchBuilder<'a, S> {
    pub(crate) fn new(client: &'a Client, name: &str) -> Self {
        let tags = vec![(S::NOUN.to_owned(), name.to_owned())];
        let prefix = S::PREFIX.to_owned();
        Self { client, prefix, tags, sole: None, has_task_id: true, promise: None, status: PhantomData }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn client(&self) -> &'a Client {
        self.client
    }

    /// Sets the prefix of the gauges' names. The default is `pool` or `queue`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('.').clone_into(&mut self.prefix);
        self
    }

    /// Adds a tag to every gauge. [`TagValue`] says what its value can be.
    pub fn tag<'v>(mut self, key: &str, value: impl TagValue<'v>) -> Self {
        self.tags.push((key.to_owned(), value.into_text().to_owned()));
        self
    }

    /// Has only the task with this lease poll and report, without a task id. Use it for what belongs to all tasks, such
    /// as a queue in a database. In the other tasks, the gauges are absent.
    ///
    /// ```no_run
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// # use tasktag::{QueueStatus, TaskIdSource};
    /// # fn waiting_in_database() -> u64 { 0 }
    /// let sole = client.sole_reporter(TaskIdSource::leased("/run/shop/mail-queue"))?;
    /// client.queue("mail").by(&sole).watch(|| QueueStatus::new().depth(waiting_in_database())).detach();
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn by(mut self, sole: &SoleReporter) -> Self {
        self.sole = Some(sole.clone());
        self
    }

    /// Leaves the task id out, for what belongs to all tasks and of which there is only one reporter anyway, such as a
    /// program that runs once beside a fleet. If several tasks report it, their gauges overwrite each other: have one
    /// of them do so, with [`by`](Self::by), which leaves the task id out as well.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # use tasktag::testing::Capture;
    /// # use tasktag::Client;
    /// # use std::time::Duration;
    /// # let capture = Capture::new();
    /// # let guard = Client::builder().capture(&capture).telemetry(false).build()?;
    /// # let client = guard.client();
    /// use tasktag::PoolStatus;
    ///
    /// let _watch = client.pool("licenses").without_task_id().watch(|| PoolStatus::new().max(10));
    /// # client.flush(Duration::from_secs(5))?;
    /// # assert_eq!(capture.take_lines(), ["pool.max:10|g|#pool:licenses"]);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn without_task_id(mut self) -> Self {
        self.has_task_id = false;
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
        let (client, promise) = (self.client, self.promise);
        let scope = self.into_scope();
        let name = scope.watch_name();
        let probe = StatusProbe::new(&name, scope, promise, status);
        Watch::new(client.shared().watch_as(&name, Box::new(probe)))
    }

    /// Does the same as [`watch_while`](Self::watch_while), also in forked children. `status` is code of this crate.
    pub(crate) fn watch_in_every_process(
        self,
        status: impl Fn() -> Option<S> + Clone + Send + 'static,
    ) -> Watch {
        let Self { client, prefix, tags, has_task_id, promise, .. } = self;
        let name = Scope::new(client.clone(), prefix.clone(), tags.clone(), None).watch_name();
        let (shared, own_name) = (client.shared(), Arc::clone(&name));
        let client = Arc::downgrade(shared);
        let probes = move |_is_child: bool| {
            // The client keeps this for its children, so this must not keep the client.
            let scope = Scope::new(Client::new(client.upgrade()?), prefix.clone(), tags.clone(), None);
            let scope = if has_task_id { scope } else { scope.without_task_id() };
            let probe = StatusProbe::new(&own_name, scope, promise, status.clone());
            Some(Box::new(probe) as Box<dyn Collect>)
        };
        Watch::new(shared.watch_as_in_every_process(&name, probes))
    }

    pub(crate) fn into_scope(self) -> Scope {
        let scope = Scope::new(self.client.clone(), self.prefix, self.tags, self.sole);
        if self.has_task_id { scope } else { scope.without_task_id() }
    }
}

#[cfg(any(feature = "bb8", feature = "mysql_async", feature = "redis"))]
impl<'a, T> WatchBuilder<'a, T> {
    /// Returns a builder for the same pool or queue, whose status has more than this one's.
    pub(crate) fn with_status<S: Watchable>(self) -> WatchBuilder<'a, S> {
        let Self { client, prefix, tags, sole, has_task_id, promise, .. } = self;
        WatchBuilder { client, prefix, tags, sole, has_task_id, promise, status: PhantomData }
    }
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
