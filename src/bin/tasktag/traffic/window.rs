//! The values of one series within a stretch of time.

use super::sketch::Sketch;
use std::collections::HashSet;

/// Different members that are told apart in one window. More are counted as this many.
const MAX_MEMBERS: usize = 1000;

/// What came within an interval, or since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// How many values came, each as often as its sample rate says.
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    sketch: Sketch,
    // By their hashes: a member may be as long as a packet.
    members: HashSet<u64>,
}

impl Window {
    pub(crate) fn add(&mut self, value: f64, weight: f64, keeps_quantiles: bool) {
        self.count += weight;
        self.sum += value * weight;
        self.widen(Some(value), Some(value));
        if keeps_quantiles {
            self.sketch.add(value, weight);
        }
    }

    pub(crate) fn add_member(&mut self, hash: u64) {
        self.count += 1.0;
        if self.members.len() < MAX_MEMBERS {
            self.members.insert(hash);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.widen(other.min, other.max);
        self.sketch.merge(&other.sketch);
        let room = MAX_MEMBERS.saturating_sub(self.members.len());
        self.members.extend(other.members.iter().take(room));
    }

    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        // A bucket's middle may be outside of what was seen.
        let found = self.sketch.quantile(share)?;
        Some(found.clamp(self.min?, self.max?))
    }

    /// How many different members came.
    pub(crate) fn distinct(&self) -> usize {
        self.members.len()
    }

    fn widen(&mut self, min: Option<f64>, max: Option<f64>) {
        self.min = [self.min, min].into_iter().flatten().reduce(f64::min);
        self.max = [self.max, max].into_iter().flatten().reduce(f64::max);
    }
}
