//! River.

use super::now::NOW;
use super::staged::Staged;
use super::{SqlQueue, Statement, System};

impl SqlQueue {
    /// A queue of [River](https://riverqueue.com) in `PostgreSQL`.
    ///
    /// A job that is due counts as waiting before River's scheduler has moved it. A retry that is due within seconds
    /// is `available` already, and counts as retrying until then. A job whose process died counts as running until
    /// River rescues it, after an hour by default. Dead jobs are the discarded ones. The jobs of a paused queue count
    /// as waiting.
    ///
    /// River's own index, of state, queue, priority and time, fits all numbers.
    pub fn river(queue: &str) -> Self {
        Self::new(System::River, queue)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    Staged { table: "river_job", kind: "river_job_state", running: "running", now: NOW }.statement(queue)
}
