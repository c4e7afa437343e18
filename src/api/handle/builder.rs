//! From a name and tags to a handle, or to one call by name.

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
use std::fmt;
use std::sync::Arc;

/// A metric that is about to be registered, or called by name once.
///
/// [`Client::gauge`] and its sisters give one. [`register`](Self::register) makes a handle of it: do that once and
/// keep the handle wherever a metric is used more than now and then. The verbs of the kind (`set`, `increment`,
/// `record`, …) act by name without a handle; they allocate only when they first see a name with its tags. What a
/// thread called lately, up to 512 contexts and 64 distributions, each with up to 15 tags, it finds without a lock, the
/// rest under a read lock. A call with more than 32 tags allocates to sort them. Names and tag keys that are literals are the fastest: they are hashed when they are compiled.
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
    // A family's member: nothing else here is looked at then, so that a call need not load it.
    member: Option<MemberCall<'a, M>>,
}

/// Metrics by name and tags.
impl Client {
    /// A level: the last value wins.
    #[inline]
    pub fn gauge<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Gauge> {
        MetricBuilder::new(self, name, Kind::Gauge, Options::default())
    }

    /// How often something happened.
    #[inline]
    pub fn counter<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Counter> {
        MetricBuilder::new(self, name, Kind::Counter, Options::default())
    }

    /// Values whose quantiles are computed over all tasks, by the backend.
    #[inline]
    pub fn distribution<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Distribution> {
        MetricBuilder::new(self, name, Kind::Distribution, Options::default())
    }

    /// Values whose quantiles are computed by each agent.
    #[inline]
    pub fn histogram<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Distribution> {
        MetricBuilder::new(self, name, Kind::Histogram, Options::default())
    }

    /// Milliseconds whose quantiles are computed by each agent.
    #[inline]
    pub fn timing<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Distribution> {
        MetricBuilder::new(self, name, Kind::Timing, Options::default())
    }

    /// How many distinct members were seen.
    #[inline]
    pub fn set<'a>(&'a self, name: &'a str) -> MetricBuilder<'a, Set> {
        MetricBuilder::new(self, name, Kind::Set, Options::default())
    }

    /// How much of a capacity is in use, weighted by time. Without a capacity (0) only the units in use are reported;
    /// registering the same context with another capacity changes it.
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

    /// A call of a family's member.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a builder that is handed on would have to be written to memory")]
    pub(crate) fn of_member(member: MemberCall<'a, M>) -> Self {
        Self { named: member.bare(), member: Some(member) }
    }

    /// Has the tags of a member among its own, as any builder.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "most builders are no member, and that is known where they are made"
    )]
    pub(super) fn spelled_out(self) -> Self {
        if let Some(member) = self.member { Self { named: member.spell_out(), member: None } } else { self }
    }

    /// Adds a tag. The order does not matter: the same name and tags are the same cell.
    ///
    /// Up to 8 tags can be given like this; a ninth is left out and counted. [`tags`](Self::tags) takes any number.
    /// The key `task_id` is reserved: the worker adds it, and a tag of your own with that key is sent as `task_id_`, unless
    /// the client has [another key](crate::ClientBuilder::task_id_key).
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `call`")]
    pub fn tag(self, key: &'a str, value: &'a str) -> Self {
        let mut builder = self.spelled_out();
        builder.named.push(key, value);
        builder
    }

    /// Adds any number of tags. **Replaces** those of an earlier call of `tags`, and adds to those of `tag`.
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

    /// Leaves the task id out: all tasks that send the metric share its time series.
    ///
    /// That divides the number of time series by that of the tasks. It is right for what is added up or merged, as counters and
    /// distributions, if all tasks send to one server, or if their agents add the host. It is wrong for gauges, of which the
    /// last one wins, and for counters where each task has an agent that adds no host, as on Fargate: there
    /// one agent's sum overwrites another's. [`TaskIdOn`](crate::TaskIdOn) has a table.
    /// [`ClientBuilder::task_id_on`](crate::ClientBuilder::task_id_on) does the same for all metrics of some kinds.
    ///
    /// With the task id and without it, the same name and tags are two contexts and two time series, in whatever order
    /// they are used. With families and bounded tags, call it before those. Where the dialect has the task id
    /// [in names](crate::Agent::task_id_in_names), it is left out there. Every line of the metric is without it, those of
    /// a peak, of a summary and of an occupancy too.
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

    /// A handle. Never fails.
    ///
    /// Where there is [no room](crate::ClientBuilder::context_limit) for another context it is a handle of the metric's
    /// overflow context, which has the tag `tasktag_overflow:true` in place of those given: nothing is lost but what
    /// told its values apart. Where [`try_register`](Self::try_register) fails for another reason, the refusal is counted and the handle
    /// reports nothing: its values are in no count.
    #[must_use = "a handle is what keeps the metric alive"]
    pub fn register(self) -> M {
        self.spelled_out().named.into_handle()
    }

    /// A handle, or why there is none.
    ///
    /// # Errors
    ///
    /// When the name belongs to another kind, when it is empty, or when the client has no room for another context.
    /// The refusal is counted too.
    pub fn try_register(self) -> Result<M, RegisterError> {
        self.spelled_out().named.try_into_handle()
    }

    /// Lets it have the name of a metric whose kind goes with this one, as programs do that come from other clients.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    #[inline]
    pub(crate) fn beside(mut self) -> Self {
        self.named.options.beside = true;
        self
    }

    /// As [`register`](Self::register), for those that keep handles for others.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn place(self) -> Result<Placed<M>, DropReason> {
        self.named.place()
    }

    /// The same metric, to be registered more than once.
    pub(crate) fn pattern(&self) -> Pattern<M> {
        let spelled_out = self.member.as_ref().map(MemberCall::spell_out);
        Pattern::new(spelled_out.as_ref().unwrap_or(&self.named))
    }

    /// Acts on the cell by name, as [`Named::call`].
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
