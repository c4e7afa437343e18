//! Tags on their way in: borrowed, in place, and counted.

/// Pairs that a [`TagList`] holds without allocating.
pub(crate) const INLINE_TAGS: usize = 8;

type Pair<'a> = (&'a str, &'a str);

/// The tags of one call or registration, as the caller gave them.
#[derive(Clone, Debug, Default)]
pub(crate) struct TagList<'a> {
    inline: [Pair<'a>; INLINE_TAGS],
    len: usize,
    spill: Vec<Pair<'a>>,
}

impl<'a> TagList<'a> {
    pub(crate) fn push(&mut self, key: &'a str, value: &'a str) {
        match self.inline.get_mut(self.len) {
            Some(free) => {
                *free = (key, value);
                self.len += 1;
            }
            None => self.spill.push((key, value)),
        }
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = Pair<'a>> + '_ {
        self.inline.iter().take(self.len).chain(&self.spill).copied()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len + self.spill.len()
    }

    /// The same tags, kept: sorted, each once.
    pub(crate) fn to_tags(&self) -> Tags {
        Tags::new(self.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

/// Tags that are kept: sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags(Box<[(String, String)]>);

impl Tags {
    pub(crate) fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        Self(pairs.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether these are the tags of `list`, in whatever order it has them.
    #[inline]
    pub(crate) fn are(&self, list: &TagList<'_>) -> bool {
        // A list that repeats a pair is longer than what is kept of it: a miss here, found again once it is kept.
        self.0.len() == list.len()
            && list.iter().all(|(key, value)| self.0.iter().any(|(k, v)| k == key && v == value))
            && self.iter().all(|(key, value)| list.iter().any(|pair| pair == (key, value)))
    }
}
