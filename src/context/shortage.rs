//! The contexts that were refused for lack of room, and those that have to leave.

use crate::context::Context;
use crate::process::sync::wide::AtomicU64;
use crate::vocabulary::kind::Kind;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of refused contexts that are distinguished between two flushes. If more were refused, the worker makes
/// room for this many.
pub(crate) const MOST_REFUSED: usize = 64;

/// The different contexts that one limit refused since the worker last took them.
///
/// Once a limit is reached most calls are refused, so noting one must be cheap: it takes no lock, and allocates only
/// once.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    len: AtomicUsize,
    hashes: OnceLock<Box<[AtomicU64; MOST_REFUSED]>>,
}

impl Refused {
    /// Notes a context by the hash of its name and tags.
    ///
    /// The caller holds the index's lock, which a forking thread also holds, so that no child finds a half-made table.
    pub(crate) fn note(&self, hash: u64) {
        if self.len.load(Ordering::Relaxed) >= MOST_REFUSED {
            return;
        }
        // 0 marks a free entry.
        let hash = hash.max(1);
        let hashes = self.hashes.get_or_init(|| Box::new([const { AtomicU64::new(0) }; MOST_REFUSED]));
        // The upper bits are mixed better.
        let start = (hash >> 32) as usize % MOST_REFUSED;
        for place in hashes.iter().cycle().skip(start).take(MOST_REFUSED) {
            match place.compare_exchange(0, hash, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    self.len.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(known) if known == hash => return,
                Err(_) => {}
            }
        }
    }

    /// Returns how many there were since the last call.
    pub(crate) fn take(&self) -> usize {
        let hashes = self.hashes.get().into_iter().flat_map(|hashes| hashes.iter());
        let refused = hashes.filter(|place| place.swap(0, Ordering::Relaxed) != 0).count();
        self.len.store(0, Ordering::Relaxed);
        refused
    }
}

/// The number of contexts that have to leave to make room for those that were refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shortage {
    /// Any contexts of the client.
    pub(crate) client: usize,
    // Contexts of one metric. A name may belong to a counter and one other metric.
    metrics: HashMap<Kind, HashMap<String, usize>>,
}

impl Shortage {
    /// `refused` is the number of contexts that the client's limit refused.
    pub(crate) fn of_client(refused: usize) -> Self {
        Self { client: refused, metrics: HashMap::new() }
    }

    /// Counts contexts that a metric's own limit refused.
    pub(crate) fn add(&mut self, name: &str, kind: Kind, refused: usize) {
        if refused > 0 {
            *self.metrics.entry(kind).or_default().entry(name.to_owned()).or_default() += refused;
        }
    }

    /// Returns whether a context with this name, as it is written, takes room from something that was refused.
    #[allow(dead_code, reason = "for bridges, each of which is optional")]
    pub(crate) fn concerns(&self, name: &str) -> bool {
        self.client > 0 || self.metrics.values().any(|metrics| metrics.contains_key(name))
    }

    /// Returns whether any context has to leave.
    pub(crate) fn is_any_missing(&self) -> bool {
        self.client > 0 || self.metrics.values().flat_map(HashMap::values).any(|missing| *missing > 0)
    }

    /// Returns whether removing the context makes room for something that was refused.
    pub(crate) fn gains_by(&self, context: &Context) -> bool {
        !context.is_overflow() && (self.client > 0 || self.metric_gains_by(context))
    }

    /// Returns the same for the limit of the context's metric only.
    pub(crate) fn metric_gains_by(&self, context: &Context) -> bool {
        let missing = || self.metrics.get(&context.kind)?.get(context.identity.name());
        !context.is_bounded && missing().is_some_and(|missing| *missing > 0)
    }

    /// Notes that a context left.
    pub(crate) fn note_room(&mut self, context: &Context) {
        if context.is_overflow() {
            return;
        }
        self.client = self.client.saturating_sub(1);
        let metrics = self.metrics.get_mut(&context.kind).filter(|_| !context.is_bounded);
        if let Some(missing) = metrics.and_then(|metrics| metrics.get_mut(context.identity.name())) {
            *missing = missing.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_context_is_counted_once_however_often_it_is_refused() {
        let refused = Refused::default();
        assert_eq!(refused.take(), 0);
        for hash in [7 << 32, 7, 0, 7 << 32, u64::MAX, 7, 0] {
            refused.note(hash);
        }
        assert_eq!(refused.take(), 4);
        assert_eq!(refused.take(), 0, "they were taken");
    }

    #[test]
    fn more_than_there_are_places_for_are_as_many_as_there_are_places() {
        let refused = Refused::default();
        (0..1000).for_each(|hash| refused.note(hash << 31));
        assert_eq!(refused.take(), MOST_REFUSED);
        refused.note(5);
        assert_eq!(refused.take(), 1);
    }
}
