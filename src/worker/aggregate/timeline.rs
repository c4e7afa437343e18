//! Values with explicit timestamps, until the flush.

use super::address;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The maximum number of distinct seconds for which a context keeps values with timestamps until a flush.
const MAX_SECONDS: usize = 10_000;

/// A value with an explicit timestamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Timed<T> {
    /// The timestamp, in seconds since 1970.
    pub(crate) seconds: u64,
    pub(crate) value: T,
    /// The number of calls that it stands for.
    pub(crate) times: u64,
}

impl<T> Timed<T> {
    pub(crate) fn times(timed: &[Self]) -> u64 {
        timed.iter().map(|timed| timed.times).fold(0, u64::wrapping_add)
    }
}

type Seconds<T> = BTreeMap<u64, Timed<T>>;

/// Values with explicit timestamps, aggregated by context and second. Agents pass them on unchanged, and backends keep
/// one per second.
#[derive(Debug)]
pub(crate) struct Timeline<C, T>(HashMap<usize, (Arc<C>, Seconds<T>)>);

impl<C, T> Default for Timeline<C, T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<C, T: Copy> Timeline<C, T> {
    /// Adds a value. Returns `false` if the context has no room for another second.
    pub(crate) fn add(&mut self, cell: Arc<C>, seconds: u64, value: T, fold: impl Fn(T, T) -> T) -> bool {
        let (_, seen) = self.0.entry(address(&cell)).or_insert_with(|| (cell, BTreeMap::new()));
        if seen.len() >= MAX_SECONDS && !seen.contains_key(&seconds) {
            return false;
        }
        seen.entry(seconds)
            .and_modify(|timed| {
                timed.value = fold(timed.value, value);
                timed.times = timed.times.wrapping_add(1);
            })
            .or_insert(Timed { seconds, value, times: 1 });
        true
    }

    /// Returns a context's values, sorted by time.
    pub(crate) fn take(&mut self, cell: &Arc<C>) -> Vec<Timed<T>> {
        // At most flushes there are none for any context.
        if self.0.is_empty() {
            return Vec::new();
        }
        self.0.remove(&address(cell)).map(|(_, seen)| seen.into_values().collect()).unwrap_or_default()
    }

    /// Discards everything, and returns the number of calls.
    pub(super) fn clear(&mut self) -> u64 {
        let left = self.0.drain().flat_map(|(_, (_, seen))| seen.into_values());
        left.map(|timed| timed.times).fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_second_are_one() {
        let (mut timeline, cell) = (Timeline::default(), Arc::new(()));
        for (seconds, value) in [(9, 1), (7, 2), (9, 3)] {
            assert!(timeline.add(Arc::clone(&cell), seconds, value, |a, b| a + b));
        }
        let expected = [Timed { seconds: 7, value: 2, times: 1 }, Timed { seconds: 9, value: 4, times: 2 }];
        assert_eq!(timeline.take(&cell), expected);
        assert_eq!(timeline.take(&cell), []);
        for seconds in 0..MAX_SECONDS as u64 {
            assert!(timeline.add(Arc::clone(&cell), seconds, 1, |a, b| a + b));
        }
        assert!(!timeline.add(Arc::clone(&cell), MAX_SECONDS as u64, 1, |a, b| a + b));
        assert!(timeline.add(Arc::clone(&cell), 0, 1, |a, b| a + b));
        assert_eq!(timeline.clear(), MAX_SECONDS as u64 + 1);
    }
}
