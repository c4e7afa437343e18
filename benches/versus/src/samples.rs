//! What was measured, a value a round.

use std::collections::BTreeMap;
use std::fmt;

/// Middle, least and most of a number of rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    /// `None` of nothing. What is no number was not measured.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, min, max })
    }
}

/// The middle of values. `None` of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    Summary::of(values).map(|summary| summary.median)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 0.1 { 3 } else { 2 };
        write!(f, "{:.digits$} ({:.digits$}..{:.digits$})", self.median, self.min, self.max)
    }
}

/// Values by what they are of, the rounds in their order.
#[derive(Debug)]
pub struct Samples<K>(BTreeMap<K, Vec<f64>>);

impl<K: Ord + Copy> Samples<K> {
    pub fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub fn push(&mut self, key: K, value: f64) {
        self.0.entry(key).or_default().push(value);
    }

    pub fn summary(&self, key: K) -> Option<Summary> {
        Summary::of(self.0.get(&key)?.iter().copied())
    }

    pub fn median(&self, key: K) -> Option<f64> {
        self.summary(key).map(|summary| summary.median)
    }

    /// One divided by the other, round by round.
    pub fn ratio(&self, over: K, under: K) -> Option<Summary> {
        let (over, under) = (self.0.get(&over)?, self.0.get(&under)?);
        Summary::of(over.iter().zip(under).map(|(over, under)| over / under))
    }

    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.0.keys().copied()
    }
}
