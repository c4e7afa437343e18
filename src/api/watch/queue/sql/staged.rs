//! Systems that keep a job's state in a column, and whose stager makes available what is due.

use super::source::{Priority, Since, Source};
use super::states::{StateIndex, States};
use super::{SqlQueue, Statement};

/// A table whose index has the state, the queue, the priority and the time.
pub(super) struct Staged {
    pub(super) table: &'static str,
    /// The type of the column `state`.
    pub(super) kind: &'static str,
    /// The state of a job that a worker has.
    pub(super) running: &'static str,
    pub(super) now: &'static str,
}

impl Staged {
    /// What is due and not staged waits as well: where the stager stands still, only this shows it. A retry that is due
    /// soon may be available before its time.
    pub(super) fn statement(&self, queue: &SqlQueue) -> Statement {
        let (table, kind, of_queue) =
            (queue.table(self.table), queue.table(self.kind), format!("queue = {}", queue.name()));
        let waiting = Source {
            table: table.clone(),
            waits: of_queue.clone(),
            states: Some(States { kind: kind.clone(), names: &["available", "scheduled", "retryable"] }),
            priority: Some(Priority::Ascending),
            since: Since::Due("scheduled_at"),
            tried: "state = 'retryable' or state = 'available' and attempt > 0",
        };
        let mut statement = Statement {
            table,
            now: self.now,
            before: String::new(),
            sources: vec![waiting],
            running: None,
            dead: None,
            tells_retries: true,
        };
        StateIndex { kind, condition: of_queue, order: "priority, scheduled_at" }.count(
            &mut statement,
            self.running,
            "discarded",
        );
        statement
    }
}
