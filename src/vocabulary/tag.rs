//! Tags as call sites pass them: borrowed, stored inline, and limited in number.

/// The maximum number of tags that can be added one by one.
pub(crate) const MAX_SINGLE_TAGS: usize = 8;

/// The number of tags up to which a call compares them in place. A call with more tags allocates.
const FEW_TAGS: usize = 32;

pub(super) type Pair<'a> = (&'a str, &'a str);

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
        let owned = self.sorted().into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        Tags { pairs: owned.collect(), without_task_id: self.without_task_id() }
    }
}

/// Owned tags, sorted and without repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    pairs: Vec<(String, String)>,
    /// See [`TagList`].
    pub(crate) without_task_id: bool,
}

impl Tags {
    pub(crate) fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        Self { pairs, without_task_id: false }
    }

    /// Removes the tags beyond `len`, and returns their number.
    pub(crate) fn truncate(&mut self, len: usize) -> usize {
        let left_out = self.pairs.len().saturating_sub(len);
        self.pairs.truncate(len);
        left_out
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}
