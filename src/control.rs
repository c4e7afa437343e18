//! How the worker is told to flush and to stop: outside the channel, so that a full one can't lose it.

use crate::error::FlushError;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// How often the worker may die of the same requests before they count as done.
const MAX_DEATHS: u32 = 3;

#[derive(Debug, Default)]
pub(crate) struct Control {
    state: Mutex<State>,
    to_worker: Condvar,
    from_worker: Condvar,
    worker: OnceLock<ThreadId>,
}

#[derive(Debug, Default)]
struct State {
    requested: u64,
    completed: u64,
    // The last request that wants a flush.
    flush_requested: u64,
    // Deaths of the worker over the requests that are open.
    deaths: u32,
    stop: bool,
    ended: bool,
}

/// What the worker woke up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    ticket: u64,
    /// Collect and flush at once.
    pub(crate) flush: bool,
    /// The same, and end.
    pub(crate) stop: bool,
}

impl Control {
    /// Has the worker flush, and waits until it has.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.request(|state| state.flush_requested = state.requested, timeout)
    }

    /// Has the worker look at its clock, and waits until it did what was due.
    #[cfg(feature = "testing")]
    pub(crate) fn look_at_clock(&self, timeout: Duration) -> Result<(), FlushError> {
        self.request(|_| {}, timeout)
    }

    fn request(&self, ask: impl FnOnce(&mut State), timeout: Duration) -> Result<(), FlushError> {
        if self.is_worker() {
            return Err(FlushError::OnWorker);
        }
        let mut state = self.lock();
        if state.ended || state.stop {
            return Err(FlushError::Stopped);
        }
        state.requested += 1;
        ask(&mut state);
        let ticket = state.requested;
        self.to_worker.notify_one();
        let state = self.wait(state, timeout, |state| state.completed >= ticket || state.ended);
        match (state.completed >= ticket, state.ended) {
            (true, _) => Ok(()),
            (false, true) => Err(FlushError::Stopped),
            (false, false) => Err(FlushError::TimedOut(timeout)),
        }
    }

    /// Has the worker flush and end, and waits until it has. `Ok` where it had ended before.
    pub(crate) fn stop(&self, timeout: Duration) -> Result<(), FlushError> {
        let mut state = self.lock();
        state.stop = true;
        self.to_worker.notify_one();
        if self.is_worker() {
            return Err(FlushError::OnWorker);
        }
        let state = self.wait(state, timeout, |state| state.ended);
        if state.ended { Ok(()) } else { Err(FlushError::TimedOut(timeout)) }
    }

    /// Wakes the worker, which sees that its process was restored from a snapshot and ends without a word, and waits until
    /// it has, or for `timeout`.
    pub(crate) fn outlive(&self, timeout: Duration) {
        let mut state = self.lock();
        state.requested += 1;
        self.to_worker.notify_one();
        if !self.is_worker() {
            drop(self.wait(state, timeout, |state| state.ended));
        }
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        timeout: Duration,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let start = Instant::now();
        while !done(&state) {
            let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                break;
            };
            state = self.from_worker.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// The worker's side: from now on the calling thread is the one that must not wait for itself.
    pub(crate) fn start(&self) {
        let _ = self.worker.set(thread::current().id());
    }

    fn is_worker(&self) -> bool {
        self.worker.get() == Some(&thread::current().id())
    }

    /// The worker's side: sleeps until there is an order, or for `at_most`.
    pub(crate) fn next_order(&self, at_most: Duration) -> Order {
        let start = Instant::now();
        let mut state = self.lock();
        while state.requested == state.completed && !state.stop {
            let Some(left) = at_most.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                break;
            };
            state = self.to_worker.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let flush = state.flush_requested > state.completed;
        Order { ticket: state.requested, flush, stop: state.stop }
    }

    /// The worker's side: what it woke up for is done.
    pub(crate) fn complete(&self, order: Order) {
        let mut state = self.lock();
        state.completed = order.ticket;
        state.deaths = 0;
        drop(state);
        self.from_worker.notify_all();
    }

    /// The worker's side: it died of what it woke up for, and will try again, but not for ever.
    pub(crate) fn died(&self) {
        let mut state = self.lock();
        state.deaths += 1;
        if state.deaths >= MAX_DEATHS {
            state.completed = state.requested;
            state.deaths = 0;
        }
        drop(state);
        self.from_worker.notify_all();
    }

    /// The worker's side: there is no worker any more.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.from_worker.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a poisoned one would be as good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
