//! Oban.

use super::source::{Priority, Since, Source};
use super::statement::{NOW_UTC, count};
use super::{SqlQueue, Statement};

impl SqlQueue {
    /// A queue of [Oban](https://hexdocs.pm/oban) in `PostgreSQL`.
    ///
    /// A job that is due counts as waiting before Oban has staged it, so that a stager that stands still shows. A job whose
    /// node died counts as running until Oban rescues it. Dead jobs are the discarded ones. The jobs of a paused queue
    /// count as waiting.
    ///
    /// Oban's own index, of state, queue, priority and time, fits all numbers.
    pub fn oban(queue: &str) -> Self {
        Self::new(queue, None, |queue| statement(queue).text())
    }
}

fn statement(queue: &SqlQueue) -> Statement {
    let (table, name) = (queue.table("oban_jobs"), queue.name());
    let source = |state: &str, tried| Source {
        table: table.clone(),
        waits: format!("state = '{state}' and queue = {name}"),
        priority: Some(Priority::Ascending),
        since: Since::Due("scheduled_at"),
        tried,
    };
    let in_state =
        |state: &str| count(&format!("select 1 from {table} where state = '{state}' and queue = {name}"));
    Statement {
        now: NOW_UTC,
        before: String::new(),
        sources: vec![
            source("available", "attempt > 0"),
            source("scheduled", "false"),
            source("retryable", "true"),
        ],
        running: Some(in_state("executing")),
        dead: Some(in_state("discarded")),
        tells_retries: true,
        table: table.clone(),
    }
}
