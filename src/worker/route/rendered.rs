//! The lines of one context.

use crate::wire::encode::Line;

/// The lines of a context's values on one route, rendered at the first flush.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) main: Line,
    // Most contexts have one line only, so the others cost no more than a word there.
    beside: Option<Box<Beside>>,
}

/// The lines that some contexts have beside their main one.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// The line of the peak: `<name>.max`, or an occupancy's `<name>.in_use.max`.
    pub(super) peak: Option<Line>,
    /// An occupancy's `<name>.utilization`.
    pub(super) utilization: Option<Line>,
    /// An occupancy's `<name>.oldest_seconds`, if it was asked for.
    pub(super) oldest: Option<Line>,
    /// For an overflow context, the line of how often something was folded into it.
    pub(super) folded: Option<Line>,
    /// `<name>.count`, and then one per suffix in `SUFFIXES`. It is empty if values are sent as they are.
    pub(super) summary: Box<[Line]>,
}

impl Rendered {
    pub(super) fn new(main: Line, beside: Beside) -> Self {
        let Beside { peak, utilization, oldest, folded, summary } = &beside;
        let is_alone =
            [peak, utilization, oldest, folded].into_iter().all(Option::is_none) && summary.is_empty();
        Self { main, beside: (!is_alone).then(|| Box::new(beside)) }
    }

    pub(super) fn set_peak(&mut self, peak: Line) {
        self.beside.get_or_insert_default().peak = Some(peak);
    }

    pub(super) fn set_oldest(&mut self, oldest: Line) {
        self.beside.get_or_insert_default().oldest = Some(oldest);
    }

    pub(crate) fn peak(&self) -> Option<&Line> {
        self.beside.as_ref()?.peak.as_ref()
    }

    pub(crate) fn utilization(&self) -> Option<&Line> {
        self.beside.as_ref()?.utilization.as_ref()
    }

    pub(crate) fn oldest(&self) -> Option<&Line> {
        self.beside.as_ref()?.oldest.as_ref()
    }

    pub(super) fn folded(&self) -> Option<&Line> {
        self.beside.as_ref()?.folded.as_ref()
    }

    pub(super) fn summary(&self) -> &[Line] {
        self.beside.as_ref().map_or(&[], |beside| &beside.summary)
    }
}
