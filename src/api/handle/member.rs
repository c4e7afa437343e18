//! Calls of a family's member, which has its own value of one tag.

use super::metric::Metric;
use super::named::Named;
use super::pattern::Pattern;
use crate::ledger::DropReason;
use crate::mailbox::shared::Shared;
use std::sync::Arc;

/// The family that is called, and the way to find the member.
pub(crate) struct MemberCall<'a, M> {
    pattern: &'a Pattern<M>,
    value: &'a str,
    known_by: KnownBy<'a, M>,
}

/// The way to find a member.
enum KnownBy<'a, M> {
    /// By the hash of its value.
    Hash(u64),
    /// By the handle that the family keeps for folded values.
    Handle(&'a M),
    /// By the name and tags for folded values, because there was no room for a handle.
    Name,
}

// All of these are inlined, because otherwise arguments would have to be written to memory.
#[allow(clippy::inline_always, reason = "see above")]
impl<'a, M: Metric> MemberCall<'a, M> {
    /// Returns a call by the hash of a value.
    #[inline(always)]
    pub(crate) fn by_hash(pattern: &'a Pattern<M>, value: &'a str, hash: u64) -> Self {
        Self { pattern, value, known_by: KnownBy::Hash(hash) }
    }

    /// Returns a call for a folded value, by the handle for folded values.
    #[inline(always)]
    pub(crate) fn folded(pattern: &'a Pattern<M>, value: &'a str, handle: Option<&'a M>) -> Self {
        Self { pattern, value, known_by: handle.map_or(KnownBy::Name, KnownBy::Handle) }
    }

    /// Acts on the member's cell.
    #[inline(always)]
    pub(super) fn act(
        self,
        values: u64,
        verb: impl Fn(&Arc<M::Cell>, &Shared) -> Option<DropReason>,
    ) -> Option<DropReason> {
        match self.known_by {
            KnownBy::Hash(hash) => self.pattern.act(hash, self.value, values, verb),
            KnownBy::Handle(handle) => verb(handle.cell(), self.pattern.client().shared()),
            KnownBy::Name => self.pattern.fold(self.value, values, verb),
        }
    }

    /// Returns the family's metric without its tags.
    #[inline(always)]
    pub(super) fn bare(&self) -> Named<'a, M> {
        self.pattern.bare()
    }

    /// Returns the member by its name and all of its tags.
    #[cold]
    #[inline(never)]
    pub(super) fn spell_out(&self) -> Named<'a, M> {
        let mut named = self.pattern.spell_out(self.value);
        named.options.folded = !matches!(self.known_by, KnownBy::Hash(_));
        named
    }
}
