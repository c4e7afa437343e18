//! The options of a metric.

/// What a builder can set in addition to a name and tags.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each may be asked for without the others")]
pub(crate) struct Options {
    pub(crate) peak: bool,
    pub(crate) oldest: bool,
    pub(crate) capacity: Option<u32>,
    /// The tag values have a limit of their own, so the metric's limit does not apply.
    pub(crate) bounded: bool,
    /// A counter may have the name of a distribution, a histogram or a timing, and each of these may have the name of a
    /// counter.
    pub(crate) beside: bool,
    /// The call is for a folded value, and is counted as one.
    pub(crate) folded: bool,
}
