//! What a gate says of a class at the moment, in one word.

use crate::process::sync::Ordering;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicU32;

crate::tags! {
    /// The state of a class of a [`Gate`](crate::Gate): `state:open`, `state:shedding`, `state:unknown`.
    pub enum GateState: "state" {
        /// The load allows everything.
        Open,
        /// The load is too high for this class.
        Shedding,
        /// The load is not known.
        Unknown,
    }
}

crate::api::dimension::shown!(GateState);

const STATE_BITS: u32 = 2;
const STATE_MASK: u32 = (1 << STATE_BITS) - 1;
/// The share in which everything is admitted.
const ALL: u32 = u32::MAX >> STATE_BITS;
/// 2^32 over the golden ratio. Steps of it fall evenly between those before, however many there are.
const STEP: u32 = 0x9E37_79B9;

/// A state, and the share of work that is admitted, in 2^30ths. The share is above the state, so that everything is
/// admitted from one number on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict(u32);

impl Verdict {
    pub(super) fn new(state: GateState, share: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 2^30")]
        let share = (share.clamp(0.0, 1.0) * f64::from(ALL)) as u32;
        let state = match state {
            GateState::Open => 0,
            GateState::Shedding => 1,
            GateState::Unknown => 2,
        };
        Self((share << STATE_BITS) | state)
    }

    #[inline]
    pub(super) fn state(self) -> GateState {
        match self.0 & STATE_MASK {
            0 => GateState::Open,
            1 => GateState::Shedding,
            _ => GateState::Unknown,
        }
    }

    /// Decides on one piece of work.
    #[inline]
    pub(super) fn admits(self) -> bool {
        self.0 >= ALL << STATE_BITS || self.admits_this()
    }

    #[cold]
    fn admits_this(self) -> bool {
        draw() >> STATE_BITS < self.0 >> STATE_BITS
    }
}

/// A verdict that changes. It publishes no other data, so its loads and stores are `Relaxed`.
#[derive(Debug)]
pub(super) struct SharedVerdict(AtomicU32);

impl SharedVerdict {
    pub(super) fn new(verdict: Verdict) -> Self {
        Self(AtomicU32::new(verdict.0))
    }

    #[inline]
    pub(super) fn load(&self) -> Verdict {
        Verdict(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn store(&self, verdict: Verdict) {
        self.0.store(verdict.0, Ordering::Relaxed);
    }
}

/// Returns the next number of the thread's own sequence. Of any hundred in a row, a share of 5 % are below 5 % of the
/// range, give or take one: random numbers would admit nothing for a long time now and then.
fn draw() -> u32 {
    thread_local! {
        // 0 until the first draw.
        static DRAWN: Cell<u32> = const { Cell::new(0) };
    }
    DRAWN.with(|drawn| {
        let last = if drawn.get() == 0 { start() } else { drawn.get() };
        drawn.set(last.wrapping_add(STEP));
        drawn.get()
    })
}

/// Where a thread begins. Threads that only ever draw once must not all draw the same.
fn start() -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
    let bits = RandomState::new().hash_one(STEP) as u32;
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(verdict: Verdict, of: u32) -> u32 {
        (0..of).map(|_| u32::from(verdict.admits())).sum()
    }

    #[test]
    fn a_share_is_admitted_evenly() {
        for percent in [1, 5, 50, 99] {
            let verdict = Verdict::new(GateState::Shedding, f64::from(percent) / 100.0);
            let seen: Vec<u32> = (0..50).map(|_| admitted(verdict, 100)).collect();
            assert!(seen.iter().all(|seen| seen.abs_diff(percent) <= 2), "{percent}: {seen:?}");
            let all: u32 = seen.iter().sum();
            assert!(all.abs_diff(50 * percent) <= 3, "{percent}: {all} of 5000");
        }
    }

    #[test]
    fn all_and_nothing_are_exact_in_each_state() {
        for &state in GateState::ALL {
            let verdict = |share| Verdict::new(state, share);
            assert_eq!(admitted(verdict(1.0), 10_000), 10_000);
            assert_eq!(admitted(verdict(0.0), 10_000), 0);
            assert_eq!(
                (verdict(1.0).state(), verdict(0.0).state(), verdict(0.3).state()),
                (state, state, state)
            );
        }
    }

    #[test]
    fn threads_that_decide_once_admit_their_share_together() {
        let verdict = Verdict::new(GateState::Shedding, 0.5);
        let admits = || std::thread::spawn(move || verdict.admits()).join().unwrap();
        let admitted: u32 = (0..400).map(|_| u32::from(admits())).sum();
        // Ten standard deviations.
        assert!((100..300).contains(&admitted), "{admitted}");
    }
}
