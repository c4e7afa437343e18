//! The second thread: it runs what users hand in, so that the worker never waits for it.

use super::Watched;
use super::state::{Job, LATE_AFTER, Look, State};
use crate::callback::notice::Notices;
use crate::ledger::Ledger;
use crate::process::clock::Clock;
use crate::process::thread;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The thread's name, as it stands in `/proc/self/task/*/comm`.
const THREAD_NAME: &str = "tasktag-probes";

/// Calls watched closures and the one of [`on_loss`](crate::ClientBuilder::on_loss), and drops them.
///
/// A call that has not returned after [`LATE_AFTER`] is left behind with its thread, and another thread goes on with the
/// others. The thread is started with the first closure, and ends with the worker.
#[derive(Debug)]
pub(crate) struct ProbeThread {
    clock: Clock,
    // The main agent's first.
    ledgers: Vec<Arc<Ledger>>,
    state: Mutex<State>,
    to_thread: Condvar,
    from_thread: Condvar,
}

impl ProbeThread {
    pub(crate) fn new(clock: Clock, ledgers: Vec<Arc<Ledger>>) -> Arc<Self> {
        let (to_thread, from_thread) = (Condvar::new(), Condvar::new());
        Arc::new(Self { clock, ledgers, state: Mutex::default(), to_thread, from_thread })
    }

    /// The worker is about to start. `interval` is the time between two rounds, in nanoseconds.
    pub(crate) fn begin(self: &Arc<Self>, interval: u64, notices: Option<Notices>) {
        let mut state = self.lock();
        state.begin(self.clock.now(), interval, notices);
        self.start_where_needed(&mut state);
    }

    /// Takes a probe, or gives it back if the client has ended.
    pub(crate) fn watch(self: &Arc<Self>, probe: Watched) -> Option<Watched> {
        let mut state = self.lock();
        let refused = state.take_on(probe);
        self.start_where_needed(&mut state);
        self.to_thread.notify_all();
        refused
    }

    /// Has every probe asked now, and waits for the answers: at most `timeout`, and for none that is late.
    pub(crate) fn ask(self: &Arc<Self>, timeout: Duration) {
        let mut state = self.lock();
        self.start_where_needed(&mut state);
        let Some(round) = state.request_round() else { return };
        self.to_thread.notify_all();
        drop(self.wait(state, timeout.min(LATE_AFTER), |state| state.has_completed(round)));
    }

    /// The clock was moved: has done whatever is due, and waits for it.
    #[cfg(feature = "testing")]
    pub(crate) fn look_at_clock(self: &Arc<Self>) {
        self.supervise(self.clock.now());
        if self.lock().is_due(self.clock.now()) {
            self.ask(LATE_AFTER);
        }
    }

    /// The worker's side: leaves a call behind that does not return.
    pub(crate) fn supervise(self: &Arc<Self>, now: u64) {
        let mut state = self.lock();
        let late = state.leave_behind(now);
        self.start_where_needed(&mut state);
        drop(state);
        let Some(late) = late else { return };
        if let Some(ledger) = self.ledgers.first() {
            ledger.probes_late.add(1);
        }
        for levels in late {
            levels.make_absent();
        }
        self.to_thread.notify_all();
        self.from_thread.notify_all();
    }

    /// The worker's side: a flush is over, and whoever wants to know of losses is told.
    pub(crate) fn flushed(&self, now: u64) {
        self.lock().look(Look::Flush(now));
        self.to_thread.notify_all();
    }

    /// The worker's side: it has ended, and everything here is to be let go.
    pub(crate) fn close(self: &Arc<Self>, now: u64) {
        let mut state = self.lock();
        state.close(now);
        self.start_where_needed(&mut state);
        // Without a thread nobody else would let go of it.
        let left = if state.has_thread() { None } else { Some(state.take_all()) };
        drop(state);
        if let Some((probes, notices)) = left {
            drop(Job::LetGo(probes, notices).run(&self.ledgers));
        }
        self.to_thread.notify_all();
    }

    /// Waits until everybody was told of the flushes that are over; at most `timeout`, and not for a call that is late.
    pub(crate) fn settle(&self, timeout: Duration) {
        drop(self.wait(self.lock(), timeout.min(LATE_AFTER), |state| !state.has_look()));
    }

    /// Waits until the thread has ended; at most `timeout`, and not for a call that is late.
    pub(crate) fn finish(&self, timeout: Duration) {
        drop(self.wait(self.lock(), timeout.min(LATE_AFTER), |state| !state.has_thread()));
    }

    /// Whether the calling thread is one that must not wait for itself.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.lock().is_own_thread()
    }

    /// The names of the probes whose calls have not returned for longer than [`LATE_AFTER`].
    pub(crate) fn late(&self) -> Vec<String> {
        self.lock().late()
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        timeout: Duration,
        done: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let start = Instant::now();
        while state.has_thread() && !state.is_own_thread() && !state.is_stuck() && !done(&state) {
            let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
                break;
            };
            state = self.from_thread.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// Starts a thread where there is something to do and nobody to do it. One that can't be had is tried for again.
    fn start_where_needed(self: &Arc<Self>, state: &mut State) {
        let Some(turn) = state.turn_without_thread() else { return };
        let probes = Arc::clone(self);
        if thread::spawn(THREAD_NAME, move || probes.live(turn)).is_ok() {
            state.started();
        }
    }

    fn live(self: Arc<Self>, turn: u64) {
        let mut state = self.lock();
        state.enter();
        while let Some(job) = state.next(turn, self.clock.now()) {
            state = match job {
                Job::Wait(due) => {
                    let at_most = due.map_or(Duration::from_secs(3600), |due| self.clock.until(due));
                    // Whoever waits for a round that found nothing to do is woken too.
                    self.from_thread.notify_all();
                    self.to_thread.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
                }
                job => {
                    drop(state);
                    let done = job.run(&self.ledgers);
                    let mut state = self.lock();
                    state.returned(turn, done);
                    self.from_thread.notify_all();
                    state
                }
            };
        }
        let left = state.leave(turn);
        drop(state);
        if let Some(job) = left {
            drop(job.run(&self.ledgers));
        }
        self.from_thread.notify_all();
    }

    /// Nothing panics while it holds the lock; a poisoned one would be as good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
