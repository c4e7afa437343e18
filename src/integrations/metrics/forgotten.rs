//! What has to be known of a metric that was let go, if it is called again.

use crate::process::fork;
use foldhash::fast::RandomState;
use metrics::Key;
use std::collections::HashMap;
use std::mem;

/// Where a metric was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    pub(super) bits: u64,
    // A level is of the process that set it.
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

/// Traces of metrics by their keys: at most a client's limit of contexts, or two where that is one. The oldest half goes
/// where there is no room.
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

    /// It is known again.
    pub(super) fn take(&mut self, key: &Key) -> Option<Trace> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }
}
