//! Aliases keep a name and tags as a caller passed them, so that they need not be cleaned again.

use super::Index;
use super::table::Table;
use crate::context::Context;
use crate::vocabulary::tag::DistinctTags;
use std::sync::Arc;

/// The maximum number of bytes of a name with its tags that are kept as they were passed. As they are written, names
/// and tags are short in any case.
const MAX_BYTES: usize = 4096;

/// A name and tags that were passed for a context which is written with others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed<'a> {
    /// `None` if they are too long to be kept.
    pub(super) hash: Option<u64>,
    pub(super) name: &'a str,
    pub(super) tags: &'a DistinctTags<'a, 'a>,
    /// The number of tags that are not sent to any agent.
    pub(super) left_out: u64,
}

impl Index {
    /// Adds an alias, if there is room, so that the passed name and tags find the context directly. Counts the tags
    /// that are left out once per context or alias, rather than once per call.
    pub(super) fn add_alias(
        &self,
        table: &mut Table,
        passed: &Passed<'_>,
        context: &Arc<Context>,
        is_new_context: bool,
    ) {
        let Passed { hash, name, tags, left_out } = *passed;
        // Another thread may have been faster.
        let is_unknown = |hash: &u64| table.find(*hash, name, tags, context.kind).is_none();
        let hash = hash.filter(is_unknown).filter(|_| table.has_room_for_aliases(self.limits.client));
        if let Some(hash) = hash {
            table.add_alias(hash, name, tags, context);
        }
        if is_new_context || hash.is_some() {
            self.ledgers.iter().for_each(|ledger| ledger.refused_tags.add(left_out));
        }
    }
}

/// Returns whether a name and tags are short enough to be kept as they were passed.
pub(super) fn is_short(name: &str, tags: &DistinctTags<'_, '_>) -> bool {
    let bytes = tags.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    name.len() + bytes <= MAX_BYTES
}
