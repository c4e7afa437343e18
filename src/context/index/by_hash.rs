//! Contexts by the hash of what they are known by.

use super::hashed::Hashed;
use crate::context::Context;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

/// Contexts by the hash of name and tags, so that a lookup needs no owned key.
#[derive(Debug, Default)]
pub(super) struct ByHash {
    first: HashMap<u64, Arc<Context>, BuildHasherDefault<Hashed>>,
    // Further contexts of a hash that another one has. The hashes have a random key and 64 bits, so there are next to
    // none, and a list for each hash would cost every context more than its place here.
    further: Vec<(u64, Arc<Context>)>,
}

impl ByHash {
    /// Returns a context of this hash for which `is` holds.
    pub(super) fn find(&self, hash: u64, is: impl Fn(&Context) -> bool) -> Option<&Arc<Context>> {
        let first = self.first.get(&hash)?;
        if is(first) {
            return Some(first);
        }
        let further = self.further.iter().filter(|(other, _)| *other == hash);
        further.map(|(_, context)| context).find(|context| is(context))
    }

    pub(super) fn insert(&mut self, hash: u64, context: Arc<Context>) {
        match self.first.entry(hash) {
            Entry::Vacant(place) => drop(place.insert(context)),
            Entry::Occupied(_) => self.further.push((hash, context)),
        }
    }

    /// Takes a context out, and returns whether it was there.
    pub(super) fn remove(&mut self, hash: u64, context: &Arc<Context>) -> bool {
        let is_first = self.first.get(&hash).is_some_and(|first| Arc::ptr_eq(first, context));
        let is_it = |(other, known): &(u64, Arc<Context>)| {
            *other == hash && (is_first || Arc::ptr_eq(known, context))
        };
        let further = self.further.iter().position(is_it).map(|place| self.further.swap_remove(place));
        match further {
            // One of the others takes the place of the first.
            Some((_, next)) if is_first => drop(self.first.insert(hash, next)),
            None if is_first => drop(self.first.remove(&hash)),
            further => return further.is_some(),
        }
        true
    }

    /// Returns all contexts in any order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Context>> {
        self.first.values().chain(self.further.iter().map(|(_, context)| context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Cell, SetCell};
    use crate::vocabulary::identity::Identity;
    use crate::vocabulary::kind::Kind;
    use crate::vocabulary::tag::TagList;

    fn context(name: &str) -> Arc<Context> {
        let cell = Cell::Set(Arc::new(SetCell));
        Arc::new(Context::new(Identity::new(name, &TagList::default().distinct()), Kind::Set, cell))
    }

    fn finds(contexts: &ByHash, name: &str) -> bool {
        contexts.find(7, |context| context.identity.name() == name).is_some()
    }

    #[test]
    fn contexts_of_one_hash_are_told_apart_in_whatever_order_they_leave() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut contexts = ByHash::default();
            let names = ["a", "b", "c"];
            let known = names.map(context);
            for context in &known {
                contexts.insert(7, Arc::clone(context));
            }
            contexts.insert(8, context("d"));
            for (left, leaving) in order.into_iter().enumerate() {
                assert!(
                    !finds(&contexts, "d")
                        && names.iter().filter(|name| finds(&contexts, name)).count() == 3 - left
                );
                assert!(contexts.remove(7, &known[leaving]));
                assert!(!finds(&contexts, names[leaving]) && !contexts.remove(7, &known[leaving]));
            }
            assert_eq!(contexts.iter().count(), 1);
        }
    }
}
