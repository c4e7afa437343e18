//! What callers leave for the worker of their process, and the worker for them.

use crate::channel::Channel;
use crate::control::Control;
use crate::error::FlushError;
use crate::probe::Watched;
use crate::registry::Registry;
use crate::task_id::{Identity, TaskIdClaim};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Everything between the call sites and the worker that belongs to one process: a forked child gets another one.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) identity: Identity,
    // The worker's, which keeps a lease for as long as it lives.
    claim: Weak<TaskIdClaim>,
    pub(crate) channel: Channel,
    pub(crate) control: Control,
    // `None` once nobody will ask them.
    arriving_probes: Mutex<Option<Vec<Watched>>>,
    // What the worker left behind when it ended.
    remains: Mutex<Option<Registry>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Post {
    pub(crate) fn new(claim: &Arc<TaskIdClaim>, channel_capacity: usize) -> Self {
        Self {
            identity: claim.identity(),
            claim: Arc::downgrade(claim),
            channel: Channel::new(channel_capacity),
            control: Control::default(),
            arriving_probes: Mutex::new(Some(Vec::new())),
            remains: Mutex::default(),
            thread: Mutex::default(),
        }
    }

    /// In a forked child, of the parent's: lets go of its lease, which stays the parent's.
    pub(crate) fn disclaim(&self) {
        if let Some(claim) = self.claim.upgrade() {
            claim.disclaim();
        }
    }

    /// In a process that was restored from a snapshot: the lease stays the original's, and is not given back for it.
    pub(crate) fn abandon_claim(&self) {
        if let Some(claim) = self.claim.upgrade() {
            claim.abandon();
        }
    }

    /// Notes the worker's thread, for whoever ends it.
    pub(crate) fn employ(&self, thread: Option<JoinHandle<()>>) {
        *lock(&self.thread) = thread;
    }

    /// Has the worker flush and end, and waits until it has.
    pub(crate) fn stop(&self, timeout: Duration) -> Result<(), FlushError> {
        self.control.stop(timeout)?;
        let thread = lock(&self.thread).take();
        // It has told its end: nothing but the thread's own exit is left to wait for.
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        Ok(())
    }

    /// Hands a probe to the worker, or back where there is none any more.
    pub(crate) fn watch(&self, probe: Watched) -> Option<Watched> {
        match lock(&self.arriving_probes).as_mut() {
            Some(probes) => {
                probes.push(probe);
                None
            }
            None => Some(probe),
        }
    }

    /// The worker is outlived: what it asked is asked by the next one.
    pub(crate) fn return_probes(&self, probes: Vec<Watched>) {
        if let Some(arriving) = lock(&self.arriving_probes).as_mut() {
            arriving.extend(probes);
        }
    }

    pub(crate) fn take_arriving_probes(&self) -> Vec<Watched> {
        lock(&self.arriving_probes).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The worker ends: what is still put into cells and the channel is found by whoever asks for the stats.
    pub(crate) fn leave(&self, registry: Registry) {
        let probes = lock(&self.arriving_probes).take();
        drop(probes);
        *lock(&self.remains) = Some(registry);
    }

    /// Shows what the worker left behind, if it ended.
    pub(crate) fn with_remains<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> Option<T> {
        lock(&self.remains).as_mut().map(act)
    }

    /// Takes the records that came after the worker's end, and says how many values they stand for.
    pub(crate) fn take_late_records(&self) -> u64 {
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
