//! GoodJob.

use super::now::NOW_UTC;
use super::source::{Since, Source};
use super::statement::{Waiting, dead, running};
use super::{SqlQueue, Statement, System};

impl SqlQueue {
    /// A queue of [GoodJob](https://github.com/bensheldon/good_job).
    ///
    /// A job whose process died counts as running until another process takes it. Dead jobs are those that ended with
    /// an error and are not tried again.
    ///
    /// Where times are `timestamptz`, the session's time zone has to be UTC, as it is in sessions of Rails.
    ///
    /// Age, depth, scheduled and retrying use GoodJob's own index. Running and dead need
    /// [`with_scans`](Self::with_scans), and want
    ///
    /// ```sql
    /// create index concurrently on good_jobs (queue_name) where performed_at is not null and finished_at is null;
    /// create index concurrently on good_jobs (queue_name) where finished_at is not null and error is not null;
    /// ```
    pub fn good_job(queue: &str) -> Self {
        Self::new(System::GoodJob, queue)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let (table, name) = (queue.table("good_jobs"), queue.name());
    let waiting = Source {
        table: table.clone(),
        waits: format!("finished_at is null and performed_at is null and queue_name = {name}"),
        states: None,
        priority: None,
        since: Since::Due("scheduled_at"),
        tried: "coalesce(executions_count, 0) > 0",
    };
    let rows = |condition: &str| format!("select 1 from {table} where queue_name = {name} and {condition}");
    Statement {
        now: NOW_UTC,
        before: String::new(),
        waiting: Waiting::In(vec![waiting]),
        running: queue.scanned(running(&rows("performed_at is not null and finished_at is null"))),
        dead: queue.scanned(dead(&rows("finished_at is not null and error is not null"))),
        tells_retries: true,
        table: table.clone(),
    }
}
