//! What callers did, as they know it themselves.

use std::ops::AddAssign;

/// Counters, each with what was added to it.
pub(crate) const COUNTERS: [&str; 8] = [
    "jobs",
    "by.name.jobs",
    "brief.jobs",
    "family.jobs",
    "bounded.jobs",
    "frequent.jobs",
    "stamped.jobs",
    "folded.by.limit",
];
/// Distributions, each with how many values it was given.
pub(crate) const RECORDED: [&str; 6] = ["size", "run", "rows", "by.name.size", "family.run", "bounded.run"];

/// Numbers and nothing else, so that a forked child can hand it over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diary {
    pub(crate) added: [u64; COUNTERS.len()],
    pub(crate) recorded: [u64; RECORDED.len()],
    /// Events, service checks and members of sets that can be sent.
    pub(crate) unique: u64,
    pub(crate) operations: u64,
}

impl Diary {
    pub(crate) fn add(&mut self, counter: &str, n: u64) {
        let place = COUNTERS.iter().position(|name| *name == counter).expect("a counter of the diary");
        self.added[place] += n;
    }

    pub(crate) fn record(&mut self, distribution: &str, n: u64) {
        let place = RECORDED.iter().position(|name| *name == distribution);
        self.recorded[place.expect("a distribution of the diary")] += n;
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        [self.added.as_slice(), &self.recorded, &[self.unique, self.operations]].concat()
    }

    pub(crate) fn from_numbers(numbers: &[u64]) -> Self {
        let mut rest = numbers.iter().copied();
        let mut next = || rest.next().expect("a diary's numbers");
        Self {
            added: std::array::from_fn(|_| next()),
            recorded: std::array::from_fn(|_| next()),
            unique: next(),
            operations: next(),
        }
    }
}

impl AddAssign for Diary {
    fn add_assign(&mut self, other: Self) {
        let sums: Vec<u64> = self.numbers().iter().zip(other.numbers()).map(|(a, b)| a + b).collect();
        *self = Self::from_numbers(&sums);
    }
}
