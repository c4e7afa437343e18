//! What the contexts of a family have in common.

use super::metric::Metric;
use super::named::Named;
use super::options::Options;
use crate::api::client::Client;
use crate::context::Context;
use crate::context::recent;
use crate::ledger::DropReason;
use crate::mailbox::shared::Shared;
use crate::vocabulary::error::RegisterError;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::{MAX_SINGLE_TAGS, Tags};
use std::marker::PhantomData;
use std::sync::Arc;

/// A metric without the tags that its family adds.
#[derive(Debug)]
pub(crate) struct Pattern<M> {
    client: Client,
    name: Box<str>,
    tags: Tags,
    kind: Kind,
    options: Options,
    // The key of the tag that distinguishes members that are called by name, and the mark that distinguishes them from
    // members of other families.
    key: Box<str>,
    family: u64,
    metric: PhantomData<fn() -> M>,
}

impl<M> Pattern<M> {
    /// The key of the tag that distinguishes members, if they are called by name.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

impl<M: Metric> Pattern<M> {
    pub(crate) fn new(named: &Named<'_, M>) -> Self {
        let (client, tags, kind) = (named.client.clone(), named.tags.kept(), named.kind);
        let options = Options { bounded: true, ..named.options };
        let (key, family) = (Box::default(), 0);
        Self { client, name: named.name.into(), tags, kind, options, key, family, metric: PhantomData }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    fn all_tags<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        self.tags.iter().chain(more.iter().copied()).collect()
    }

    /// Returns the metric without tags.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is handed on would have to be written to memory")]
    pub(super) fn bare(&self) -> Named<'_, M> {
        let mut named = Named::new(&self.client, &self.name, self.kind, self.options);
        named.tags.without_task_id = self.tags.without_task_id;
        named
    }

    fn with<'a>(&'a self, tags: &'a [(&'a str, &'a str)]) -> Named<'a, M> {
        let mut named = self.bare();
        named.tags.set_slice(tags);
        named
    }

    /// Registers the context with these tags in addition to the pattern's own, and returns a handle.
    pub(crate) fn register(&self, more: &[(&str, &str)]) -> M {
        self.with(&self.all_tags(more)).into_handle()
    }

    pub(crate) fn try_register(&self, more: &[(&str, &str)]) -> Result<M, RegisterError> {
        self.with(&self.all_tags(more)).try_into_handle()
    }

    /// Prepares for members that are called by name and distinguished by a tag with this key. It keeps as many tags as
    /// fit beside that tag, and counts the others as refused.
    pub(crate) fn for_calls(mut self, key: &str) -> Self {
        (self.key, self.family) = (key.into(), recent::new_owner());
        let left_out = self.tags.truncate(MAX_SINGLE_TAGS - 1);
        self.client.shared().ledger.refused_tags.add(left_out as u64);
        self
    }

    /// Returns a member by its name and all of its tags.
    #[cold]
    #[inline(never)]
    pub(crate) fn spell_out<'a>(&'a self, value: &'a str) -> Named<'a, M> {
        let mut named = self.bare();
        named.push(&self.key, value);
        self.tags.iter().for_each(|(key, value)| named.push(key, value));
        named
    }

    /// Acts on the cell of a member by name. Its arguments are passed in registers.
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
            // The cell has the right kind, because only such a context is remembered. It has had the family's options
            // since then.
            let cell = M::pick(&context.cell)?;
            Some(verb(cell, self.client.shared()))
        });
        match done.flatten() {
            Some(done) => done,
            None => self.act_slowly(hash, value, values, verb),
        }
    }

    /// Acts for a folded value, which is counted as one, if its family has no handle for folded values.
    #[cold]
    #[inline(never)]
    pub(crate) fn fold(
        &self,
        value: &str,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        let mut named = self.spell_out(value);
        named.options.folded = true;
        named.look_up(values, verb, |_| ())
    }

    /// Finds or creates a member's context.
    #[cold]
    #[inline(never)]
    fn act_slowly(
        &self,
        hash: u64,
        value: &str,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        if self.client.is_disabled() {
            return None;
        }
        recent::let_go_of_member(hash, M::IS_LARGE);
        let remember =
            |known: &Arc<Context>| recent::remember_member(self.family, hash, &self.key, value, known);
        self.spell_out(value).look_up(values, verb, remember)
    }
}
