//! What callers leave for the worker of their process, and what the worker leaves for them.

use crate::callback::probe::{ProbeThread, Watched};
use crate::callback::watch_name::{WatchName, WatchNames};
use crate::cell::Stock;
use crate::context::index::Index;
use crate::mailbox::channel::Channel;
use crate::mailbox::control::Control;
use crate::process::bell::Bell;
use crate::process::thread::Thread;
use crate::task_id::{Identity, TaskIdClaim};
use crate::vocabulary::error::FlushError;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a shutdown waits for the worker's thread to exit after the worker has stopped, if its timeout allows.
const LONGEST_FAREWELL: Duration = Duration::from_millis(100);

/// Stands for an unknown number of leases.
const UNKNOWN: u32 = u32::MAX;

/// What a stopped worker leaves behind. It has all contexts, so it can count what will never be sent.
pub(crate) trait Remains: fmt::Debug + Send {
    /// Takes what was put into cells since then, and returns the number of values.
    fn take_values(&mut self, index: &Index) -> u64;
}

/// Everything between the call sites and the worker that belongs to one process. A forked child gets a new one.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) identity: Identity,
    // The worker's claim, which holds a lease for as long as it lives.
    claim: Weak<TaskIdClaim>,
    // How many task ids are leased, as the worker last read it.
    leased: AtomicU32,
    pub(crate) channel: Channel,
    /// Tables for distributions that have no room.
    pub(crate) stock: Stock,
    pub(crate) control: Control,
    bell: Arc<Bell>,
    /// The users' probes.
    pub(crate) probes: Arc<ProbeThread>,
    // The client's own probes. `None` once nothing will poll them.
    arriving_probes: Mutex<Option<Vec<Watched>>>,
    watch_names: Mutex<WatchNames>,
    // What the worker left behind when it stopped.
    remains: Mutex<Option<Box<dyn Remains>>>,
    thread: Mutex<Option<Thread>>,
}

impl Post {
    pub(crate) fn new(
        claim: &Arc<TaskIdClaim>,
        channel_capacity: usize,
        distributions: usize,
        probes: Arc<ProbeThread>,
    ) -> Self {
        let bell = Arc::<Bell>::default();
        Self {
            identity: claim.identity(),
            claim: Arc::downgrade(claim),
            leased: AtomicU32::new(UNKNOWN),
            channel: Channel::new(channel_capacity, Arc::clone(&bell)),
            stock: Stock::new(distributions, Arc::clone(&bell)),
            control: Control::new(Arc::clone(&bell)),
            bell,
            probes,
            arriving_probes: Mutex::new(Some(Vec::new())),
            watch_names: Mutex::default(),
            remains: Mutex::default(),
            thread: Mutex::default(),
        }
    }

    pub(crate) fn note_leased(&self, leased: Option<u32>) {
        self.leased.store(leased.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// Returns how many task ids are leased, if that is known.
    pub(crate) fn leased(&self) -> Option<u32> {
        Some(self.leased.load(Ordering::Relaxed)).filter(|leased| *leased != UNKNOWN)
    }

    /// Called in a forked child on the parent's post. Releases the reference to the lease, which stays the parent's.
    pub(crate) fn disclaim(&self) {
        if let Some(claim) = self.claim.upgrade() {
            claim.disclaim();
        }
    }

    /// Called in a process that was restored from a snapshot. The lease stays the original's, and is not given back.
    pub(crate) fn abandon_claim(&self) {
        if let Some(claim) = self.claim.upgrade() {
            claim.abandon();
        }
    }

    /// Stores the worker's thread, so that a shutdown can wait for it.
    pub(crate) fn employ(&self, thread: Option<Thread>) {
        *lock(&self.thread) = thread;
    }

    /// Called after a value for which a distribution has no room was sent. The worker makes room for the next ones, and
    /// is woken for it where waiting would fill the channel: timings that are new may get thousands of values within a
    /// millisecond.
    pub(crate) fn ask_for_room(&self) {
        if self.channel.is_half_full() {
            self.bell.ring();
        }
    }

    /// Called by the worker. Returns whether it may rest: whatever would be done at a collection wakes it from now on.
    pub(crate) fn rest(&self) -> bool {
        self.bell.rest(|| {
            let has_probe = lock(&self.arriving_probes).as_ref().is_some_and(|probes| !probes.is_empty());
            self.channel.len() == 0 && self.stock.is_full() && !has_probe && self.probes.is_quiet()
        })
    }

    /// Makes the worker flush and stop, and waits until it has.
    pub(crate) fn stop(&self, timeout: Duration) -> Result<(), FlushError> {
        let start = Instant::now();
        let left = || timeout.saturating_sub(start.elapsed());
        // Half of the time is reserved for the worker, whatever a probe does.
        self.probes.ask(timeout / 2);
        self.control.stop(left()).map_err(|error| error.after(timeout))?;
        self.probes.finish(left());
        // The worker has stopped. What remains is the thread's exit, which is immediate unless the thread-locals of
        // other code take longer.
        if let Some(thread) = lock(&self.thread).take() {
            thread.wait(timeout.saturating_sub(start.elapsed()).min(LONGEST_FAREWELL));
        }
        Ok(())
    }

    /// Makes the worker collect and send everything, and waits until it has.
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

    /// Called after the clock was moved. Makes the worker do everything that is due.
    #[cfg(feature = "testing")]
    pub(crate) fn look_at_clock(&self, timeout: Duration) {
        self.probes.look_at_clock();
        // A worker that is gone or blocked has nothing more to do.
        let _ = self.control.look_at_clock(timeout);
        self.probes.settle(timeout);
    }

    /// Passes a probe to the worker, or returns it if there is no worker any more.
    pub(crate) fn watch(&self, probe: Watched) -> Option<Watched> {
        match lock(&self.arriving_probes).as_mut() {
            Some(probes) => probes.push(probe),
            None => return Some(probe),
        }
        self.bell.rouse();
        None
    }

    /// Passes a user's probe to the thread that polls it, or returns it if there is none any more.
    pub(crate) fn watch_on_thread(&self, probe: Watched) -> Option<Watched> {
        let refused = self.probes.watch(probe);
        // The worker looks after that thread.
        self.bell.rouse();
        refused
    }

    /// Takes a name for a watch that is about to start. Returns `false` if an active watch has it.
    pub(crate) fn take_watch_name(&self, name: &Arc<WatchName>, watching: &Arc<()>) -> bool {
        lock(&self.watch_names).take(name, watching)
    }

    /// Called when the worker is obsolete. The next worker polls its probes.
    pub(crate) fn return_probes(&self, probes: Vec<Watched>) {
        if let Some(arriving) = lock(&self.arriving_probes).as_mut() {
            arriving.extend(probes);
        }
    }

    /// Called in a restored process, in which watches stay active.
    pub(crate) fn take_over_watch_names(&self, before: &Self) {
        *lock(&self.watch_names) = std::mem::take(&mut *lock(&before.watch_names));
    }

    pub(crate) fn take_arriving_probes(&self) -> Vec<Watched> {
        lock(&self.arriving_probes).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Called when the worker stops. Reading the statistics later finds what is still put into cells and the channel.
    pub(crate) fn leave(&self, remains: Box<dyn Remains>) {
        let probes = lock(&self.arriving_probes).take();
        drop(probes);
        *lock(&self.remains) = Some(remains);
    }

    /// Takes what was put into cells after the worker stopped, and returns the number of values. Returns `None` if it
    /// has not stopped.
    pub(crate) fn take_late_values(&self, index: &Index) -> Option<u64> {
        lock(&self.remains).as_mut().map(|remains| remains.take_values(index))
    }

    /// Takes the records that were sent after the worker stopped, and returns the number of values that they stand for.
    pub(crate) fn take_late_records(&self) -> u64 {
        (0..self.channel.len())
            .map_while(|_| self.channel.take())
            .map(|record| record.values())
            .fold(0, u64::wrapping_add)
    }
}

/// Nothing panics while holding one of these locks, so a poisoned lock is still consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
