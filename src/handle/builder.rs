//! From a name and tags to a handle, or to one call by name.

use crate::cell::{Cell, CounterBlock};
use crate::client::Client;
use crate::context::Context;
use crate::dimension::Pattern;
use crate::error::RegisterError;
use crate::index::Refusal;
use crate::kind::Kind;
use crate::ledger::DropReason;
use crate::shared::Shared;
use crate::tag::TagList;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A kind of handle, and how it meets its cell.
pub(crate) trait Metric: Sized {
    /// The atomics that it writes.
    type Cell;

    fn new_cell(options: Options, counters: &mut CounterBlock) -> Arc<Self::Cell>;
    fn wrap(cell: Arc<Self::Cell>) -> Cell;
    fn pick(cell: &Cell) -> Option<&Arc<Self::Cell>>;
    fn adjust(_cell: &Self::Cell, _options: Options) {}
    fn handle(cell: Arc<Self::Cell>, shared: &Arc<Shared>) -> Self;
}

/// What a builder may ask for beyond a name and tags.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) peak: bool,
    pub(crate) capacity: Option<u32>,
    pub(crate) opened: u64,
}

/// A metric that is about to be registered, or called by name once.
///
/// [`Client::gauge`] and its sisters give one. [`register`](Self::register) makes a handle of it: do that once and
/// keep the handle wherever a metric is used more than now and then. The verbs of the kind (`set`, `increment`,
/// `record`, …) act by name without a handle; they allocate only when they first see a name with its tags. What a
/// thread called lately it finds without a lock, the rest, and distributions, under a read lock.
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
    kind: Kind,
    pub(super) options: Options,
    metric: PhantomData<fn() -> M>,
}

#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<'a, M: Metric> MetricBuilder<'a, M> {
    #[inline]
    pub(crate) fn new(client: &'a Client, name: &'a str, kind: Kind, options: Options) -> Self {
        Self { client, name, tags: TagList::default(), kind, options, metric: PhantomData }
    }

    /// Adds a tag. The order does not matter: the same name and tags are the same cell.
    ///
    /// Up to 8 tags can be given like this; a ninth is left out and counted. [`tags`](Self::tags) takes any number.
    /// The key `task_id` is reserved: the worker adds it, and a tag with that key is left out and counted.
    #[inline]
    pub fn tag(mut self, key: &'a str, value: &'a str) -> Self {
        if !self.tags.push(key, value) {
            self.client.shared().ledger.refused_tags.add(1);
        }
        self
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
    #[inline]
    pub fn tags(mut self, tags: &'a [(&'a str, &'a str)]) -> Self {
        self.tags.set_slice(tags);
        self
    }

    /// A handle. Never fails: where [`try_register`](Self::try_register) would, the refusal is counted and the handle
    /// reports nothing: its values are in no count.
    #[must_use = "a handle is what keeps the metric alive"]
    pub fn register(self) -> M {
        let (shared, options) = (self.client.shared(), self.options);
        self.try_register()
            .unwrap_or_else(|_| M::handle(M::new_cell(options, &mut CounterBlock::default()), shared))
    }

    /// A handle, or why there is none.
    ///
    /// # Errors
    ///
    /// When the name belongs to another kind, when it is empty, or when the client has no room for another context.
    /// The refusal is counted too.
    pub fn try_register(self) -> Result<M, RegisterError> {
        let shared = self.client.shared();
        let make = |counters: &mut CounterBlock| M::wrap(M::new_cell(self.options, counters));
        let cell = shared.index.with_new(self.name, &self.tags, self.kind, make, |context| {
            M::pick(&context.cell).map(Arc::clone)
        });
        let refusal = match cell {
            Ok(Some(cell)) => {
                M::adjust(&cell, self.options);
                return Ok(M::handle(cell, shared));
            }
            // A name has one kind, and a kind one sort of cell.
            Ok(None) => Refusal::Kind(self.kind),
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

    /// The same metric, to be registered more than once.
    pub(crate) fn pattern(&self) -> Pattern<M> {
        Pattern::new(self.client, self.name, &self.tags, self.kind, self.options)
    }

    /// Acts on the cell by name. `values` are booked as dropped where there is no cell.
    #[inline]
    pub(super) fn call(&self, values: u64, verb: impl Fn(&Arc<M::Cell>, &Shared)) {
        let shared = self.client.shared();
        let act = |context: &Context| {
            let cell = M::pick(&context.cell).filter(|_| context.kind == self.kind)?;
            M::adjust(cell, self.options);
            verb(cell, shared);
            context.call();
            Some(())
        };
        let done = shared.index.with(self.name, &self.tags, act);
        if done.flatten().is_none() {
            self.call_new(values, act);
        }
    }

    /// Makes the context, or books why there is none.
    #[cold]
    fn call_new(&self, values: u64, act: impl Fn(&Context) -> Option<()>) {
        let shared = self.client.shared();
        let make = |counters: &mut CounterBlock| M::wrap(M::new_cell(self.options, counters));
        let reason = match shared.index.with_new(self.name, &self.tags, self.kind, make, act) {
            Ok(Some(())) => return,
            Err(Refusal::ContextLimit(_)) => DropReason::ContextLimit,
            Ok(None) | Err(_) => DropReason::Invalid,
        };
        shared.ledger.refuse(reason, values);
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
