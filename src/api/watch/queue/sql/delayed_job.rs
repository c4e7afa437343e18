//! `delayed_job`.

use super::now::NOW_UTC;
use super::source::{Priority, Since, Source};
use super::statement::{Waiting, dead, running};
use super::{SqlQueue, Statement, System};

impl SqlQueue {
    /// A queue of [`delayed_job`](https://github.com/collectiveidea/delayed_job) with Active Record in `PostgreSQL`,
    /// or all jobs, also those without a queue.
    ///
    /// A job whose worker died counts as running for `max_run_time`, 4 hours by default, and longer if nobody takes
    /// it. Jobs without a priority are left out.
    ///
    /// Where times are `timestamptz`, the session's time zone has to be UTC, as it is in sessions of Rails.
    ///
    /// `delayed_job`'s own index has the dead jobs among those that wait, and all queues together, so the cost grows
    /// with both. Age, depth, scheduled and retrying want one of
    ///
    /// ```sql
    /// create index concurrently on delayed_jobs (priority, run_at) where failed_at is null and locked_at is null;
    /// create index concurrently on delayed_jobs (queue, priority, run_at)
    ///     where failed_at is null and locked_at is null;
    /// ```
    ///
    /// Running and dead need [`with_scans`](Self::with_scans), and want
    ///
    /// ```sql
    /// create index concurrently on delayed_jobs (queue) where locked_at is not null and failed_at is null;
    /// create index concurrently on delayed_jobs (queue) where failed_at is not null;
    /// ```
    pub fn delayed_job<'a>(queue: impl Into<Option<&'a str>>) -> Self {
        Self::new(System::DelayedJob, queue)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let of_queue = queue.queue.as_ref().map(|_| format!(" and queue = {}", queue.name())).unwrap_or_default();
    let table = queue.table("delayed_jobs");
    let waiting = Source {
        table: table.clone(),
        waits: format!("failed_at is null and locked_at is null{of_queue}"),
        states: None,
        priority: Some(Priority::Ascending),
        since: Since::Due("run_at"),
        tried: "attempts > 0",
    };
    let rows = |condition: &str| format!("select 1 from {table} where {condition}{of_queue}");
    Statement {
        now: NOW_UTC,
        before: String::new(),
        waiting: Waiting::In(vec![waiting]),
        // A job that failed for good keeps the lock of its last try.
        running: queue.scanned(running(&rows("locked_at is not null and failed_at is null"))),
        dead: queue.scanned(dead(&rows("failed_at is not null"))),
        tells_retries: true,
        table: table.clone(),
    }
}
