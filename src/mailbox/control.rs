//! Requests to the worker to flush and to stop. They don't use the channel, so that a full channel can't lose them.

use crate::process::bell::Bell;
use crate::vocabulary::error::FlushError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The number of times that the worker may panic during the same requests before they count as done.
const MAX_DEATHS: u32 = 3;

#[derive(Debug, Default)]
pub(crate) struct Control {
    state: Mutex<State>,
    // Wakes the worker. Callers who take no lock ring it, and the worker then collects.
    bell: Arc<Bell>,
    from_worker: Condvar,
}

/// A caller that waits for a request.
#[derive(Debug)]
struct Caller {
    ticket: u64,
    // The worker's deadline, if the request is a flush.
    until: Option<Instant>,
    // Whether the request was done in time, once it is done.
    answer: Option<bool>,
}

#[derive(Debug, Default)]
struct State {
    callers: Vec<Caller>,
    requested: u64,
    completed: u64,
    // The last request that includes a flush.
    flush_requested: u64,
    // The number of panics of the worker during the open requests.
    deaths: u32,
    stop: bool,
    stop_until: Option<Instant>,
    // Whether the latest finished request was late.
    was_late: bool,
    ended: bool,
}

impl State {
    /// Marks every request up to this ticket as done.
    fn complete(&mut self, ticket: u64, in_time: bool) {
        self.completed = ticket;
        self.deaths = 0;
        let done = self.callers.iter_mut().filter(|caller| caller.ticket <= ticket);
        done.for_each(|caller| _ = caller.answer.get_or_insert(in_time));
    }

    /// Returns whether the worker has something to do.
    fn is_open(&self) -> bool {
        self.requested != self.completed || self.stop
    }

    /// Removes a caller that no longer waits, and returns its answer.
    fn take_answer(&mut self, ticket: u64) -> Option<bool> {
        let place = self.callers.iter().position(|caller| caller.ticket == ticket)?;
        self.callers.swap_remove(place).answer
    }
}

/// The reason why the worker woke up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    ticket: u64,
    /// Collect and flush immediately.
    pub(crate) flush: bool,
    /// Collect and flush immediately, and stop.
    pub(crate) stop: bool,
    /// Collect immediately.
    pub(crate) collect: bool,
    /// The latest deadline of the callers that wait for the flush.
    pub(crate) until: Option<Instant>,
}

/// Returns the deadline for the worker, so that its answer arrives in time. Timers are up to two ticks late, and a tick
/// is 4 ms in most kernels.
fn deadline(timeout: Duration) -> Instant {
    const MARGIN: Duration = Duration::from_millis(10);
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(timeout.min(YEAR).saturating_sub(MARGIN.min(timeout / 10))).unwrap_or(now)
}

impl Control {
    /// Makes the requests to the worker that listens to this bell.
    pub(crate) fn new(bell: Arc<Bell>) -> Self {
        Self { bell, ..Self::default() }
    }

    /// Makes the worker flush, and waits until it has.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.request(true, timeout)
    }

    /// Makes the worker check its clock, and waits until it has done what is due.
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
        self.bell.wake();
        let mut state = self.wait(state, timeout, |state| state.completed >= ticket || state.ended);
        match (state.take_answer(ticket), state.ended) {
            (Some(true), _) => Ok(()),
            (None, true) => Err(FlushError::Stopped),
            (Some(false), _) | (None, false) => Err(FlushError::TimedOut(timeout)),
        }
    }

    /// Makes the worker flush and stop, and waits until it has. Returns `Ok` if it had already stopped.
    pub(crate) fn stop(&self, timeout: Duration) -> Result<(), FlushError> {
        let mut state = self.lock();
        if state.ended {
            return Ok(());
        }
        state.stop = true;
        state.stop_until = state.stop_until.max(Some(deadline(timeout)));
        self.bell.wake();
        if self.is_worker() {
            return Err(FlushError::OnWorker);
        }
        let state = self.wait(state, timeout, |state| state.ended);
        if state.ended && !state.was_late { Ok(()) } else { Err(FlushError::TimedOut(timeout)) }
    }

    /// Wakes the worker, which then sees that its process was restored from a snapshot and stops without sending. Waits
    /// until it has, for at most `timeout`.
    pub(crate) fn outlive(&self, timeout: Duration) {
        let mut state = self.lock();
        state.requested += 1;
        self.bell.wake();
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

    /// Called by the worker. From now on the calling thread is the one that must not wait for itself.
    pub(crate) fn start(&self) {
        self.bell.listen();
    }

    fn is_worker(&self) -> bool {
        self.bell.is_listener()
    }

    /// Called by the worker. Sleeps until there may be an order, for at most `at_most`.
    pub(crate) fn next_order(&self, at_most: Duration) -> Order {
        // A request after this look leaves a wake-up, with which the sleep ends at once.
        if !self.lock().is_open() {
            self.bell.sleep(at_most);
        }
        let collect = self.bell.answer();
        let state = self.lock();
        let flush = state.flush_requested > state.completed;
        let open = state.callers.iter().filter(|caller| caller.answer.is_none());
        let until = open.filter_map(|caller| caller.until).max().max(state.stop_until);
        Order { ticket: state.requested, flush, stop: state.stop, collect, until }
    }

    /// Called by the worker when an order is done, or as much of it as time allowed.
    pub(crate) fn complete(&self, order: Order, in_time: bool) {
        let mut state = self.lock();
        state.complete(order.ticket, in_time);
        state.was_late = !in_time;
        drop(state);
        self.from_worker.notify_all();
    }

    /// Called by the worker after it panicked over an order. It tries again, but not forever.
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

    /// Called by the worker when it has stopped.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.from_worker.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock, so a poisoned lock is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(tasktag_loom)))]
mod tests {
    use super::*;
    use std::thread;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_worker_that_is_rung_for_collects_once_and_flushes_nothing() {
        let control = Control::default();
        control.bell.ring();
        let order = control.next_order(HOUR);
        assert!(order.collect && !order.flush && !order.stop);
        assert!(!control.next_order(Duration::ZERO).collect);
    }

    #[test]
    fn a_sleeping_worker_is_woken_by_a_request() {
        let control = Control::default();
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                control.start();
                // It may wake up for no reason.
                loop {
                    let order = control.next_order(HOUR);
                    control.complete(order, true);
                    if order.flush {
                        return order.collect;
                    }
                }
            });
            assert_eq!(control.flush(HOUR), Ok(()));
            assert!(!worker.join().unwrap());
        });
    }
}
