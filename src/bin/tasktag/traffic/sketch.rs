//! Quantiles of any number of values in a bounded space, to 1 % of the value.

use std::collections::BTreeMap;

/// The ratio of neighbouring buckets' bounds.
const RATIO: f64 = 1.02;
/// Values nearer to 0 than this count as 0.
const SMALLEST: f64 = 1e-9;
/// A sketch with more buckets puts further values into the nearest of them.
const MAX_BUCKETS: usize = 1024;

/// How often values of about one size were seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    // In the order of the values: negative ones have negative keys.
    buckets: BTreeMap<i32, f64>,
    weight: f64,
}

impl Sketch {
    pub(crate) fn add(&mut self, value: f64, weight: f64) {
        let key = self.nearest(key_of(value));
        *self.buckets.entry(key).or_default() += weight;
        self.weight += weight;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (key, weight) in &other.buckets {
            let key = self.nearest(*key);
            *self.buckets.entry(key).or_default() += weight;
        }
        self.weight += other.weight;
    }

    /// The value below which a share of all values is. `None` if there are none.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let mut left = share * self.weight;
        let found = self.buckets.iter().find(|(_, weight)| {
            left -= **weight;
            left <= 0.0
        });
        found.or_else(|| self.buckets.last_key_value()).map(|(key, _)| value_of(*key))
    }

    fn nearest(&self, key: i32) -> i32 {
        if self.buckets.len() < MAX_BUCKETS || self.buckets.contains_key(&key) {
            return key;
        }
        let neighbours = [self.buckets.range(..key).next_back(), self.buckets.range(key..).next()];
        let known = neighbours.into_iter().flatten().map(|(known, _)| *known);
        known.min_by_key(|known| known.abs_diff(key)).unwrap_or(key)
    }
}

fn key_of(value: f64) -> i32 {
    if value.abs() < SMALLEST {
        return 0;
    }
    let place = 1.0 + ((value.abs() / SMALLEST).ln() / RATIO.ln()).ceil();
    #[allow(clippy::cast_possible_truncation, reason = "the largest f64 has a place of about 37,000")]
    let place = place as i32;
    if value < 0.0 { -place } else { place }
}

/// The middle of a bucket.
fn value_of(key: i32) -> f64 {
    if key == 0 {
        return 0.0;
    }
    let size = SMALLEST * RATIO.powi(key.abs() - 1) * 2.0 / (1.0 + RATIO);
    if key < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_right_to_one_percent() {
        let mut sketch = Sketch::default();
        (1..=1000).for_each(|n| sketch.add(f64::from(n), 1.0));
        for (share, expected) in [(0.0, 1.0), (0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = sketch.quantile(share).unwrap();
            assert!((found - expected).abs() <= expected * 0.011, "{share}: {found}");
        }
    }

    #[test]
    fn negative_values_come_before_zero_and_a_weight_counts_as_so_many() {
        let mut sketch = Sketch::default();
        sketch.add(-5.0, 1.0);
        sketch.add(0.0, 1.0);
        sketch.add(7.0, 8.0);
        let at = |share| sketch.quantile(share).unwrap().round();
        assert_eq!([at(0.05), at(0.15), at(0.5)], [-5.0, 0.0, 7.0]);
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn extreme_values_take_a_bounded_space() {
        let mut sketch = Sketch::default();
        for exponent in -300..300 {
            for digit in 1..10 {
                sketch.add(f64::from(digit) * 10_f64.powi(exponent), 1.0);
            }
        }
        sketch.add(f64::MAX, 1.0);
        sketch.add(f64::MIN, 1.0);
        assert!(sketch.buckets.len() <= MAX_BUCKETS);
        assert!(sketch.quantile(1.0).unwrap().is_finite());
    }
}
