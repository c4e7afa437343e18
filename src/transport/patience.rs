//! How long the worker waits for an agent in one flush.

use super::WRITE_TIMEOUT;
use std::time::{Duration, Instant};

/// The rest of [`WRITE_TIMEOUT`] is for the system: its timers are up to two ticks late, of 4 ms in most kernels.
const PATIENCE: Duration = WRITE_TIMEOUT.saturating_sub(Duration::from_millis(10));
/// An agent that took nothing for so long is not only slow.
const LONGEST_WAIT: Duration = Duration::from_millis(90);
/// Less than this is not worth a wait.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// What is left of the time that the worker may wait in the flush under way, for whatever it waits.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { left: PATIENCE }
    }

    /// A flush begins: the agent gets another chance.
    pub(super) fn renew(&mut self) {
        self.left = PATIENCE;
    }

    /// How long a wait may be; `None` when nothing more waits in this flush.
    pub(super) fn left(&self) -> Option<Duration> {
        (self.left >= TICK).then_some(self.left.min(LONGEST_WAIT))
    }

    /// A wait was in vain.
    pub(super) fn lose(&mut self) {
        self.left = Duration::ZERO;
    }

    /// Does what may take a while. It is told how long that may be.
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
        let mut patience = Patience::new();
        patience.spend(|left| {
            assert_eq!(left, LONGEST_WAIT);
            std::thread::sleep(TICK * 3);
        });
        assert!(patience.left <= PATIENCE.saturating_sub(TICK * 3));
        while patience.left().is_some() {
            patience.spend(|left| std::thread::sleep(left / 2 + TICK));
        }
        patience.spend(|left| assert_eq!(left, Duration::ZERO));
        patience.renew();
        assert_eq!((patience.left, patience.left()), (PATIENCE, Some(LONGEST_WAIT)));
        patience.lose();
        assert_eq!(patience.left(), None);
    }
}
