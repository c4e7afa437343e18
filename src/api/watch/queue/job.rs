//! A job that runs.

use super::stay::Stay;
use crate::api::dimension::Outcome;
use std::time::Duration;

/// A job that has left its queue and is running. [`QueueTicket::start`](crate::QueueTicket::start) returns one.
///
/// While it lives, it is part of `queue.running` and of `queue.longest_running_seconds`, which shows a job that hangs.
/// Its end is recorded in the timing `queue.duration` with the tag `outcome`:
///
/// - [`end`](Self::end) records the outcome that it is given, or that of a result;
/// - dropping it during a panic records [`Outcome::Error`];
/// - dropping it otherwise records [`Outcome::Cancelled`], because nobody said how the job ended. This is what happens
///   to a future that is dropped, and to a function that returns early.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let mail = client.work_queue("mail").register();
/// let job = mail.enter().start();
/// let sent: Result<u32, std::num::ParseIntError> = "12".parse();
/// job.end(&sent); // queue.duration with outcome:ok,queue:mail
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use = "the job ends when this is dropped: `let job`, not `let _`"]
pub struct RunningJob {
    stay: Stay,
}

impl RunningJob {
    #[inline]
    pub(super) fn new(stay: Stay) -> Self {
        Self { stay }
    }

    /// Ends the job with an outcome, or with that of a result.
    #[inline]
    pub fn end(mut self, outcome: impl Into<Outcome>) {
        self.stay.set_outcome(outcome.into());
    }

    /// Returns the time since the job started. It is [`Duration::ZERO`] for the job of a disabled client.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.stay.elapsed()
    }
}
