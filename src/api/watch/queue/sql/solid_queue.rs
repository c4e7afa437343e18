//! Solid Queue.

use super::source::{Priority, Since, Source};
use super::statement::{NOW_UTC, count};
use super::{COUNT_LIMIT, SqlQueue, Statement};

impl SqlQueue {
    /// A queue of [Solid Queue](https://github.com/rails/solid_queue) in `PostgreSQL`.
    ///
    /// A job waits from when it became ready, or from its time on if no dispatcher has moved it since. The age is a
    /// lower bound where a scheduled job became ready after jobs that were made later, because the jobs of a priority
    /// are in the order of their making. Jobs that are blocked by a limit of concurrency are left out, and those of a
    /// paused queue count as waiting. A job that a process has taken counts as running, also while it waits for a
    /// thread of that process. Retrying is absent: a retry of Active Job is a scheduled job like any other. Dead jobs
    /// are those in `solid_queue_failed_executions`.
    ///
    /// Only the ready jobs have an index by queue. Of the others, the first 10,000 of all queues are looked at: the
    /// scheduled ones that are due first, and any of the failed ones.
    pub fn solid_queue(queue: &str) -> Self {
        Self::new(queue, None, |queue| statement(queue).text())
    }
}

fn statement(queue: &SqlQueue) -> Statement {
    let table = |name: &str| queue.table(&format!("solid_queue_{name}"));
    let (ready, scheduled, jobs, name) =
        (table("ready_executions"), table("scheduled_executions"), table("jobs"), queue.name());
    let waits = format!("queue_name = {name}");
    let of_queue = |table: &str| {
        count(&format!(
            "select 1 from (select job_id from {table} limit {COUNT_LIMIT}) as execution \
             join {jobs} as job on job.id = execution.job_id where job.{waits}"
        ))
    };
    let (claimed, failed) = (of_queue(&table("claimed_executions")), of_queue(&table("failed_executions")));
    let ready = Source {
        table: ready,
        waits: waits.clone(),
        priority: Some(Priority::Ascending),
        since: Since::Entered { order: "job_id", at: "created_at".to_owned() },
        tried: "false",
    };
    let scheduled = Source {
        table: format!("(select * from {scheduled} order by scheduled_at limit {COUNT_LIMIT})"),
        waits,
        priority: None,
        since: Since::Due("scheduled_at"),
        tried: "false",
    };
    Statement {
        table: ready.table.clone(),
        now: NOW_UTC,
        before: String::new(),
        sources: vec![ready, scheduled],
        running: Some(claimed),
        dead: Some(failed),
        tells_retries: false,
    }
}
