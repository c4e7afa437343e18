//! What is asked of a metric beyond its name and tags.

/// What a builder may ask for beyond a name and tags.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each may be asked for without the others")]
pub(crate) struct Options {
    pub(crate) peak: bool,
    pub(crate) capacity: Option<u32>,
    /// The tags' values are limited elsewhere: the metric's limit is not for them.
    pub(crate) bounded: bool,
    /// A counter may have the name of a distribution, a histogram or a timing, and each of these that of a counter.
    pub(crate) beside: bool,
    /// The call stands for a value that was folded, and is counted as that.
    pub(crate) folded: bool,
}
