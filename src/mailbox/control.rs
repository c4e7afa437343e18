//! How the worker is told to flush and to stop: outside the channel, so that a full one can't lose it.

use crate::vocabulary::error::FlushError;
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

/// Somebody who waits for what they requested.
#[derive(Debug)]
struct Caller {
    ticket: u64,
    // Until when the worker may take, if it was a flush.
    until: Option<Instant>,
    // Whether it was done in time, once it is done.
    answer: Option<bool>,
}

#[derive(Debug, Default)]
struct State {
    callers: Vec<Caller>,
    requested: u64,
    completed: u64,
    // The last request that wants a flush.
    flush_requested: u64,
    // Deaths of the worker over the requests that are open.
    deaths: u32,
    stop: bool,
    stop_until: Option<Instant>,
    // Whether what was done last was done in time.
    was_late: bool,
    ended: bool,
}

impl State {
    /// Everything that was requested up to this ticket is done.
    fn complete(&mut self, ticket: u64, in_time: bool) {
        self.completed = ticket;
        self.deaths = 0;
        let done = self.callers.iter_mut().filter(|caller| caller.ticket <= ticket);
        done.for_each(|caller| _ = caller.answer.get_or_insert(in_time));
    }

    /// The caller waits no longer.
    fn take_answer(&mut self, ticket: u64) -> Option<bool> {
        let place = self.callers.iter().position(|caller| caller.ticket == ticket)?;
        self.callers.swap_remove(place).answer
    }
}

/// What the worker woke up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    ticket: u64,
    /// Collect and flush at once.
    pub(crate) flush: bool,
    /// The same, and end.
    pub(crate) stop: bool,
    /// When the last of those who wait for the flush stops to wait.
    pub(crate) until: Option<Instant>,
}

/// Until when the worker may take, for its answer to be there in time: timers are up to two ticks late, of 4 ms in most
/// kernels.
fn deadline(timeout: Duration) -> Instant {
    const MARGIN: Duration = Duration::from_millis(10);
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(timeout.min(YEAR).saturating_sub(MARGIN.min(timeout / 10))).unwrap_or(now)
}

impl Control {
    /// Has the worker flush, and waits until it has.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.request(true, timeout)
    }

    /// Has the worker look at its clock, and waits until it did what was due.
    #[cfg(feature = "testing")]
    pub(crate) fn look_at_clock(&self, timeout: Duration) -> Result<(), FlushError> {
        self.request(false, timeout)
    }

    fn request(&self, flush: bool, timeout: Duration) -> Result<(), FlushError> {
        if self.is_worker() {
            return Err(FlushError::OnWorker);
        }
        let mut state = self.lock();
        if state.ended || state.stop {
            return Err(FlushError::Stopped);
        }
        state.requested += 1;
        let ticket = state.requested;
        if flush {
            state.flush_requested = ticket;
        }
        let until = flush.then(|| deadline(timeout));
        state.callers.push(Caller { ticket, until, answer: None });
        self.to_worker.notify_one();
        let mut state = self.wait(state, timeout, |state| state.completed >= ticket || state.ended);
        match (state.take_answer(ticket), state.ended) {
            (Some(true), _) => Ok(()),
            (None, true) => Err(FlushError::Stopped),
            (Some(false), _) | (None, false) => Err(FlushError::TimedOut(timeout)),
        }
    }

    /// Has the worker flush and end, and waits until it has. `Ok` where it had ended before.
    pub(crate) fn stop(&self, timeout: Duration) -> Result<(), FlushError> {
        let mut state = self.lock();
        if state.ended {
            return Ok(());
        }
        state.stop = true;
        state.stop_until = state.stop_until.max(Some(deadline(timeout)));
        self.to_worker.notify_one();
        if self.is_worker() {
            return Err(FlushError::OnWorker);
        }
        let state = self.wait(state, timeout, |state| state.ended);
        if state.ended && !state.was_late { Ok(()) } else { Err(FlushError::TimedOut(timeout)) }
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
        let open = state.callers.iter().filter(|caller| caller.answer.is_none());
        let until = open.filter_map(|caller| caller.until).max().max(state.stop_until);
        Order { ticket: state.requested, flush, stop: state.stop, until }
    }

    /// The worker's side: what it woke up for is done, or what could be done of it in time.
    pub(crate) fn complete(&self, order: Order, in_time: bool) {
        let mut state = self.lock();
        state.complete(order.ticket, in_time);
        state.was_late = !in_time;
        drop(state);
        self.from_worker.notify_all();
    }

    /// The worker's side: it died of what it woke up for, and will try again, but not for ever.
    pub(crate) fn died(&self) {
        let mut state = self.lock();
        state.deaths += 1;
        if state.deaths >= MAX_DEATHS {
            let all = state.requested;
            state.complete(all, true);
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
