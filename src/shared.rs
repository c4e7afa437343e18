//! What handles, the client and the worker have in common.

use crate::channel::Channel;
use crate::clock::Clock;
use crate::control::Control;
use crate::index::Index;
use crate::ledger::{DropReason, Ledger, Stats};
use crate::probe::{Collect, Watched};
use crate::record::Record;
use crate::registry::Registry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<Ledger>,
    /// Of the other agents: what became of values on the way to them.
    pub(crate) other_ledgers: Vec<Arc<Ledger>>,
    pub(crate) channel: Channel,
    pub(crate) control: Control,
    pub(crate) index: Index,
    // The process that has the worker; a forked child has none.
    process: u32,
    // `None` once nobody will ask them.
    arriving_probes: Mutex<Option<Vec<Watched>>>,
    // What the worker left behind when it ended.
    remains: Mutex<Option<Registry>>,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        channel_capacity: usize,
        context_limit: usize,
        other_ledgers: Vec<Arc<Ledger>>,
    ) -> Self {
        Self {
            clock,
            ledger: Arc::default(),
            other_ledgers,
            channel: Channel::new(channel_capacity),
            control: Control::default(),
            index: Index::new(context_limit),
            process: std::process::id(),
            arriving_probes: Mutex::new(Some(Vec::new())),
            remains: Mutex::default(),
        }
    }

    /// Whether the worker is in another process: this one was forked from it, and waits for nobody.
    pub(crate) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    /// Hands a record to the worker.
    #[inline]
    pub(crate) fn offer(&self, record: Record) {
        self.channel.offer(record, &self.ledger);
    }

    /// Hands a probe to the worker. Where there is none any more it is dropped: nobody would ask it.
    pub(crate) fn watch(&self, probe: Box<dyn Collect>) -> Arc<()> {
        let (watched, watching) = Watched::new(probe);
        let refused = match lock(&self.arriving_probes).as_mut() {
            Some(probes) if !self.is_forked() => {
                probes.push(watched);
                None
            }
            _ => Some(watched),
        };
        // Not under the lock: what it holds may be anything.
        drop(refused);
        watching
    }

    pub(crate) fn take_arriving_probes(&self) -> Vec<Watched> {
        lock(&self.arriving_probes).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The worker ends: what is still put into cells and the channel is found by [`stats`](Self::stats).
    pub(crate) fn leave(&self, registry: Registry) {
        let probes = lock(&self.arriving_probes).take();
        drop(probes);
        *lock(&self.remains) = Some(registry);
    }

    pub(crate) fn stats(&self) -> Stats {
        if let Some(registry) = lock(&self.remains).as_mut() {
            // No worker will ever take these, so whoever asks does: a call site need not check for the end.
            registry.welcome(self.index.take_arrivals());
            let late = registry.take_values().wrapping_add(self.late_records());
            self.ledger.refuse(DropReason::AfterShutdown, late);
        }
        self.ledger.stats(self.index.len())
    }

    /// The books of one agent; 0 is the main one.
    pub(crate) fn stats_of(&self, agent: usize) -> Option<Stats> {
        match agent.checked_sub(1) {
            None => Some(self.stats()),
            Some(other) => self.other_ledgers.get(other).map(|ledger| ledger.stats(self.index.len())),
        }
    }

    fn late_records(&self) -> u64 {
        (0..self.channel.len())
            .map_while(|_| self.channel.take())
            .map(|record| record.values())
            .fold(0, u64::wrapping_add)
    }
}

/// Nothing panics while it holds one of these locks; a poisoned one would be as good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
