//! Tags as call sites pass them: borrowed, stored inline, and limited in number.

use crate::vocabulary::text;
use std::sync::Arc;

/// The maximum number of tags that can be added one by one.
pub(crate) const MAX_SINGLE_TAGS: usize = 8;

/// The number of tags up to which a call compares them in place. A call with more tags allocates.
pub(crate) const FEW_TAGS: usize = 32;

type Pair<'a> = (&'a str, &'a str);

/// The tags of one call or registration, as the caller passed them: some one by one, some as a slice.
///
/// All of them are borrowed, and the list has no destructor. A builder that is consumed where it is made therefore
/// leaves no trace in the machine code.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TagList<'a> {
    singles: [Pair<'a>; MAX_SINGLE_TAGS],
    len: usize,
    slice: &'a [Pair<'a>],
    /// Whether the tag that the worker adds is left out. This is part of a context's identity, like any tag.
    pub(crate) without_task_id: bool,
}

impl<'a> TagList<'a> {
    /// Adds a tag. Returns `false` if there is no room for another one.
    #[inline]
    pub(crate) fn push(&mut self, key: &'a str, value: &'a str) -> bool {
        let Some(free) = self.singles.get_mut(self.len) else { return false };
        *free = (key, value);
        self.len += 1;
        true
    }

    /// Sets the slice, and replaces an earlier one.
    #[inline]
    pub(crate) fn set_slice(&mut self, slice: &'a [Pair<'a>]) {
        self.slice = slice;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Pair<'a>> + '_ {
        self.singles.iter().take(self.len).chain(self.slice).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.len + self.slice.len()
    }

    /// Returns the same tags without repetitions.
    pub(crate) fn distinct(&self) -> DistinctTags<'_, 'a> {
        if self.len() <= FEW_TAGS {
            return DistinctTags::Few(self);
        }
        DistinctTags::Many { pairs: sorted(self.iter()), without_task_id: self.without_task_id }
    }

    /// Returns the tags that were added one by one, and those of the slice. The compiler unrolls a loop over the first
    /// part if it knows their number.
    #[inline]
    pub(crate) fn parts(&self) -> [&[Pair<'a>]; 2] {
        [self.singles.get(..self.len).unwrap_or_default(), self.slice]
    }

    /// Returns owned tags, sorted and without repetitions.
    pub(crate) fn kept(&self) -> Tags {
        self.distinct().kept()
    }
}

fn sorted<'a>(pairs: impl Iterator<Item = Pair<'a>>) -> Vec<Pair<'a>> {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The tags of a [`TagList`] without repetitions. A small number of tags is compared pairwise in place. A larger number
/// is sorted, so that a thousand tags don't cost a million comparisons.
#[derive(Debug)]
pub(crate) enum DistinctTags<'l, 'a> {
    Few(&'l TagList<'a>),
    Many {
        /// The tags in sorted order.
        pairs: Vec<Pair<'a>>,
        without_task_id: bool,
    },
}

impl<'a> DistinctTags<'_, 'a> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Pair<'a>> + '_ {
        let (few, many) = match self {
            Self::Few(list) => (Some(*list), &[][..]),
            Self::Many { pairs, .. } => (None, pairs.as_slice()),
        };
        let repeats = move |place: usize, tag| {
            few.is_some_and(|list| list.iter().take(place).any(|earlier| earlier == tag))
        };
        let few = few.into_iter().flat_map(TagList::iter);
        few.chain(many.iter().copied())
            .enumerate()
            .filter(move |&(place, tag)| !repeats(place, tag))
            .map(|(_, tag)| tag)
    }

    /// See [`TagList`].
    pub(crate) fn without_task_id(&self) -> bool {
        match self {
            Self::Few(list) => list.without_task_id,
            Self::Many { without_task_id, .. } => *without_task_id,
        }
    }

    /// Returns the same tags in sorted order.
    pub(crate) fn sorted(&self) -> Vec<Pair<'a>> {
        match self {
            Self::Few(list) => sorted(list.iter()),
            Self::Many { pairs, .. } => pairs.clone(),
        }
    }

    /// Returns owned tags.
    pub(crate) fn kept(&self) -> Tags {
        let owned = self.sorted().into_iter().map(|(key, value)| (key.into(), value.into()));
        Tags { pairs: owned.collect(), without_task_id: self.without_task_id() }
    }
}

/// Owned tags. Those of a context are sorted and without repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    // Contexts of one metric have their keys in common.
    pairs: Box<[(Arc<str>, Box<str>)]>,
    /// See [`TagList`].
    pub(crate) without_task_id: bool,
}

impl Tags {
    pub(crate) fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value.into()));
        Self { pairs: pairs.collect(), without_task_id: false }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.pairs.iter().map(|(key, _)| key)
    }

    /// Uses these keys in place of equal ones, so that each is in memory once.
    pub(crate) fn share_keys(&mut self, keys: &[Arc<str>]) {
        for (own, _) in &mut self.pairs {
            if let Some(key) = keys.iter().find(|key| *key == own) {
                *own = Arc::clone(key);
            }
        }
    }

    /// Removes the tags beyond `len`, and returns their number.
    pub(crate) fn truncate(&mut self, len: usize) -> usize {
        let mut pairs = std::mem::take(&mut self.pairs).into_vec();
        let left_out = pairs.len().saturating_sub(len);
        pairs.truncate(len);
        self.pairs = pairs.into();
        left_out
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Returns whether these are the tags of a list, in any order.
    pub(crate) fn are(&self, tags: &DistinctTags<'_, '_>) -> bool {
        if self.without_task_id != tags.without_task_id() {
            return false;
        }
        match tags {
            DistinctTags::Many { pairs, .. } => self.iter().eq(pairs.iter().copied()),
            DistinctTags::Few(list) => {
                self.pairs.len() <= list.len()
                    && list.iter().all(|tag| self.iter().any(|kept| kept == tag))
                    && self.iter().all(|kept| list.iter().any(|tag| tag == kept))
            }
        }
    }

    /// Returns the order in which `list` has these tags. Returns `None` if the list has other tags, or more than an
    /// order holds.
    pub(crate) fn order_of(&self, list: &TagList<'_>) -> Option<TagOrder> {
        if list.len() > TagOrder::MOST {
            return None;
        }
        self.places_of(list).filter(|_| self.are(&DistinctTags::Few(list)))
    }

    /// Returns the positions of the tags of `list` among these. Returns `None` if one of them is missing, or if there
    /// are more than an order holds.
    fn places_of(&self, list: &TagList<'_>) -> Option<TagOrder> {
        let mut order = TagOrder::NONE;
        for pair in list.iter() {
            order.push(self.iter().position(|tag| tag == pair)?)?;
        }
        Some(order)
    }

    /// Returns the position of one tag among these.
    pub(crate) fn place_of(&self, tag: (&str, &str)) -> Option<TagOrder> {
        let place = self.iter().position(|kept| kept == tag)?;
        Some(TagOrder(place as u64))
    }

    /// Returns whether the tag at a [position](Self::place_of) has this value.
    #[inline]
    pub(crate) fn has_value(&self, place: TagOrder, value: &str) -> bool {
        let kept = usize::try_from(place.0).ok().and_then(|place| self.pairs.get(place));
        kept.is_some_and(|(_, kept)| text::same(value, kept))
    }

    /// Returns whether these are the tags of `list` in the given order, with one comparison per tag. It does not
    /// compare `without_task_id`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "see `recent`")]
    pub(crate) fn are_in(&self, order: TagOrder, list: &TagList<'_>) -> bool {
        let [singles, slice] = list.parts();
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
    fn has_at(&self, kept: usize, (key, value): &Pair<'_>) -> bool {
        self.pairs.get(kept).is_some_and(|(k, v)| text::same(key, k) && text::same(value, v))
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
            let kept = list.kept();
            let order = kept.order_of(&list);
            assert_eq!(order.is_some(), len <= 15, "{len} tags");
            assert!(order.is_none_or(|order| kept.are_in(order, &list)), "{len} tags");
        }
    }
}
