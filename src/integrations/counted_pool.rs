//! A pool's status, with what the pool counts itself.

use crate::api::watch::{Count, Field, PoolStatus, Reported, Watchable};

#[derive(Clone, Copy, Debug)]
pub(super) struct CountedPool<const N: usize> {
    pub(super) status: PoolStatus,
    pub(super) counts: [Count; N],
}

impl<const N: usize> Watchable for CountedPool<N> {}

impl<const N: usize> Reported for CountedPool<N> {
    const NOUN: &'static str = PoolStatus::NOUN;

    fn fields(&self) -> Vec<Field> {
        self.status.fields()
    }

    fn counts(&self) -> Vec<Count> {
        self.counts.to_vec()
    }
}

/// The totals of a pool as they were last read.
#[derive(Debug)]
pub(super) struct Totals<const N: usize> {
    names: [&'static str; N],
    last: [u64; N],
}

impl<const N: usize> Totals<N> {
    pub(super) fn new(names: [&'static str; N], last: [u64; N]) -> Self {
        Self { names, last }
    }

    /// Returns what the totals have grown by since they were last read.
    pub(super) fn read(&mut self, totals: [u64; N]) -> [Count; N] {
        let last = std::mem::replace(&mut self.last, totals);
        let mut grown = self.names.iter().zip(last).zip(totals);
        std::array::from_fn(|_| match grown.next() {
            Some(((name, last), total)) => Count { name, added: total.saturating_sub(last) },
            None => Count { name: "", added: 0 },
        })
    }
}
