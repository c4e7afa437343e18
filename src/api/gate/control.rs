//! What a gate knows of the load, and what follows for its classes.

use super::admission::Admission;
use super::class::GateClass;
use super::load::Load;
use super::status::GateStatus;
use super::turns::Turns;
use crate::api::dimension::Family;
use crate::callback::probe::Levels;
use crate::process::clock::{Clock, nanos};
use crate::process::fork::{generation, make_whole};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    // How often it was looked whether the load is too old, since it was measured.
    looks: u32,
    // A forked child inherits a load, and nobody who measures it.
    measured_by: u32,
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
        let turns = Turns::new(pace.retry_after);
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
        state.looks = 0;
        state.measured_by = generation();
        state.load = load;
        self.decide(state);
    }

    /// Forgets a load that nobody measured again in time, or that the parent of this process measured.
    pub(super) fn expire(&self) {
        let believed_for = nanos(self.pace.every).saturating_mul(BELIEVED_FOR);
        let _whole = make_whole();
        let mut state = self.lock();
        let age = self.clock.now().saturating_sub(state.measured_at);
        state.looks = state.looks.saturating_add(1);
        // A load is measured at collections, which may be further apart than samples are to be.
        let is_old = (age >= believed_for && state.looks > 1) || state.measured_by != generation();
        if state.load.value().is_some() && is_old {
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
