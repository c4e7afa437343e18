//! River.

use super::source::{Priority, Since, Source};
use super::statement::{NOW, count};
use super::{SqlQueue, Statement};

impl SqlQueue {
    /// A queue of [River](https://riverqueue.com) in `PostgreSQL`.
    ///
    /// A job that is due counts as waiting before River's scheduler has moved it. A retry that is due within seconds is
    /// `available` already, and counts as retrying until then. A job whose process died counts as running until River
    /// rescues it, after an hour by default. Dead jobs are the discarded ones. The jobs of a paused queue count as waiting.
    ///
    /// River's own index, of state, queue, priority and time, fits all numbers.
    pub fn river(queue: &str) -> Self {
        Self::new(queue, None, |queue| statement(queue).text())
    }
}

fn statement(queue: &SqlQueue) -> Statement {
    let (table, name) = (queue.table("river_job"), queue.name());
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
        now: NOW,
        before: String::new(),
        sources: vec![
            source("available", "attempt > 0"),
            source("scheduled", "false"),
            source("retryable", "true"),
        ],
        running: Some(in_state("running")),
        dead: Some(in_state("discarded")),
        tells_retries: true,
        table: table.clone(),
    }
}
