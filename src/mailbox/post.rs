//! What callers leave for the worker of their process, and the worker for them.

use crate::callback::probe::{ProbeThread, Watched};
use crate::callback::watch_name::{WatchName, WatchNames};
use crate::context::index::Index;
use crate::mailbox::channel::Channel;
use crate::mailbox::control::Control;
use crate::process::thread::Thread;
use crate::task_id::{Identity, TaskIdClaim};
use crate::vocabulary::error::FlushError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a shutdown waits for what the worker's thread does after it has told its end, if its timeout allows.
const LONGEST_FAREWELL: Duration = Duration::from_millis(100);

/// What a worker leaves behind: it knows all contexts, and so what nobody will send.
pub(crate) trait Remains: fmt::Debug + Send {
    /// Takes what was put into cells since, and says how many values that was.
    fn take_values(&mut self, index: &Index) -> u64;
}

/// Everything between the call sites and the worker that belongs to one process: a forked child gets another one.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) identity: Identity,
    // The worker's, which keeps a lease for as long as it lives.
    claim: Weak<TaskIdClaim>,
    pub(crate) channel: Channel,
    pub(crate) control: Control,
    /// Those of users.
    pub(crate) probes: Arc<ProbeThread>,
    // Those of the client itself. `None` once nobody will ask them.
    arriving_probes: Mutex<Option<Vec<Watched>>>,
    watch_names: Mutex<WatchNames>,
    // What the worker left behind when it ended.
    remains: Mutex<Option<Box<dyn Remains>>>,
    thread: Mutex<Option<Thread>>,
}

impl Post {
    pub(crate) fn new(claim: &Arc<TaskIdClaim>, channel_capacity: usize, probes: Arc<ProbeThread>) -> Self {
        Self {
            identity: claim.identity(),
            claim: Arc::downgrade(claim),
            channel: Channel::new(channel_capacity),
            control: Control::default(),
            probes,
            arriving_probes: Mutex::new(Some(Vec::new())),
            watch_names: Mutex::default(),
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
    pub(crate) fn employ(&self, thread: Option<Thread>) {
        *lock(&self.thread) = thread;
    }

    /// Has the worker flush and end, and waits until it has.
    pub(crate) fn stop(&self, timeout: Duration) -> Result<(), FlushError> {
        let start = Instant::now();
        let left = || timeout.saturating_sub(start.elapsed());
        // Half of the time is the worker's, whatever a probe does.
        self.probes.ask(timeout / 2);
        self.control.stop(left()).map_err(|error| error.after(timeout))?;
        self.probes.finish(left());
        // It has told its end. What is left is the thread's own exit, which is over at once unless somebody's thread-locals
        // take longer.
        if let Some(thread) = lock(&self.thread).take() {
            thread.wait(timeout.saturating_sub(start.elapsed()).min(LONGEST_FAREWELL));
        }
        Ok(())
    }

    /// Has everything collected and sent, and waits until it has been.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        if self.probes.is_own_thread() {
            return Err(FlushError::OnWorker);
        }
        let start = Instant::now();
        let left = || timeout.saturating_sub(start.elapsed());
        self.probes.ask(timeout / 2);
        self.control.flush(left()).map_err(|error| error.after(timeout))?;
        self.probes.settle(left());
        Ok(())
    }

    /// The clock was moved: has everything done that is due.
    #[cfg(feature = "testing")]
    pub(crate) fn look_at_clock(&self, timeout: Duration) {
        self.probes.look_at_clock();
        // A worker that is gone or stuck has nothing more to do.
        let _ = self.control.look_at_clock(timeout);
        self.probes.settle(timeout);
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

    /// Takes a name for what is about to be watched. `false` if something that is watched has it.
    pub(crate) fn take_watch_name(&self, name: &Arc<WatchName>, watching: &Arc<()>) -> bool {
        lock(&self.watch_names).take(name, watching)
    }

    /// The worker is outlived: what it asked is asked by the next one.
    pub(crate) fn return_probes(&self, probes: Vec<Watched>) {
        if let Some(arriving) = lock(&self.arriving_probes).as_mut() {
            arriving.extend(probes);
        }
    }

    /// In a process that was restored: what is watched is watched on.
    pub(crate) fn take_over_watch_names(&self, before: &Self) {
        *lock(&self.watch_names) = std::mem::take(&mut *lock(&before.watch_names));
    }

    pub(crate) fn take_arriving_probes(&self) -> Vec<Watched> {
        lock(&self.arriving_probes).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The worker ends: what is still put into cells and the channel is found by whoever asks for the stats.
    pub(crate) fn leave(&self, remains: Box<dyn Remains>) {
        let probes = lock(&self.arriving_probes).take();
        drop(probes);
        *lock(&self.remains) = Some(remains);
    }

    /// Takes what was put into cells after the worker's end, if it ended, and says how many values that was.
    pub(crate) fn take_late_values(&self, index: &Index) -> Option<u64> {
        lock(&self.remains).as_mut().map(|remains| remains.take_values(index))
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
