//! Oban.

use super::now::NOW_UTC;
use super::staged::Staged;
use super::{SqlQueue, Statement, System};

impl SqlQueue {
    /// A queue of [Oban](https://hexdocs.pm/oban) in `PostgreSQL`.
    ///
    /// A job that is due counts as waiting before Oban has staged it, so that a stager that stands still shows. A job
    /// whose node died counts as running until Oban rescues it. Dead jobs are the discarded ones. The jobs of a
    /// paused queue count as waiting.
    ///
    /// Oban's own index, of state, queue, priority and time, fits all numbers.
    pub fn oban(queue: &str) -> Self {
        Self::new(System::Oban, queue)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    Staged { table: "oban_jobs", kind: "oban_job_state", running: "executing", now: NOW_UTC }.statement(queue)
}
