//! What families are made of.

use crate::api::handle::{Counter, Distribution, Gauge, Metric, Occupancy, Set};

/// A kind of handle that families are made of.
pub(crate) trait Member: Metric + Clone {
    /// Members that a family of closed tags may have. They are all registered at once.
    const LIMIT: usize;
}

impl Member for Counter {
    const LIMIT: usize = 1024;
}

impl Member for Gauge {
    const LIMIT: usize = 1024;
}

impl Member for Set {
    const LIMIT: usize = 1024;
}

// 64 KiB each: 16 MiB.
impl Member for Distribution {
    const LIMIT: usize = 256;
}

// Three lines each at every flush, used or not.
impl Member for Occupancy {
    const LIMIT: usize = 256;
}
