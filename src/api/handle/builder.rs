//! From a name and tags to a handle, or to one call by name.

use super::member::MemberCall;
use super::metric::Metric;
use super::options::Options;
use crate::api::client::Client;
use crate::api::dimension::Pattern;
use crate::cell::{Cell, CounterBlock};
use crate::context::Context;
use crate::context::index::{Refusal, Wanted};
use crate::context::recent;
use crate::ledger::DropReason;
use crate::mailbox::shared::Shared;
use crate::process::fork;
use crate::vocabulary::error::RegisterError;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::TagList;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A handle for somebody who keeps it.
#[derive(Debug)]
#[allow(dead_code, reason = "for bridges, each of which is optional")]
pub(crate) struct Placed<M> {
    pub(crate) handle: M,
    /// It is the metric's overflow context's.
    pub(crate) is_overflow: bool,
}

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
    client: &'a Client,
    name: &'a str,
    tags: TagList<'a>,
    // A family's member: nothing else here is looked at then, so that a call need not load it.
    member: Option<MemberCall<'a, M>>,
    kind: Kind,
    pub(crate) options: Options,
    metric: PhantomData<fn() -> M>,
}

#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<'a, M: Metric> MetricBuilder<'a, M> {
    #[inline]
    pub(crate) fn new(client: &'a Client, name: &'a str, kind: Kind, options: Options) -> Self {
        Self { client, name, tags: TagList::default(), member: None, kind, options, metric: PhantomData }
    }

    /// Makes it a call of a family's member.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a builder that is handed on would have to be written to memory")]
    pub(crate) fn of(self, member: MemberCall<'a, M>) -> Self {
        Self { member: Some(member), ..self }
    }

    /// Has the tags of a member among its own, as any builder.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "most builders are no member, and that is known where they are made"
    )]
    pub(super) fn spelled_out(self) -> Self {
        if let Some(member) = self.member { member.spell_out() } else { self }
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
        if !builder.tags.push(key, value) {
            builder.client.shared().ledger.refused_tags.add(1);
        }
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
        builder.tags.set_slice(tags);
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
        builder.tags.without_task_id = true;
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
        self.spelled_out().into_handle()
    }

    fn into_handle(self) -> M {
        let shared = self.client.shared();
        let (cell, _) = self.cell_or_overflow().unwrap_or_else(|_| {
            shared.ledger.refused_registrations.add(1);
            (M::new_cell(self.options, &mut CounterBlock::default(), &shared.clock), false)
        });
        M::adjust(&cell, self.options);
        M::handle(cell, shared)
    }

    /// A handle where there is room for a context, and nothing booked where there is none.
    pub(crate) fn own_handle(self) -> Option<M> {
        let (cell, _) = self.cell().ok()?;
        M::adjust(&cell, self.options);
        Some(M::handle(cell, self.client.shared()))
    }

    /// As [`register`](Self::register), for those that keep handles for others: it says whose handle it is, and where
    /// there is none why values are lost.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn place(self) -> Result<Placed<M>, DropReason> {
        let shared = self.client.shared();
        match self.cell_or_overflow() {
            Ok((cell, is_overflow)) => {
                M::adjust(&cell, self.options);
                Ok(Placed { handle: M::handle(cell, shared), is_overflow })
            }
            Err(refusal) => {
                shared.ledger.refused_registrations.add(1);
                Err(match refusal {
                    Refusal::ContextLimit(_) => DropReason::ContextLimit,
                    Refusal::EmptyName | Refusal::Kind(_) => DropReason::Invalid,
                })
            }
        }
    }

    /// A handle, or why there is none.
    ///
    /// # Errors
    ///
    /// When the name belongs to another kind, when it is empty, or when the client has no room for another context.
    /// The refusal is counted too.
    pub fn try_register(self) -> Result<M, RegisterError> {
        self.spelled_out().try_into_handle()
    }

    fn try_into_handle(self) -> Result<M, RegisterError> {
        let shared = self.client.shared();
        let refusal = match self.cell() {
            Ok((cell, _)) => {
                M::adjust(&cell, self.options);
                return Ok(M::handle(cell, shared));
            }
            Err(refusal) => refusal,
        };
        shared.ledger.refused_registrations.add(1);
        let (name, wanted) = (self.name.to_owned(), self.kind);
        Err(match refusal {
            Refusal::EmptyName => RegisterError::EmptyName,
            Refusal::Kind(registered) => RegisterError::KindMismatch { name, registered, wanted },
            Refusal::ContextLimit(limit) => RegisterError::ContextLimit { name, limit },
        })
    }

    /// Lets it have the name of a metric whose kind goes with this one, as programs do that come from other clients.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    #[inline]
    pub(crate) fn beside(mut self) -> Self {
        self.options.beside = true;
        self
    }

    fn wanted(&self) -> Wanted {
        let Options { bounded, beside, .. } = self.options;
        Wanted { kind: self.kind, bounded, beside }
    }

    fn make(&self, counters: &mut CounterBlock) -> Cell {
        M::wrap(M::new_cell(self.options, counters, &self.client.shared().clock))
    }

    fn cell_or_overflow(&self) -> Result<(Arc<M::Cell>, bool), Refusal> {
        self.cell().or_else(|refusal| match refusal {
            Refusal::ContextLimit(_) => self.overflow_cell().map(|cell| (cell, true)),
            other => Err(other),
        })
    }

    /// The cell of the context, which is made if it is new, and whether it is the metric's overflow context, asked for by
    /// its tag.
    fn cell(&self) -> Result<(Arc<M::Cell>, bool), Refusal> {
        let index = &self.client.shared().index;
        let make = |counters: &mut CounterBlock| self.make(counters);
        let cell = index.with_new(self.name, &self.tags, self.wanted(), make, |context| {
            context.register();
            M::pick(&context.cell).map(|cell| (Arc::clone(cell), context.is_overflow()))
        });
        // A context has one kind, and a kind one sort of cell.
        cell?.ok_or(Refusal::Kind(self.kind))
    }

    /// The cell of the metric's overflow context.
    fn overflow_cell(&self) -> Result<Arc<M::Cell>, Refusal> {
        let shared = self.client.shared();
        let make = |counters: &mut CounterBlock| self.make(counters);
        let (index, without_task_id) = (&shared.index, self.tags.without_task_id);
        let cell = index.with_overflow(self.name, without_task_id, self.wanted(), make, |context| {
            context.fold(1);
            context.register();
            M::pick(&context.cell).map(Arc::clone)
        });
        shared.ledger.folded_registrations.add(u64::from(cell.is_ok()));
        cell?.ok_or(Refusal::Kind(self.kind))
    }

    /// The same metric, to be registered more than once.
    pub(crate) fn pattern(&self) -> Pattern<M> {
        let spelled_out = self.member.as_ref().map(|member| member.spell_out().tags);
        Pattern::new(self.client, self.name, &spelled_out.unwrap_or(self.tags), self.kind, self.options)
    }

    /// Acts on the cell by name. `values` are booked as dropped where there is no cell. Says why they were dropped, if
    /// they were.
    ///
    /// Expanded where it stands, so that what is known there of the name and the tags is hashed and compared when it is
    /// compiled, and the rest need not be written to memory first.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call by name costs twice as much otherwise")]
    pub(super) fn call(
        self,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        if let Some(member) = self.member {
            return member.act(values, verb);
        }
        let index = &self.client.shared().index;
        let done = index.recall(self.name, &self.tags, self.kind, |context| self.act(context, &verb));
        if let Some(done) = done.flatten() {
            return done;
        }
        // A copy: what the other calls need of the builder stays in registers. In a closure it would not.
        let Self { client, name, tags, member, kind, options, metric } = self;
        Self { client, name, tags, member, kind, options, metric }.call_slowly(values, verb)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `call`")]
    fn act<T>(&self, context: &Context, verb: impl FnOnce(&Arc<M::Cell>, &Shared) -> T) -> Option<T> {
        let cell = M::pick(&context.cell).filter(|_| context.kind == self.kind)?;
        M::adjust(cell, self.options);
        let done = verb(cell, self.client.shared());
        context.call();
        Some(done)
    }

    /// Finds the context, or makes it.
    #[cold]
    #[inline(never)]
    fn call_slowly(
        &self,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        let index = &self.client.shared().index;
        recent::let_go(self.name, &self.tags, self.kind);
        self.look_up(values, &verb, |context| recent::remember(index.id(), &self.tags, context))
    }

    /// As [`call`](Self::call), for whoever remembers the context in a way of his own.
    pub(crate) fn look_up(
        &self,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
        remember: impl FnOnce(&Arc<Context>),
    ) -> Option<DropReason> {
        // Before anything that a forked child's start would find locked. What is recalled needs no lock, and every verb
        // checks for itself.
        fork::check();
        let index = &self.client.shared().index;
        let act = |context: &Context| self.act(context, &verb);
        let found = index.find(self.name, &self.tags, self.kind, remember, act).flatten();
        found.unwrap_or_else(|| self.call_new(values, act))
    }

    /// Makes the context, or books why there is none.
    fn call_new(
        &self,
        values: u64,
        act: impl Fn(&Context) -> Option<Option<DropReason>>,
    ) -> Option<DropReason> {
        let shared = self.client.shared();
        let make = |counters: &mut CounterBlock| self.make(counters);
        match shared.index.with_new(self.name, &self.tags, self.wanted(), make, &act) {
            Ok(Some(done)) => done,
            Err(Refusal::ContextLimit(_)) => self.call_overflow(values, act),
            Ok(None) | Err(_) => shared.refuse(DropReason::Invalid, values),
        }
    }

    /// Acts on the metric's overflow context, or books why there is none.
    fn call_overflow(
        &self,
        values: u64,
        act: impl FnOnce(&Context) -> Option<Option<DropReason>>,
    ) -> Option<DropReason> {
        let shared = self.client.shared();
        let make = |counters: &mut CounterBlock| self.make(counters);
        let (index, without_task_id) = (&shared.index, self.tags.without_task_id);
        let done = index.with_overflow(self.name, without_task_id, self.wanted(), make, |context| {
            context.fold(1);
            act(context)
        });
        match done {
            Ok(Some(done)) => {
                if !self.options.folded {
                    shared.ledger.folded_values.add(values);
                }
                done
            }
            Err(Refusal::ContextLimit(_)) => shared.refuse(DropReason::ContextLimit, values),
            Ok(None) | Err(_) => shared.refuse(DropReason::Invalid, values),
        }
    }
}

impl<M> fmt::Debug for MetricBuilder<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricBuilder")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("tags", &self.tags)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
