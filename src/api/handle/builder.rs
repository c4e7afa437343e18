//! Builds a handle, or makes one call by name, from a name and tags.

use super::member::MemberCall;
use super::metric::Metric;
use super::named::{Named, Placed};
use super::options::Options;
use super::pattern::Pattern;
use super::{Counter, Distribution, Gauge, Occupancy, Set};
use crate::api::client::Client;
use crate::ledger::DropReason;
use crate::mailbox::shared::Shared;
use crate::vocabulary::error::RegisterError;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag_value::TagValue;
use std::fmt;
use std::sync::Arc;

/// A metric that is about to be registered, or to be called once by name.
///
/// [`Client::gauge`] and the methods for the other kinds return one. [`register`](Self::register) turns it into a
/// handle. Register a metric once and keep the handle if you use it more than occasionally.
///
/// The verbs of a kind (`set`, `increment`, `record`, …) act by name, without a handle. Their costs are:
///
/// - They allocate when they see a name with its tags for the first time.
/// - Each thread remembers its latest 512 contexts and 64 distributions with up to 15 tags each, and finds them without
///   a lock. It finds all others under a read lock.
/// - A call with more than 32 tags allocates to sort them.
/// - Names and tag keys that are literals are the fastest, because they are hashed at compile time.
///
/// A timer needs a handle: write `client.timing("db.query").register().start_owned()`, or keep the handle and call
/// [`start`](Distribution::start). An occupancy needs a handle too.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let busy = client.gauge("workers.busy").tag("role", "importer").register();
/// busy.set(3.0);
///
/// let queue = "within_1_minute"; // known at run time
/// client.counter("jobs.done").tag("queue", queue).increment(1);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[must_use = "register it, or call one of its verbs"]
pub struct MetricBuilder<'a, M> {
    pub(super) named: Named<'a, M>,
    // A call of a family's member uses only this, so that it need not load the other fields.
    member: Option<MemberCall<'a, M>>,
}

/// Metrics by name and tags.
impl Client {
    /// Returns a builder for a gauge: a level, of which the last value wins.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let waiting = client.gauge("pool.waiting").tag("pool", "primary").register();
    /// waiting.set(3.0);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn gauge<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Gauge> {
        MetricBuilder::new(self, name, Kind::Gauge, Options::default())
    }

    /// Returns a builder for a counter: how often something happened.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let signups = client.counter("signups").register();
    /// signups.increment(1);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn counter<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Counter> {
        MetricBuilder::new(self, name, Kind::Counter, Options::default())
    }

    /// Returns a builder for a distribution: values whose quantiles the backend computes over all tasks.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let rows = client.distribution("import.rows").register();
    /// rows.record(1250.0);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn distribution<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Distribution> {
        MetricBuilder::new(self, name, Kind::Distribution, Options::default())
    }

    /// Returns a builder for a histogram: values whose quantiles each agent computes.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let size = client.histogram("upload.bytes").register();
    /// size.record(48_213.0);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn histogram<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Distribution> {
        MetricBuilder::new(self, name, Kind::Histogram, Options::default())
    }

    /// Returns a builder for a timing: milliseconds whose quantiles each agent computes.
    /// [`record_duration`](Distribution::record_duration) takes a `Duration`, and the handle can [`start`] a timer.
    ///
    /// [`start`]: Distribution::start
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use std::time::Duration;
    ///
    /// let query = client.timing("db.query").tag("pool", "primary").register();
    /// query.record_duration(Duration::from_micros(1250)); // `db.query:1.25|ms|#pool:primary,task_id:0042`
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn timing<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Distribution> {
        MetricBuilder::new(self, name, Kind::Timing, Options::default())
    }

    /// Returns a builder for a set: the number of distinct members.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let customers = client.set("customers.seen").register();
    /// customers.insert("4711");
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline]
    pub fn set<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Set> {
        MetricBuilder::new(self, name, Kind::Set, Options::default())
    }

    /// Returns a builder for an occupancy: the share of a capacity that is in use, weighted by time.
    ///
    /// With a capacity of 0, only the units in use are reported. Registering the same context with another capacity
    /// changes the capacity.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let workers = client.occupancy("workers", 8).tag("role", "importer").register();
    /// {
    ///     let _busy = workers.acquire();
    ///     // … one of the eight is in use until here
    /// }
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn occupancy<'a>(&'a self, name: &'a str, capacity: u32) -> MetricBuilder<'a, Occupancy> {
        let options = Options { capacity: Some(capacity), ..Options::default() };
        MetricBuilder::new(self, name, Kind::Occupancy, options)
    }
}

impl<'a, M: Metric> MetricBuilder<'a, M> {
    #[inline]
    pub(crate) fn new(client: &'a Client, name: &'a str, kind: Kind, options: Options) -> Self {
        Self { named: Named::new(client, name, kind, options), member: None }
    }

    /// Returns a builder for a call of a family's member.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a builder that is handed on would have to be written to memory")]
    pub(crate) fn of_member(member: MemberCall<'a, M>) -> Self {
        Self { named: member.bare(), member: Some(member) }
    }

    /// Expands a member's call into its name and tags, as any other builder has them.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "most builders are no member, and that is known where they are made"
    )]
    pub(super) fn spelled_out(self) -> Self {
        if let Some(member) = self.member { Self { named: member.spell_out(), member: None } } else { self }
    }

    /// Adds a tag, whose value is text, a `bool` or a closed tag: see [`TagValue`]. The order of tags does not matter:
    /// the same name and tags use the same cell.
    ///
    /// Up to 8 tags can be added one by one. A ninth is left out and counted. [`tags`](Self::tags) takes any number.
    /// The key `task_id` is reserved for the worker. A tag of yours with that key is sent as `task_id_`. If its value
    /// is this process's own task id, the tag is left out instead, and counted in
    /// [`Stats::refused_tags`](crate::Stats::refused_tags). If the client has
    /// [another key](crate::ClientBuilder::task_id_key), that key is reserved instead.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `call`")]
    pub fn tag(self, key: &'a str, value: impl TagValue<'a>) -> Self {
        let mut builder = self.spelled_out();
        builder.named.push(key, value.into_text());
        builder
    }

    /// Adds any number of tags. A second call of `tags` **replaces** the tags of the first. Tags that were added with
    /// `tag` are kept.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let (region, queue) = ("eu", "within_1_minute");
    /// client.counter("jobs.done").tags(&[("region", region), ("queue", queue)]).increment(1);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `call`")]
    pub fn tags(self, tags: &'a [(&'a str, &'a str)]) -> Self {
        let mut builder = self.spelled_out();
        builder.named.tags.set_slice(tags);
        builder
    }

    /// Leaves the task id out, so that all tasks that send the metric share its time series.
    ///
    /// This divides the number of time series by the number of tasks. It is right for counters and distributions, which
    /// are added up or merged, if all tasks send to one server, or if their agents add the host. It is wrong for
    /// gauges, of which the last one wins. It is also wrong for counters if each task has an agent that adds no host,
    /// as on Fargate: there one agent's sum overwrites another's. [`TaskIdOn`](crate::TaskIdOn) has a table.
    /// [`ClientBuilder::task_id_on`](crate::ClientBuilder::task_id_on) does the same for all metrics of some kinds.
    ///
    /// The same name and tags with and without the task id are two contexts and two time series, in whatever order they
    /// are used. With families and bounded tags, call this method first. It applies to every line of the metric,
    /// including those of a peak, a summary and an occupancy. In dialects that have the task id
    /// [in names](crate::Agent::task_id_in_names), it leaves it out there.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let done = client.counter("jobs.done").without_task_id().tag("queue", "mail").register();
    /// done.increment(1); // jobs.done:1|c|#queue:mail
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `call`")]
    pub fn without_task_id(self) -> Self {
        let mut builder = self.spelled_out();
        builder.named.tags.without_task_id = true;
        builder
    }

    /// Registers the metric, and returns a handle. This never fails.
    ///
    /// If there is [no room](crate::ClientBuilder::context_limit) for another context, the handle is that of the
    /// metric's overflow context. It has the tag `tasktag_overflow:true` instead of the metric's own tags. Only the
    /// tags are lost.
    ///
    /// If [`try_register`](Self::try_register) would fail for another reason, the refusal is counted, and the handle
    /// reports nothing. Its values are in no count.
    #[must_use = "a handle is what keeps the metric alive"]
    pub fn register(self) -> M {
        self.spelled_out().named.into_handle()
    }

    /// Registers the metric, and returns a handle or the reason why there is none.
    ///
    /// # Errors
    ///
    /// Fails if the name belongs to another kind, if it is empty, or if the client has no room for another context. The
    /// refusal is also counted.
    pub fn try_register(self) -> Result<M, RegisterError> {
        self.spelled_out().named.try_into_handle()
    }

    /// Allows the name of a metric of a compatible kind, because programs that come from other clients use such names.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    #[inline]
    pub(crate) fn beside(mut self) -> Self {
        self.named.options.beside = true;
        self
    }

    /// Does the same as [`register`](Self::register), for code that keeps handles on behalf of others.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn place(self) -> Result<Placed<M>, DropReason> {
        self.named.place()
    }

    /// Returns the same metric in a form that can be registered more than once.
    pub(crate) fn pattern(&self) -> Pattern<M> {
        let spelled_out = self.member.as_ref().map(MemberCall::spell_out);
        Pattern::new(spelled_out.as_ref().unwrap_or(&self.named))
    }

    /// Acts on the cell by name, in the same way as [`Named::call`].
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call by name costs twice as much otherwise")]
    pub(super) fn call(
        self,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        if let Some(member) = self.member { member.act(values, verb) } else { self.named.call(values, verb) }
    }
}

impl<M> fmt::Debug for MetricBuilder<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricBuilder")
            .field("name", &self.named.name)
            .field("kind", &self.named.kind)
            .field("tags", &self.named.tags)
            .field("options", &self.named.options)
            .finish_non_exhaustive()
    }
}
