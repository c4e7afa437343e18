//! A wait for something that is scarce.

use super::held::Held;
use super::turn::Turn;

/// A caller that waits. [`Holder::wait`](crate::Holder::wait) begins one.
///
/// It ends in one of five ways:
///
/// | the wait | how | `pool.wait` | counter |
/// |---|---|---|---|
/// | got what it waited for | [`acquired`](Self::acquired) | recorded | – |
/// | took too long | [`timed_out`](Self::timed_out) | recorded | `pool.timeouts` |
/// | failed | [`failed`](Self::failed) | – | `pool.errors` |
/// | had a result, which is one of the above | [`ended`](Self::ended) | | |
/// | was cancelled | it is dropped | – | – |
///
/// In each case the caller is no longer in `pool.waiting`. A child that was forked in the meantime ends nothing: the
/// wait is its parent's.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use std::sync::mpsc::channel;
/// use std::time::Duration;
///
/// let (free, waiting) = channel();
/// free.send("a connection")?;
/// let checkout = client.holders("primary", 10).of("checkout");
/// let connection = checkout.wait().ended(waiting.recv_timeout(Duration::from_secs(1)), |_| true)?;
/// assert_eq!(*connection, "a connection");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the wait is cancelled when this is dropped: `let wait`, not `let _`"]
pub struct Wait {
    turn: Turn,
}

impl Wait {
    #[inline]
    pub(super) fn new(turn: Turn) -> Self {
        Self { turn }
    }

    /// Ends the wait, and begins the hold of what it was for.
    #[inline]
    pub fn acquired<C>(self, unit: C) -> Held<C> {
        Held::new(self.turn.acquire(), unit)
    }

    /// Ends a wait that took too long, and counts it in `pool.timeouts`.
    pub fn timed_out(self) {
        self.turn.time_out();
    }

    /// Ends a wait that failed for another reason, and counts it in `pool.errors`.
    pub fn failed(self) {
        self.turn.fail();
    }

    /// Ends the wait as its result says. `is_timeout` tells an error that means that the wait took too long from the
    /// others. It is only called for an error.
    ///
    /// # Errors
    ///
    /// Returns the error of `result`, which is counted.
    #[inline]
    pub fn ended<C, E>(
        self,
        result: Result<C, E>,
        is_timeout: impl FnOnce(&E) -> bool,
    ) -> Result<Held<C>, E> {
        match result {
            Ok(unit) => Ok(self.acquired(unit)),
            Err(error) => {
                if is_timeout(&error) {
                    self.timed_out();
                } else {
                    self.failed();
                }
                Err(error)
            }
        }
    }
}
