//! The table of a client's contexts.

use super::by_hash::ByHash;
use super::series::Series;
use super::{Limits, Refusal, Wanted};
use crate::cell::CounterBlock;
use crate::context::Context;
use crate::context::shortage::{Refused, Shortage};
use crate::vocabulary::identity::{Descriptor, Identity};
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::DistinctTags;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Table {
    contexts: ByHash,
    // Other names and tags that are written in the same way as a context's own, in case they come again.
    aliases: ByHash,
    // By the address of their context.
    aliases_of: HashMap<usize, Vec<(u64, Arc<Context>)>>,
    aliases_len: usize,
    // The metrics of a name. There is one, or a counter and one whose kind goes with it.
    metrics: HashMap<Box<str>, Vec<Metric>>,
    pub(super) series: Series,
    // The number of contexts, without overflow contexts.
    pub(super) len: usize,
    pub(super) overflows: usize,
    // Refused for lack of room in the client.
    refused: Refused,
    // The block that holds the next counter's cell.
    pub(super) counters: CounterBlock,
    // Contexts that the worker has not seen yet.
    arrivals: Vec<Arc<Context>>,
}

/// The maximum number of descriptors that a metric keeps. Most have one, and a new context is compared with all. If a
/// metric has more that are in use, its further contexts share none.
const MOST_DESCRIPTORS: usize = 32;

/// What the contexts of a name and a kind share.
#[derive(Debug)]
struct Metric {
    kind: Kind,
    // For further contexts with the same keys.
    descriptors: Vec<Arc<Descriptor>>,
    contexts: usize,
    // The number of contexts that the metric's limit applies to.
    limited: usize,
    // Refused for lack of room in the metric.
    refused: Refused,
}

impl Metric {
    fn of(kind: Kind) -> Self {
        Self { kind, descriptors: Vec::new(), contexts: 0, limited: 0, refused: Refused::default() }
    }

    /// Counts a context, which shares the descriptor of others, or else has one that it shares with later ones.
    fn enter(&mut self, context: &mut Context) {
        self.contexts += 1;
        self.limited += usize::from(!context.is_bounded);
        if context.identity.share_descriptor(&self.descriptors) {
            return;
        }
        if self.descriptors.len() == MOST_DESCRIPTORS {
            self.descriptors.retain(|descriptor| Arc::strong_count(descriptor) > 1);
        }
        if self.descriptors.len() < MOST_DESCRIPTORS {
            self.descriptors.push(Arc::clone(context.identity.descriptor()));
        }
    }
}

/// The limit that is reached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Full {
    Client(usize),
    Metric(usize),
}

impl Full {
    pub(super) fn limit(self) -> usize {
        let (Self::Client(limit) | Self::Metric(limit)) = self;
        limit
    }
}

impl Table {
    /// Returns the context of a name, tags and a kind, or an alias of it.
    pub(super) fn find(
        &self,
        hash: u64,
        name: &str,
        tags: &DistinctTags<'_, '_>,
        kind: Kind,
    ) -> Option<&Arc<Context>> {
        let is = |known: &Context| known.is(name, tags, kind);
        self.contexts.find(hash, is).or_else(|| self.aliases.find(hash, is))
    }

    /// Returns all contexts in any order.
    pub(super) fn contexts(&self) -> Vec<Arc<Context>> {
        self.contexts.iter().cloned().collect()
    }

    pub(super) fn has_arrivals(&self) -> bool {
        !self.arrivals.is_empty()
    }

    /// Returns the contexts that arrived since the last call.
    pub(super) fn take_arrivals(&mut self) -> Vec<Arc<Context>> {
        mem::take(&mut self.arrivals)
    }

    /// Checks whether a metric may have a kind in addition to those that its name has.
    pub(super) fn check_kind(&self, name: &str, wanted: Wanted) -> Result<(), Refusal> {
        let known = self.metrics_of(name);
        if known.iter().any(|metric| metric.kind == wanted.kind) {
            return Ok(());
        }
        let fits = |metric: &Metric| wanted.beside && wanted.kind.goes_with(metric.kind);
        known.iter().find(|metric| !fits(metric)).map_or(Ok(()), |metric| Err(Refusal::Kind(metric.kind)))
    }

    fn metrics_of(&self, name: &str) -> &[Metric] {
        self.metrics.get(name).map_or(&[], Vec::as_slice)
    }

    fn metric(&self, name: &str, kind: Kind) -> Option<&Metric> {
        self.metrics_of(name).iter().find(|metric| metric.kind == kind)
    }

    /// Returns the limit that another context of a metric would exceed, if any. The metric's own limit comes first: a
    /// metric that reaches it makes room among its own contexts, and takes none from other metrics.
    pub(super) fn full(&self, name: &str, kind: Kind, limits: Limits) -> Option<Full> {
        let of_metric = self.metric(name, kind).map_or(0, |metric| metric.limited);
        if of_metric >= limits.metric {
            return Some(Full::Metric(limits.metric));
        }
        (self.len >= limits.client).then_some(Full::Client(limits.client))
    }

    /// Notes a refused context by its hash.
    pub(super) fn note_refused(&self, name: &str, kind: Kind, full: Full, hash: u64) {
        match (full, self.metric(name, kind)) {
            (Full::Metric(_), Some(metric)) => metric.refused.note(hash),
            _ => self.refused.note(hash),
        }
    }

    /// Returns what was refused for lack of room since the last call.
    pub(super) fn take_shortage(&self) -> Shortage {
        let mut shortage = Shortage::of_client(self.refused.take());
        for (name, metrics) in &self.metrics {
            for metric in metrics {
                shortage.add(name, metric.kind, metric.refused.take());
            }
        }
        shortage
    }

    /// Returns the number in which a context is counted.
    fn len_of(&mut self, context: &Context) -> &mut usize {
        if context.is_overflow() { &mut self.overflows } else { &mut self.len }
    }

    /// Inserts a context. `lines` has one hash per agent.
    pub(super) fn insert(&mut self, hash: u64, mut context: Context, lines: &[u64]) -> Arc<Context> {
        let metrics = self.metrics.entry(context.identity.name().into()).or_default();
        let place = metrics.iter().position(|metric| metric.kind == context.kind).unwrap_or_else(|| {
            metrics.push(Metric::of(context.kind));
            metrics.len() - 1
        });
        if let Some(metric) = metrics.get_mut(place) {
            metric.enter(&mut context);
        }
        let context = Arc::new(context);
        self.contexts.insert(hash, Arc::clone(&context));
        self.series.enter(lines);
        self.arrivals.push(Arc::clone(&context));
        *self.len_of(&context) += 1;
        context
    }

    /// Removes a retired context and its aliases.
    pub(super) fn remove(&mut self, hash: u64, context: &Arc<Context>, lines: &[u64]) {
        if !self.contexts.remove(hash, context) {
            return;
        }
        for (hash, alias) in self.aliases_of.remove(&address(context)).unwrap_or_default() {
            self.aliases.remove(hash, &alias);
            self.aliases_len -= 1;
            alias.retire();
        }
        self.series.leave(lines);
        *self.len_of(context) -= 1;
        let Some(metrics) = self.metrics.get_mut(context.identity.name()) else { return };
        if let Some(metric) = metrics.iter_mut().find(|metric| metric.kind == context.kind) {
            metric.contexts -= 1;
            metric.limited -= usize::from(!context.is_bounded);
        }
        metrics.retain(|metric| metric.contexts > 0);
        if metrics.is_empty() {
            self.metrics.remove(context.identity.name());
        }
    }

    pub(super) fn has_room_for_aliases(&self, limit: usize) -> bool {
        self.aliases_len < limit
    }

    /// Makes a context available under another name and tags.
    pub(super) fn add_alias(
        &mut self,
        hash: u64,
        name: &str,
        tags: &DistinctTags<'_, '_>,
        context: &Arc<Context>,
    ) {
        let alias = Arc::new(Context::alias(Identity::new(name, tags), context));
        self.aliases.insert(hash, Arc::clone(&alias));
        self.aliases_of.entry(address(context)).or_default().push((hash, alias));
        self.aliases_len += 1;
    }

    /// Returns the aliases of a context.
    pub(super) fn aliases_of(&self, context: &Arc<Context>) -> impl Iterator<Item = &Context> {
        self.aliases_of.get(&address(context)).into_iter().flatten().map(|(_, alias)| alias.as_ref())
    }

    /// Returns all aliases.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &Context> {
        self.aliases_of.values().flatten().map(|(_, alias)| alias.as_ref())
    }
}

fn address(context: &Arc<Context>) -> usize {
    Arc::as_ptr(context).addr()
}
