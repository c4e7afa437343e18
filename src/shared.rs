//! What handles, the client and the worker have in common.

use crate::channel::Channel;
use crate::clock::Clock;
use crate::control::Control;
use crate::index::Index;
use crate::ledger::{DropReason, Ledger, Stats};
use crate::probe::{Collect, Watched};
use crate::record::Record;
use crate::registry::Registry;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) channel: Channel,
    pub(crate) control: Control,
    pub(crate) index: Index,
    // The process that has the worker; a forked child has none.
    process: u32,
    arriving_probes: Mutex<Vec<Watched>>,
    // What the worker left behind when it ended.
    remains: Mutex<Option<Registry>>,
}

impl Shared {
    pub(crate) fn new(clock: Clock, channel_capacity: usize, context_limit: usize) -> Self {
        Self {
            clock,
            ledger: Arc::default(),
            channel: Channel::new(channel_capacity),
            control: Control::default(),
            index: Index::new(context_limit),
            process: std::process::id(),
            arriving_probes: Mutex::default(),
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

    /// Hands a probe to the worker. After the worker's end it is dropped: nobody would ask it.
    pub(crate) fn watch(&self, probe: Box<dyn Collect>) -> Arc<()> {
        let (watched, watching) = Watched::new(probe);
        if !self.channel.is_closed() {
            self.arriving_probes.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
        }
        watching
    }

    pub(crate) fn take_arriving_probes(&self) -> Vec<Watched> {
        std::mem::take(&mut *self.arriving_probes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The worker ends: what is still put into cells and the channel is found by [`stats`](Self::stats).
    pub(crate) fn leave(&self, registry: Registry) {
        *self.remains.lock().unwrap_or_else(PoisonError::into_inner) = Some(registry);
    }

    pub(crate) fn stats(&self) -> Stats {
        if let Some(registry) = self.remains.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // No worker will ever take these, so whoever asks does: a call site need not check for the end.
            registry.welcome(self.index.take_arrivals());
            let late = registry.take_values().wrapping_add(self.late_records());
            self.ledger.refuse(DropReason::AfterShutdown, late);
        }
        self.ledger.stats(self.index.len())
    }

    fn late_records(&self) -> u64 {
        (0..self.channel.len())
            .map_while(|_| self.channel.take())
            .map(|record| record.values())
            .fold(0, u64::wrapping_add)
    }
}
