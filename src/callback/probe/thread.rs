//! The probe thread, which runs user code so that the worker never waits for it.

use super::Watched;
use super::state::{Job, LATE_AFTER, Look, State};
use crate::callback::notice::Notices;
use crate::ledger::Ledger;
use crate::process::clock::Clock;
use crate::process::thread;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The thread's name in `/proc/self/task/*/comm`.
const THREAD_NAME: &str = "tasktag-probes";

/// Calls and drops the watched closures and the [`on_loss`](crate::ClientBuilder::on_loss) closure.
///
/// A call that has not returned after [`LATE_AFTER`] is left behind with its thread, and another thread continues with
/// the rest. The thread starts with the first closure, and ends with the worker.
#[derive(Debug)]
pub(crate) struct ProbeThread {
    clock: Clock,
    // The main agent's ledger comes first.
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

    /// Runs before the worker starts. `interval` is the time between two rounds, in nanoseconds.
    pub(crate) fn begin(self: &Arc<Self>, interval: u64, notices: Option<Notices>) {
        let mut state = self.lock();
        state.begin(self.clock.now(), interval, notices);
        self.start_where_needed(&mut state);
    }

    /// Takes a probe, or returns it if the client was shut down.
    pub(crate) fn watch(self: &Arc<Self>, probe: Watched) -> Option<Watched> {
        let mut state = self.lock();
        let refused = state.take_on(probe);
        self.start_where_needed(&mut state);
        self.to_thread.notify_all();
        refused
    }

    /// Polls every probe now, and waits for the answers. It waits at most `timeout`, and not for a late call.
    pub(crate) fn ask(self: &Arc<Self>, timeout: Duration) {
        let mut state = self.lock();
        self.start_where_needed(&mut state);
        let Some(round) = state.request_round() else { return };
        self.to_thread.notify_all();
        drop(self.wait(state, timeout.min(LATE_AFTER), |state| state.has_completed(round)));
    }

    /// Runs after the clock was moved. Does everything that is due, and waits until it is done.
    #[cfg(feature = "testing")]
    pub(crate) fn look_at_clock(self: &Arc<Self>) {
        self.supervise(self.clock.now());
        if self.lock().is_due(self.clock.now()) {
            self.ask(LATE_AFTER);
        }
    }

    /// Called by the worker. Leaves a call behind that does not return.
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

    /// Returns whether the worker need not look after it before the next flush.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lock().is_quiet()
    }

    /// Called by the worker after a flush, so that losses are reported.
    pub(crate) fn flushed(&self, now: u64) {
        self.lock().look(Look::Flush(now));
        self.to_thread.notify_all();
    }

    /// Called by the worker when it has stopped. Drops everything that users handed in.
    pub(crate) fn close(self: &Arc<Self>, now: u64) {
        let mut state = self.lock();
        state.close(now);
        self.start_where_needed(&mut state);
        // Without a thread nothing else would drop it.
        let left = if state.has_thread() { None } else { Some(state.take_all()) };
        drop(state);
        if let Some((probes, notices)) = left {
            drop(Job::LetGo(probes, notices).run(&self.ledgers));
        }
        self.to_thread.notify_all();
    }

    /// Waits until the notices of finished flushes are delivered. It waits at most `timeout`, and not for a late call.
    pub(crate) fn settle(&self, timeout: Duration) {
        drop(self.wait(self.lock(), timeout.min(LATE_AFTER), |state| !state.has_look()));
    }

    /// Waits until the thread has ended. It waits at most `timeout`, and not for a late call.
    pub(crate) fn finish(&self, timeout: Duration) {
        drop(self.wait(self.lock(), timeout.min(LATE_AFTER), |state| !state.has_thread()));
    }

    /// Returns whether the calling thread is one of these threads, which must not wait for itself.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.lock().is_own_thread()
    }

    /// Returns the names of the probes whose calls have been running for longer than [`LATE_AFTER`].
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

    /// Starts a thread if there is work and no thread in charge. If that fails, it is tried again later.
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
                    // This also wakes those who wait for a round that found nothing to do.
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

    /// Nothing panics while holding the lock, so a poisoned lock is still consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
