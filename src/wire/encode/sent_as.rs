//! Kinds, their codes, and the kind that another one is sent as.

use crate::vocabulary::kind::Kind;

pub(super) const MILLISECONDS: &[u8] = b"|ms";

/// The kinds that distributions, histograms and timings are sent as. The dialect supports each of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentAs {
    pub(crate) distributions: Kind,
    pub(crate) histograms: Kind,
    pub(crate) timings: Kind,
}

impl SentAs {
    pub(super) fn code(self, kind: Kind) -> &'static [u8] {
        code(match kind {
            Kind::Distribution => self.distributions,
            Kind::Histogram => self.histograms,
            Kind::Timing => self.timings,
            other => other,
        })
    }
}

fn code(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Gauge | Kind::Occupancy => b"|g",
        Kind::Counter => b"|c",
        Kind::Distribution => b"|d",
        Kind::Histogram => b"|h",
        Kind::Timing => MILLISECONDS,
        Kind::Set => b"|s",
    }
}
