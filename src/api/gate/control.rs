//! What a gate knows of the load, and what follows for its classes.

use super::admission::Admission;
use super::class::GateClass;
use super::load::Load;
use super::status::GateStatus;
use crate::api::dimension::Family;
use crate::callback::probe::Levels;
use crate::process::clock::{Clock, nanos};
use crate::process::fork::make_whole;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The class of work for which there is none.
pub(super) const OTHER: &str = "other";

/// The number of samples without which a load is not believed any more.
const BELIEVED_FOR: u64 = 2;

/// The times of a gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) every: Duration,
    pub(super) smoothing: Duration,
    pub(super) retry_after: Duration,
}

/// A gate's measurements and classes.
#[derive(Debug)]
pub(super) struct Control {
    clock: Clock,
    pace: Pace,
    // The last one is that of all other work.
    classes: Vec<GateClass>,
    other: GateClass,
    state: Mutex<State>,
    turns: Arc<Turns>,
}

#[derive(Debug, Default)]
struct State {
    load: Load,
    smoothed: Option<f64>,
    measured_at: u64,
    // Whether each class was being shed when the load was known last.
    shedding: Vec<bool>,
}

impl Control {
    /// `classes` makes the classes from what wakes those who wait, the last one for all other work.
    pub(super) fn new(
        clock: Clock,
        pace: Pace,
        classes: impl FnOnce(&Arc<Turns>) -> (Vec<GateClass>, GateClass),
    ) -> Arc<Self> {
        let turns = Arc::new(Turns { retry_after: pace.retry_after, ..Turns::default() });
        let (classes, other) = classes(&turns);
        let state = Mutex::new(State { shedding: vec![false; classes.len()], ..State::default() });
        Arc::new(Self { clock, pace, classes, other, state, turns })
    }

    /// Returns the control of a gate that admits everything.
    pub(super) fn open() -> Arc<Self> {
        let pace = Pace { every: Duration::ZERO, smoothing: Duration::ZERO, retry_after: Duration::ZERO };
        Self::new(Clock::monotonic(), pace, |turns| {
            (Vec::new(), GateClass::new(OTHER, Admission::always(), Family::default(), turns))
        })
    }

    pub(super) fn class(&self, name: &str) -> &GateClass {
        self.classes.iter().find(|class| class.name() == name).unwrap_or(&self.other)
    }

    pub(super) fn retry_after(&self) -> Duration {
        self.pace.retry_after
    }

    /// Takes a load that was measured now.
    pub(super) fn observe(&self, load: Load) {
        let now = self.clock.now();
        let _whole = make_whole();
        let mut state = self.lock();
        state.smoothed = load.value().map(|value| {
            let elapsed = now.saturating_sub(state.measured_at);
            state
                .smoothed
                .map_or(value, |before| smoothed(before, value, elapsed, nanos(self.pace.smoothing)))
        });
        state.measured_at = now;
        state.load = load;
        self.decide(state);
    }

    /// Forgets a load that nobody measured again in time.
    pub(super) fn expire(&self) {
        let believed_for = nanos(self.pace.every).saturating_mul(BELIEVED_FOR);
        let _whole = make_whole();
        let state = self.lock();
        let age = self.clock.now().saturating_sub(state.measured_at);
        if state.load.value().is_some() && age >= believed_for {
            self.forget_in(state);
        }
    }

    /// Forgets the load, because nobody measures it.
    pub(super) fn forget(&self) {
        let _whole = make_whole();
        self.forget_in(self.lock());
    }

    fn forget_in(&self, mut state: MutexGuard<'_, State>) {
        state.load = Load::unknown();
        state.smoothed = None;
        self.decide(state);
    }

    fn decide(&self, mut state: MutexGuard<'_, State>) {
        let smoothed = state.smoothed;
        for (class, shedding) in self.classes.iter().zip(&mut state.shedding) {
            *shedding = class.decide(smoothed, *shedding);
        }
        self.other.decide(smoothed, false);
        drop(state);
        self.turns.next();
    }

    pub(super) fn status(&self) -> GateStatus {
        let _whole = make_whole();
        let state = self.lock();
        let states = self.classes.iter().map(|class| (class.name().to_owned(), class.state())).collect();
        GateStatus::new(state.load.clone(), state.smoothed, states)
    }

    /// While it is held no other thread can fork, so that no child waits for it: each caller is in `make_whole`.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A measurement that hangs is none.
impl Levels for Control {
    fn make_absent(&self) {
        self.forget();
    }
}

/// Comes near to a value as fast as a resistor loads a capacitor: by 63 % in the time of the smoothing.
fn smoothed(before: f64, value: f64, elapsed: u64, smoothing: u64) -> f64 {
    if smoothing == 0 {
        return value;
    }
    let kept = (-(elapsed as f64) / smoothing as f64).exp();
    value + (before - value) * kept
}

/// Wakes those who wait for the next sample.
#[derive(Debug, Default)]
pub(super) struct Turns {
    turn: AtomicUsize,
    // No condition variable: a thread that wakes up in one holds its lock for a moment, at which another may fork.
    waiting: Mutex<Vec<Thread>>,
    retry_after: Duration,
}

impl Turns {
    pub(super) fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// The caller is in `make_whole`.
    fn next(&self) {
        // This Release pairs with the Acquire of those who wait: they see the verdicts of their turn.
        self.turn.fetch_add(1, Ordering::Release);
        let waiting = mem::take(&mut *self.lock());
        waiting.iter().for_each(Thread::unpark);
    }

    /// Begins to wait for turns from now on.
    pub(super) fn wait(&self, patience: Duration) -> WaitForTurn<'_> {
        WaitForTurn { turns: self, turn: self.turn.load(Ordering::Acquire), patience, since: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Thread>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for turns.
#[derive(Debug)]
pub(super) struct WaitForTurn<'a> {
    turns: &'a Turns,
    turn: usize,
    patience: Duration,
    since: Instant,
}

impl WaitForTurn<'_> {
    /// Sleeps until the next turn. Returns `false` once the patience is over.
    pub(super) fn for_next_turn(&mut self) -> bool {
        let mut is_listed = false;
        while !self.has_come() {
            let Some(left) = self.left() else {
                self.leave();
                return false;
            };
            if is_listed {
                // It may return early.
                thread::park_timeout(left);
            } else {
                is_listed = self.enter();
            }
        }
        self.turn = self.turns.turn.load(Ordering::Acquire);
        true
    }

    fn has_come(&self) -> bool {
        self.turns.turn.load(Ordering::Acquire) != self.turn
    }

    fn left(&self) -> Option<Duration> {
        self.patience.checked_sub(self.since.elapsed()).filter(|left| !left.is_zero())
    }

    /// Has the next turn wake this thread, unless it has come.
    fn enter(&self) -> bool {
        let _whole = make_whole();
        let mut waiting = self.turns.lock();
        let waits = !self.has_come();
        if waits {
            waiting.push(thread::current());
        }
        waits
    }

    fn leave(&self) {
        let _whole = make_whole();
        let own = thread::current().id();
        self.turns.lock().retain(|thread| thread.id() != own);
    }
}
