//! The last values of evicted metrics, in case they are called again.

use crate::process::fork;
use foldhash::fast::RandomState;
use metrics::Key;
use std::collections::HashMap;
use std::mem;

/// The last value of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    pub(super) bits: u64,
    // A level belongs to the process that set it.
    generation: u32,
}

impl Trace {
    pub(super) fn new(bits: u64) -> Self {
        Self { bits, generation: fork::generation() }
    }

    pub(super) fn is_of_this_process(self) -> bool {
        self.generation == fork::generation()
    }
}

/// Traces of metrics by their keys: at most a client's context limit, or two if the limit is one. When it is full, the
/// oldest half is dropped.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    young: HashMap<Key, Trace, RandomState>,
    old: HashMap<Key, Trace, RandomState>,
}

impl Forgotten {
    pub(super) fn note(&mut self, key: Key, trace: Trace, limit: usize) {
        self.old.remove(&key);
        self.young.insert(key, trace);
        if self.young.len() >= (limit / 2).max(1) {
            self.old = mem::take(&mut self.young);
        }
    }

    /// Takes the trace of a metric that is registered again.
    pub(super) fn take(&mut self, key: &Key) -> Option<Trace> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }
}
