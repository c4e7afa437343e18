//! pg-boss.

use super::source::{Since, Source};
use super::statement::{NOW, count};
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

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let (table, name) = (queue.table("job"), queue.name());
    // Equal to one state and not below another, as the index begins with it.
    let source = |state: &str, tried| Source {
        table: table.clone(),
        waits: format!("name = {name} and state = '{state}' and blocked = false"),
        priority: None,
        since: Since::Due("start_after"),
        tried,
    };
    let in_state =
        |state: &str| count(&format!("select 1 from {table} where name = {name} and state = '{state}'"));
    Statement {
        now: NOW,
        before: String::new(),
        // The count of retries rises when the retry is taken, so only the state tells.
        sources: vec![source("created", "false"), source("retry", "true")],
        running: Some(in_state("active")),
        dead: Some(in_state("failed")),
        tells_retries: true,
        table: table.clone(),
    }
}
