//! pg-boss.

use super::source::{Since, Source};
use super::statement::NOW;
use super::states::{StateIndex, States};
use super::{SqlQueue, Statement, System};

impl SqlQueue {
    /// A queue of [pg-boss](https://github.com/timgit/pg-boss) 12. Its tables have the schema `pgboss`.
    ///
    /// The counts of `pgboss.queue` are not used, because they are of some time ago. A job that waits for others is
    /// left out. A job that was sent with a start in the past is as old as that start. A job whose worker died counts
    /// as running until it expires, 15 minutes by default.
    ///
    /// pg-boss's own indexes fit all numbers.
    pub fn pg_boss(queue: &str) -> Self {
        Self::new(System::PgBoss, queue)
    }
}

/// The states that pg-boss's index has. The planner takes it where exactly these are asked for.
const INDEXED: &str = "state in ('created', 'retry', 'active', 'failed')";

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let (table, kind) = (queue.table("job"), queue.table("job_state"));
    let of_queue = format!("{INDEXED} and name = {}", queue.name());
    let waiting = Source {
        table: table.clone(),
        waits: format!("{of_queue} and blocked = false"),
        states: Some(States { kind: kind.clone(), names: &["created", "retry"] }),
        priority: None,
        since: Since::Due("start_after"),
        // The count of retries rises when the retry is taken, so only the state tells.
        tried: "state = 'retry'",
    };
    let mut statement = Statement {
        table,
        now: NOW,
        before: String::new(),
        sources: vec![waiting],
        running: None,
        dead: None,
        tells_retries: true,
    };
    let index = StateIndex { kind, condition: of_queue, order: "blocked, start_after" };
    index.count(&mut statement, "active", "failed");
    statement
}
