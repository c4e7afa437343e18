//! The tags of a line: a context's own, cleaned, and those of every line.

use super::{Encoder, clean};
use crate::vocabulary::identity::Identity;
use std::collections::HashSet;

/// A context's own tags as they are written, and whether the task id may follow them.
#[derive(Debug)]
pub(crate) struct OwnTags {
    pub(super) pairs: Vec<(String, String)>,
    pub(super) without_task_id: bool,
}

impl Encoder {
    /// A context's own tags, for all of its lines. The ones left out are counted.
    pub(crate) fn counted_own_tags(&mut self, identity: &Identity) -> OwnTags {
        OwnTags { pairs: self.counted_tags(identity.tags()), without_task_id: identity.without_task_id() }
    }

    /// The same for a line that is rendered later than the others.
    pub(crate) fn own_tags(&self, identity: &Identity) -> OwnTags {
        OwnTags { pairs: self.clean_tags(identity.tags()).0, without_task_id: identity.without_task_id() }
    }

    /// The tags as they are written, each once. The ones left out are counted.
    pub(super) fn counted_tags<'a>(
        &mut self,
        tags: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Vec<(String, String)> {
        let (cleaned, left_out) = self.clean_tags(tags);
        self.refused_tags += left_out;
        cleaned
    }

    /// The tags as they are written, each once, and how many are left out.
    pub(super) fn clean_tags<'a>(
        &self,
        tags: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> (Vec<(String, String)>, u64) {
        let (mut cleaned, mut left_out): (Vec<(String, String)>, u64) = (Vec::new(), 0);
        for (key, value) in tags {
            let mut key = self.grammar.tag_key(key);
            let is_reserved = clean::becomes(&key, &self.task_id_key);
            if is_reserved {
                // A tag that means another task's id stays apart from the client's under another key.
                key = self.grammar.tag_key(&format!("{}_", self.task_id_key));
            }
            if key.is_empty() || is_reserved && value == self.task_id {
                left_out += 1;
            } else {
                let mut value = self.grammar.tag_value(value);
                clean::fit(&key, &mut value);
                cleaned.push((key, value));
            }
        }
        let mut seen = HashSet::new();
        let mut is_first = cleaned.iter().map(|tag| seen.insert(tag)).collect::<Vec<_>>().into_iter();
        cleaned.retain(|_| is_first.next().unwrap_or(true));
        (cleaned, left_out)
    }

    /// A context's own tags, then the global ones with other keys, and the task id last if it is wanted.
    pub(super) fn with_globals<'a>(
        &'a self,
        own: &'a [(String, String)],
        with_task_id: bool,
    ) -> Vec<(&'a str, &'a str)> {
        let keys: HashSet<&str> = own.iter().map(|(key, _)| key.as_str()).collect();
        let globals = self.globals.iter().filter(|(key, _)| with_task_id || *key != self.task_id_key);
        let inherited = globals.filter(|(global, _)| !keys.contains(global.as_str()));
        own.iter().chain(inherited).map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}
