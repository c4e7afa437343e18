//! What the contexts of a family have in common.

use crate::api::client::Client;
use crate::api::handle::{
    Counter, Distribution, Gauge, MemberCall, Metric, MetricBuilder, Occupancy, Options, Set,
};
use crate::context::Context;
use crate::context::recent;
use crate::ledger::DropReason;
use crate::mailbox::shared::Shared;
use crate::vocabulary::error::RegisterError;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::{MAX_SINGLE_TAGS, TagList, Tags};
use std::marker::PhantomData;
use std::sync::Arc;

/// A kind of handle that families are made of.
pub(crate) trait Member: Metric + Clone {
    /// Members that a family of closed tags may have. They are all registered at once.
    const LIMIT: usize;
}

impl Member for Counter {
    const LIMIT: usize = 1024;
}

impl Member for Gauge {
    const LIMIT: usize = 1024;
}

impl Member for Set {
    const LIMIT: usize = 1024;
}

// 64 KiB each: 16 MiB.
impl Member for Distribution {
    const LIMIT: usize = 256;
}

// Three lines each at every flush, used or not.
impl Member for Occupancy {
    const LIMIT: usize = 256;
}

/// A metric without the tags that its family adds.
#[derive(Debug)]
pub(crate) struct Pattern<M> {
    client: Client,
    name: Box<str>,
    tags: Tags,
    kind: Kind,
    options: Options,
    // The key of the tag that tells members that are called by name from each other, and what tells them from those of
    // other families.
    key: Box<str>,
    family: u64,
    metric: PhantomData<fn() -> M>,
}

impl<M> Pattern<M> {
    /// The key of the tag that members differ in, where they are called by name.
    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

impl<M: Metric> Pattern<M> {
    pub(crate) fn new(client: &Client, name: &str, tags: &TagList<'_>, kind: Kind, options: Options) -> Self {
        let (client, tags) = (client.clone(), tags.kept());
        let options = Options { bounded: true, ..options };
        let (key, family) = (Box::default(), 0);
        Self { client, name: name.into(), tags, kind, options, key, family, metric: PhantomData }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    fn all_tags<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        self.tags.iter().chain(more.iter().copied()).collect()
    }

    /// Without tags.
    fn bare(&self) -> MetricBuilder<'_, M> {
        let builder = MetricBuilder::new(&self.client, &self.name, self.kind, self.options);
        if self.tags.without_task_id { builder.without_task_id() } else { builder }
    }

    fn builder<'a>(&'a self, tags: &'a [(&'a str, &'a str)]) -> MetricBuilder<'a, M> {
        self.bare().tags(tags)
    }

    /// A handle for the context with these tags beside the pattern's own.
    pub(crate) fn register(&self, more: &[(&str, &str)]) -> M {
        self.builder(&self.all_tags(more)).register()
    }

    pub(super) fn try_register(&self, more: &[(&str, &str)]) -> Result<M, RegisterError> {
        self.builder(&self.all_tags(more)).try_register()
    }

    /// Has members that are called by name and told apart by a tag with this key. Keeps as many tags as such a call can
    /// have beside it; the others are counted.
    pub(super) fn for_calls(mut self, key: &str) -> Self {
        (self.key, self.family) = (key.into(), recent::new_owner());
        let left_out = self.tags.truncate(MAX_SINGLE_TAGS - 1);
        self.client.shared().ledger.refused_tags.add(left_out as u64);
        self
    }

    /// A builder for a call by name of the member with this value, and its hash.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a builder that is handed on would have to be written to memory")]
    pub(super) fn call<'a>(&'a self, hash: u64, value: &'a str) -> MetricBuilder<'a, M> {
        let builder = MetricBuilder::new(&self.client, &self.name, self.kind, self.options);
        builder.of(MemberCall::by_hash(self, value, hash))
    }

    /// A builder for a call that stands for a folded value: by a handle where there is one, else by name.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `call`")]
    pub(super) fn call_folded<'a>(&'a self, value: &'a str, handle: Option<&'a M>) -> MetricBuilder<'a, M> {
        let builder = MetricBuilder::new(&self.client, &self.name, self.kind, self.options);
        builder.of(MemberCall::folded(self, value, handle))
    }

    /// The same as one that is no member.
    #[cold]
    #[inline(never)]
    pub(crate) fn spell_out<'a>(&'a self, value: &'a str) -> MetricBuilder<'a, M> {
        let own = self.bare().tag(&self.key, value);
        self.tags.iter().fold(own, |builder, (key, value)| builder.tag(key, value))
    }

    /// Acts on the cell of a member by name. What is handed on is in registers.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `recent`")]
    pub(crate) fn act(
        &self,
        hash: u64,
        value: &str,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        let done = recent::with_member(self.family, hash, value, M::IS_LARGE, |context| {
            // Of this kind, because no other is found and remembered, and as the family wants it since then.
            let cell = M::pick(&context.cell)?;
            let done = verb(cell, self.client.shared());
            context.call();
            Some(done)
        });
        match done.flatten() {
            Some(done) => done,
            None => self.act_slowly(hash, value, values, verb),
        }
    }

    /// Acts for a value that was folded, and is counted as that, where its family has no handle for it.
    #[cold]
    #[inline(never)]
    pub(crate) fn fold(
        &self,
        value: &str,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        let mut builder = self.spell_out(value);
        builder.options.folded = true;
        builder.look_up(values, verb, |_| ())
    }

    /// Finds a member's context, or makes it.
    #[cold]
    #[inline(never)]
    fn act_slowly(
        &self,
        hash: u64,
        value: &str,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        recent::let_go_of_member(hash, M::IS_LARGE);
        let remember =
            |known: &Arc<Context>| recent::remember_member(self.family, hash, &self.key, value, known);
        self.spell_out(value).look_up(values, verb, remember)
    }
}
