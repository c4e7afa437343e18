//! Systems that keep a job's state in a column, and whose stager makes available what is due.

use super::source::{Priority, Since, Source};
use super::statement::count;
use super::{SqlQueue, Statement};

/// Returns the statement for a table whose index has the state, the queue, the priority and the time. `running` is the
/// state of a job that a worker has.
///
/// What is due and not staged waits as well: where the stager stands still, only this shows it. A retry that is due
/// soon may be available before its time.
pub(super) fn statement(queue: &SqlQueue, table: &str, now: &'static str, running: &str) -> Statement {
    let (table, name) = (queue.table(table), queue.name());
    let in_state = |state: &str| format!("state = '{state}' and queue = {name}");
    let source = |state: &str, tried| Source {
        table: table.clone(),
        waits: in_state(state),
        priority: Some(Priority::Ascending),
        since: Since::Due("scheduled_at"),
        tried,
    };
    let counted = |state: &str| count(&format!("select 1 from {table} where {}", in_state(state)));
    Statement {
        now,
        before: String::new(),
        sources: vec![
            source("available", "attempt > 0"),
            source("scheduled", "false"),
            source("retryable", "true"),
        ],
        running: Some(counted(running)),
        dead: Some(counted("discarded")),
        tells_retries: true,
        table: table.clone(),
    }
}
