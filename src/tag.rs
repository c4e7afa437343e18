//! Tags on their way in: borrowed, in place, and counted.

/// Tags that are given one by one.
pub(crate) const MAX_SINGLE_TAGS: usize = 8;

type Pair<'a> = (&'a str, &'a str);

/// The tags of one call or registration, as the caller gave them: some one by one, some as a slice.
///
/// All borrowed and without a destructor, so that a builder that is used up where it is made leaves nothing of itself
/// in the machine code.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TagList<'a> {
    singles: [Pair<'a>; MAX_SINGLE_TAGS],
    len: usize,
    slice: &'a [Pair<'a>],
}

impl<'a> TagList<'a> {
    /// Adds a tag. `false` when there is no place for another.
    #[inline]
    pub(crate) fn push(&mut self, key: &'a str, value: &'a str) -> bool {
        let Some(free) = self.singles.get_mut(self.len) else { return false };
        *free = (key, value);
        self.len += 1;
        true
    }

    /// Puts a slice in the place of an earlier one.
    #[inline]
    pub(crate) fn set_slice(&mut self, slice: &'a [Pair<'a>]) {
        self.slice = slice;
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = Pair<'a>> + '_ {
        self.singles.iter().take(self.len).chain(self.slice).copied()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len + self.slice.len()
    }

    /// Whether a tag is there twice.
    pub(crate) fn repeats(&self) -> bool {
        self.iter().enumerate().any(|(place, tag)| self.iter().take(place).any(|earlier| earlier == tag))
    }

    /// The same tags, kept: sorted, each once.
    pub(crate) fn kept(&self) -> Tags {
        Tags::new(self.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

/// Tags that are kept; those of a context sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags(Box<[(String, String)]>);

impl Tags {
    pub(crate) fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        Self(pairs.into())
    }

    #[inline]
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

    /// The order in which `list` has these tags, or `None` where it repeats one, or has more than an order holds.
    pub(crate) fn order_of(&self, list: &TagList<'_>) -> Option<TagOrder> {
        let mut order = TagOrder::default();
        for (place, pair) in list.iter().enumerate() {
            let kept = self.iter().position(|tag| tag == pair)?;
            *order.0.get_mut(place)? = u8::try_from(kept).ok()?;
        }
        (list.len() == self.0.len()).then_some(order)
    }

    /// Whether these are the tags of `list`, which has them in this order: one comparison each.
    #[inline]
    pub(crate) fn are_in(&self, order: TagOrder, list: &TagList<'_>) -> bool {
        let same = |(pair, place): (Pair<'_>, &u8)| {
            self.0.get(usize::from(*place)).is_some_and(|(key, value)| key == pair.0 && value == pair.1)
        };
        self.0.len() == list.len() && list.iter().zip(&order.0).all(same)
    }
}

/// The order of a caller's tags among those that are kept, for up to 8.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TagOrder([u8; 8]);
