//! What a context is known by: a name and tags.

use crate::vocabulary::small_text::SmallText;
use crate::vocabulary::tag::{DistinctTags, Pair, TagList};
use crate::vocabulary::text;
use std::sync::Arc;

/// A name and tags, which are sorted and without repetitions.
///
/// There may be a hundred thousand of them, so it has only its values for itself, in one allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    descriptor: Arc<Descriptor>,
    // For each key of the descriptor one.
    values: Box<[SmallText]>,
}

/// What the identities of a metric have in common if their tags have the same keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    name: Box<str>,
    keys: Box<[Box<str>]>,
    // See `TagList`.
    without_task_id: bool,
}

impl Identity {
    pub(crate) fn new(name: &str, tags: &DistinctTags<'_, '_>) -> Self {
        let (pairs, without_task_id) = (tags.sorted(), tags.without_task_id());
        let keys = pairs.iter().map(|(key, _)| (*key).into()).collect();
        let values = pairs.iter().map(|(_, value)| SmallText::new(value)).collect();
        Self { descriptor: Arc::new(Descriptor { name: name.into(), keys, without_task_id }), values }
    }

    pub(crate) fn descriptor(&self) -> &Arc<Descriptor> {
        &self.descriptor
    }

    /// Uses one of these descriptors in place of an equal one, so that it is in memory once. Returns whether there was
    /// one.
    pub(crate) fn share_descriptor(&mut self, known: &[Arc<Descriptor>]) -> bool {
        let equal = known.iter().find(|known| **known == self.descriptor);
        if let Some(known) = equal {
            self.descriptor = Arc::clone(known);
        }
        equal.is_some()
    }

    #[inline]
    pub(crate) fn name(&self) -> &str {
        &self.descriptor.name
    }

    /// See [`TagList`].
    pub(crate) fn without_task_id(&self) -> bool {
        self.descriptor.without_task_id
    }

    /// Returns the tags in sorted order.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.descriptor.keys.iter().map(|key| &**key).zip(self.values.iter().map(SmallText::as_str))
    }

    /// Returns whether it has this name and these tags, in any order.
    pub(crate) fn is(&self, name: &str, tags: &DistinctTags<'_, '_>) -> bool {
        *self.name() == *name && self.without_task_id() == tags.without_task_id() && self.has_all(tags)
    }

    /// Returns whether its tags are those of a list, in any order.
    fn has_all(&self, tags: &DistinctTags<'_, '_>) -> bool {
        match tags {
            DistinctTags::Many { pairs, .. } => self.tags().eq(pairs.iter().copied()),
            DistinctTags::Few(list) => {
                self.values.len() <= list.len()
                    && list.iter().all(|tag| self.place(tag).is_some())
                    && self.tags().all(|kept| list.iter().any(|tag| tag == kept))
            }
        }
    }

    /// Returns the order in which `list` has its tags. Returns `None` if the list has other tags, or more than an order
    /// holds.
    pub(crate) fn order_of(&self, list: &TagList<'_>) -> Option<TagOrder> {
        if list.len() > TagOrder::MOST || self.without_task_id() != list.without_task_id {
            return None;
        }
        self.places_of(list).filter(|_| self.has_all(&DistinctTags::Few(list)))
    }

    /// Returns the positions of the tags of `list` among its own. Returns `None` if one of them is missing, or if there
    /// are more than an order holds.
    fn places_of(&self, list: &TagList<'_>) -> Option<TagOrder> {
        let mut order = TagOrder::NONE;
        for pair in list.iter() {
            order.push(self.place(pair)?)?;
        }
        Some(order)
    }

    fn place(&self, (key, value): Pair<'_>) -> Option<usize> {
        let mut kept = self.descriptor.keys.iter().zip(&self.values);
        kept.position(|(kept_key, kept_value)| **kept_key == *key && kept_value.is(value))
    }

    /// Returns the position of one tag.
    pub(crate) fn place_of(&self, tag: (&str, &str)) -> Option<TagOrder> {
        self.place(tag).map(|place| TagOrder(place as u64))
    }

    /// Returns whether the tag at a [position](Self::place_of) has this value.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `recent`")]
    pub(crate) fn has_value(&self, place: TagOrder, value: &str) -> bool {
        usize::try_from(place.0).is_ok_and(|place| self.has_value_at(place, value))
    }

    /// Returns whether it has this name, and the tags of `list` in the given order, with one comparison per tag. It
    /// does not compare `without_task_id`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `recent`")]
    pub(crate) fn is_in(&self, order: TagOrder, name: &str, list: &TagList<'_>) -> bool {
        let [singles, slice] = list.parts();
        if !text::same(name, self.name()) {
            return false;
        }
        // One tag is the most frequent number, and has no order.
        if let ([(key, value)], []) = (singles, slice) {
            return self.is_only(key, value);
        }
        if order.len() != singles.len() + slice.len() {
            return false;
        }
        for (place, tag) in singles.iter().enumerate() {
            if !self.has_at(order.at(place), tag) {
                return false;
            }
        }
        for (place, tag) in slice.iter().enumerate() {
            if !self.has_at(order.at(singles.len() + place), tag) {
                return false;
            }
        }
        true
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `recent`")]
    fn is_only(&self, key: &str, value: &str) -> bool {
        let ([kept_key], [kept_value]) = (&*self.descriptor.keys, &*self.values) else { return false };
        text::same(key, kept_key) && kept_value.is(value)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `recent`")]
    fn has_at(&self, place: usize, (key, value): &Pair<'_>) -> bool {
        let kept = self.descriptor.keys.get(place);
        kept.is_some_and(|kept| text::same(key, kept)) && self.has_value_at(place, value)
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `recent`")]
    fn has_value_at(&self, place: usize, value: &str) -> bool {
        self.values.get(place).is_some_and(|kept| kept.is(value))
    }
}

/// The order of a caller's tags among the owned ones, for up to 15 tags. The lowest four bits are their number, and
/// each tag has four more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TagOrder(u64);

impl TagOrder {
    pub(crate) const NONE: Self = Self(0);
    /// The maximum number of tags in an order.
    const MOST: usize = (1 << Self::BITS) - 1;
    const BITS: usize = 4;
    const MASK: u64 = Self::MOST as u64;

    /// Adds the position of the next tag. Returns `None` if there is no room for it.
    fn push(&mut self, kept: usize) -> Option<()> {
        let (len, kept) = (self.len() as u64, u64::try_from(kept).ok()?);
        if len == Self::MASK || kept > Self::MASK {
            return None;
        }
        self.0 = (self.0 & !Self::MASK) | (len + 1) | kept << ((self.len() + 1) * Self::BITS);
        Some(())
    }

    #[inline]
    fn len(self) -> usize {
        (self.0 & Self::MASK) as usize
    }

    /// Returns the position of the caller's tag number `place`.
    #[inline]
    fn at(self, place: usize) -> usize {
        (self.0 >> ((place + 1) * Self::BITS) & Self::MASK) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_up_to_15_tags() {
        let texts: Vec<String> = (0..16).map(|n| format!("{n:02}")).collect();
        let pairs: Vec<Pair<'_>> = texts.iter().rev().map(|text| (text.as_str(), "value")).collect();
        for len in 0..=16 {
            let mut list = TagList::default();
            list.set_slice(&pairs[..len]);
            let identity = Identity::new("jobs", &list.distinct());
            let order = identity.order_of(&list);
            assert_eq!(order.is_some(), len <= 15, "{len} tags");
            assert!(order.is_none_or(|order| identity.is_in(order, "jobs", &list)), "{len} tags");
        }
    }
}
