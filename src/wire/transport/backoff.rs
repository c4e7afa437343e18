//! Limits how often a connection is attempted.

use crate::process::clock::nanos;
use rand::TryRng;
use rand::rngs::SysRng;
use std::time::{Duration, Instant};

const SHORTEST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_secs(5);

/// The time between two connection attempts: 25 ms, doubled after each attempt up to 5 s. Each delay is shortened
/// randomly by up to a half, so that tasks that lost their agent together don't come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    delay: Duration,
    until: Option<Instant>,
}

impl Backoff {
    /// Whether an attempt may be made now. If so, the next one may not be made before the delay is over.
    pub(super) fn take_turn(&mut self) -> bool {
        self.take_turn_at(Instant::now())
    }

    fn take_turn_at(&mut self, now: Instant) -> bool {
        if !self.is_over(now) {
            return false;
        }
        // The state changes before the attempt, whatever its result.
        self.delay = (self.delay * 2).clamp(SHORTEST, LONGEST);
        self.until = now.checked_add(jittered(self.delay));
        true
    }

    /// The time until the next attempt may be made.
    pub(super) fn pause(&self) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Notes that a connection worked. The current delay stays, but is not doubled.
    pub(super) fn succeed(&mut self) {
        self.delay = Duration::ZERO;
    }

    /// Starts over, because the agent has changed.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }
}

/// The delay, up to a half shorter.
fn jittered(delay: Duration) -> Duration {
    let drawn = SysRng.try_next_u64().unwrap_or(0);
    delay.saturating_sub(Duration::from_nanos(drawn % (nanos(delay) / 2 + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes on to when the time is over, and says how long that takes.
    fn wait(backoff: &Backoff, now: &mut Instant) -> Duration {
        let over = backoff.until.unwrap();
        over.duration_since(std::mem::replace(now, over))
    }

    #[test]
    fn attempts_are_ever_farther_apart_up_to_a_limit() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        for expected in [25, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            assert!(backoff.take_turn_at(now));
            assert!(!backoff.take_turn_at(now), "one attempt at a time");
            let (longest, delay) = (Duration::from_millis(expected), wait(&backoff, &mut now));
            assert!((longest / 2..=longest).contains(&delay), "{delay:?} of {longest:?}");
            assert!(!backoff.take_turn_at(now.checked_sub(Duration::from_nanos(1)).unwrap()), "not too soon");
        }
    }

    #[test]
    fn delays_differ() {
        let delays: Vec<Duration> = (0..8).map(|_| jittered(LONGEST)).collect();
        assert!(delays.iter().any(|delay| *delay != delays[0]), "{delays:?}");
        assert!(delays.iter().all(|delay| (LONGEST / 2..=LONGEST).contains(delay)), "{delays:?}");
    }

    #[test]
    fn behind_a_connection_that_was_of_use_the_time_is_short_but_not_nothing() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        for _ in 0..5 {
            assert!(backoff.take_turn_at(now));
            wait(&backoff, &mut now);
        }
        assert!(backoff.take_turn_at(now));
        backoff.succeed();
        assert!(!backoff.take_turn_at(now));
        wait(&backoff, &mut now);
        assert!(backoff.take_turn_at(now));
        assert!(wait(&backoff, &mut now) <= SHORTEST);
    }
}
