//! Solid Queue.

use super::now::NOW_UTC;
use super::source::{Priority, Since, Source};
use super::statement::{Waiting, dead, running};
use super::{SqlQueue, Statement, System};

impl SqlQueue {
    /// A queue of [Solid Queue](https://github.com/rails/solid_queue) in `PostgreSQL`.
    ///
    /// A job waits from when it became ready, or from its time on if no dispatcher has moved it since. The age is a
    /// lower bound where a scheduled job became ready after jobs that were made later, because the jobs of a priority
    /// are in the order of their making. Jobs that are blocked by a limit of concurrency are left out, and those of a
    /// paused queue count as waiting. A job that a process has taken counts as running, also while it waits for a
    /// thread of that process, and until another process notices that this one died. Retrying is absent: a retry of
    /// Active Job is a scheduled job like any other.
    ///
    /// Where times are `timestamptz`, the session's time zone has to be UTC, as it is in sessions of Rails.
    ///
    /// Solid Queue's own indexes fit, but the one of scheduled jobs has all queues together. Where other queues have
    /// many of them, age, depth and scheduled want
    ///
    /// ```sql
    /// create index concurrently on solid_queue_scheduled_executions (queue_name, scheduled_at);
    /// ```
    ///
    /// Dead jobs, which are those in `solid_queue_failed_executions`, need [`with_scans`](Self::with_scans): the queue
    /// of each of them is looked up.
    pub fn solid_queue(queue: &str) -> Self {
        Self::new(System::SolidQueue, queue)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let table = |name: &str| queue.table(&format!("solid_queue_{name}"));
    let (jobs, waits) = (table("jobs"), format!("queue_name = {}", queue.name()));
    // A look-up each. Without the offset it would be a join, for which all jobs that were ever done might be read.
    let of_queue = |table: &str| {
        format!(
            "select 1 from {table} as execution where exists \
             (select from {jobs} as job where job.id = execution.job_id and job.{waits} offset 0)"
        )
    };
    let (claimed, failed) = (of_queue(&table("claimed_executions")), of_queue(&table("failed_executions")));
    let ready = Source {
        table: table("ready_executions"),
        waits: waits.clone(),
        states: None,
        priority: Some(Priority::Ascending),
        since: Since::Entered { order: "job_id", at: "created_at".to_owned() },
        tried: "false",
    };
    let scheduled = Source {
        table: table("scheduled_executions"),
        waits,
        states: None,
        priority: None,
        since: Since::Due("scheduled_at"),
        tried: "false",
    };
    Statement {
        table: table("ready_executions"),
        now: NOW_UTC,
        before: String::new(),
        waiting: Waiting::In(vec![ready, scheduled]),
        running: Some(running(&claimed)),
        dead: queue.scanned(dead(&failed)),
        tells_retries: false,
    }
}
