//! A call of a family's member, which is told from the others by the value of one tag.

use super::metric::Metric;
use super::named::Named;
use super::pattern::Pattern;
use crate::ledger::DropReason;
use crate::mailbox::shared::Shared;
use std::sync::Arc;

/// Whose member is called, and how it is found.
pub(crate) struct MemberCall<'a, M> {
    pattern: &'a Pattern<M>,
    value: &'a str,
    known_by: KnownBy<'a, M>,
}

/// What a member is found by.
enum KnownBy<'a, M> {
    /// Its value's hash.
    Hash(u64),
    /// A handle that the family keeps of the one that stands for folded values.
    Handle(&'a M),
    /// The name and tags of that one: there was no room for a handle.
    Name,
}

// All expanded where they stand: what is handed on would have to be written to memory.
#[allow(clippy::inline_always, reason = "see above")]
impl<'a, M: Metric> MemberCall<'a, M> {
    /// By its value's hash.
    #[inline(always)]
    pub(crate) fn by_hash(pattern: &'a Pattern<M>, value: &'a str, hash: u64) -> Self {
        Self { pattern, value, known_by: KnownBy::Hash(hash) }
    }

    /// For a value that was folded, by the handle of the one that stands for it.
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

    /// The family's metric without its tags.
    #[inline(always)]
    pub(super) fn bare(&self) -> Named<'a, M> {
        self.pattern.bare()
    }

    /// The same by its name and all of its tags.
    #[cold]
    #[inline(never)]
    pub(super) fn spell_out(&self) -> Named<'a, M> {
        let mut named = self.pattern.spell_out(self.value);
        named.options.folded = !matches!(self.known_by, KnownBy::Hash(_));
        named
    }
}
