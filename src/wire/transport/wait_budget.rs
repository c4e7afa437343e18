//! How long the worker waits for an agent in one flush.

use super::{Turn, WRITE_TIMEOUT};
use std::time::{Duration, Instant};

/// The rest of [`WRITE_TIMEOUT`] is for the system, whose timers are up to two ticks late, of 4 ms in most kernels.
const BUDGET: Duration = WRITE_TIMEOUT.saturating_sub(Duration::from_millis(10));
/// An agent that accepted nothing for this long is not just slow.
const LONGEST_WAIT: Duration = Duration::from_millis(90);
/// A shorter wait is not worth it.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// The time that the worker may still wait in the current flush, for whatever reason.
#[derive(Debug)]
pub(super) struct WaitBudget {
    left: Duration,
    // The limit of one wait.
    longest: Duration,
    // When a caller stops waiting for the flush, if it allowed more time than usual.
    until: Option<Instant>,
}

impl WaitBudget {
    pub(super) fn new() -> Self {
        Self { left: BUDGET, longest: LONGEST_WAIT, until: None }
    }

    /// Starts a flush: the agent gets another chance, and the time that the caller allows.
    pub(super) fn renew(&mut self, turn: Turn) {
        *self = Self::new();
        let time = turn.time();
        if time > BUDGET {
            *self = Self { left: time, longest: time, until: turn.until };
        }
    }

    /// How long a wait may be; `None` if nothing may wait any more in this flush.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.left.min(self.longest);
        let until = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = until.map_or(left, |until| left.min(until));
        (left >= TICK).then_some(left)
    }

    /// Whether a caller waits for the flush and allowed more time than usual.
    pub(super) fn is_given(&self) -> bool {
        self.until.is_some()
    }

    /// Notes a wait without success.
    pub(super) fn lose(&mut self) {
        self.left = Duration::ZERO;
    }

    /// Runs an operation that may take a while, and passes it the time that it may take.
    pub(super) fn spend<T>(&mut self, wait: impl FnOnce(Duration) -> T) -> T {
        let start = Instant::now();
        let done = wait(self.left().unwrap_or_default());
        self.left = self.left.saturating_sub(start.elapsed());
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_in_one_flush_add_up_and_the_next_begins_anew() {
        let mut wait_budget = WaitBudget::new();
        wait_budget.spend(|left| {
            assert_eq!(left, LONGEST_WAIT);
            std::thread::sleep(TICK * 3);
        });
        assert!(wait_budget.left <= BUDGET.saturating_sub(TICK * 3));
        while wait_budget.left().is_some() {
            wait_budget.spend(|left| std::thread::sleep(left / 2 + TICK));
        }
        wait_budget.spend(|left| assert_eq!(left, Duration::ZERO));
        wait_budget.renew(Turn::default());
        assert_eq!((wait_budget.left, wait_budget.left()), (BUDGET, Some(LONGEST_WAIT)));
        wait_budget.lose();
        assert_eq!(wait_budget.left(), None);
    }

    #[test]
    fn a_flush_that_somebody_waits_for_has_the_time_that_they_give_it_and_never_less_than_usual() {
        let mut wait_budget = WaitBudget::new();
        let hour = Duration::from_secs(3600);
        let turn = |time, agents| Turn { until: Instant::now().checked_add(time), agents, is_last: false };
        wait_budget.renew(turn(hour, 0));
        assert!((hour / 2..=hour).contains(&wait_budget.left().unwrap()), "one wait may take all of it");
        wait_budget.renew(turn(hour, 4));
        assert!((hour / 8..=hour / 4).contains(&wait_budget.left().unwrap()), "shared by four agents");
        wait_budget.lose();
        assert_eq!(wait_budget.left(), None);
        for short in [Duration::ZERO, TICK, BUDGET] {
            wait_budget.renew(turn(short, 1));
            assert_eq!((wait_budget.left, wait_budget.left()), (BUDGET, Some(LONGEST_WAIT)));
        }
        wait_budget.renew(turn(hour, 1));
        wait_budget.until = Some(Instant::now());
        assert_eq!(wait_budget.left(), None, "nobody waits any more");
    }
}
