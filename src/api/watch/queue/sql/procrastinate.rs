//! procrastinate.

use super::now::NOW;
use super::source::{Since, Source};
use super::statement::{Waiting, dead, running};
use super::{SqlQueue, Statement, System};

impl SqlQueue {
    /// A queue of [procrastinate](https://procrastinate.readthedocs.io) 3.
    ///
    /// A job for which no time was set has none in its row: it waits from its last event `deferred` on. If that event
    /// was deleted, the age is absent. A job whose lock another one holds counts as waiting. A job whose worker died
    /// counts as running.
    ///
    /// Age, depth, scheduled and retrying want indexes that procrastinate does not have. Without them, their cost
    /// grows with the jobs that wait:
    ///
    /// ```sql
    /// create index concurrently on procrastinate_jobs (queue_name, id) where status = 'todo' and scheduled_at is null;
    /// create index concurrently on procrastinate_jobs (queue_name, scheduled_at)
    ///     where status = 'todo' and scheduled_at is not null;
    /// ```
    ///
    /// Dead jobs, which are those that failed, need [`with_scans`](Self::with_scans), and want
    ///
    /// ```sql
    /// create index concurrently on procrastinate_jobs (queue_name) where status = 'failed';
    /// ```
    pub fn procrastinate(queue: &str) -> Self {
        Self::new(System::Procrastinate, queue)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let (table, name) = (queue.table("procrastinate_jobs"), queue.name());
    let events = queue.table("procrastinate_events");
    // The event `scheduled` has the planned time, which is ahead.
    let deferred = format!(
        "(select max(event.at) from {events} as event where event.job_id = job.id and \
         event.type in ('deferred', 'deferred_for_retry'))"
    );
    let source = |time: &str, since| Source {
        table: table.clone(),
        waits: format!("status = 'todo' and queue_name = {name} and scheduled_at {time}"),
        states: None,
        priority: None,
        since,
        tried: "attempts > 0",
    };
    let sources = vec![
        source("is null", Since::Entered { order: "id", at: deferred }),
        source("is not null", Since::Due("scheduled_at")),
    ];
    let of_queue =
        |status: &str| format!("select 1 from {table} where status = '{status}' and queue_name = {name}");
    Statement {
        now: NOW,
        before: String::new(),
        waiting: Waiting::In(sources),
        running: Some(running(&of_queue("doing"))),
        dead: queue.scanned(dead(&of_queue("failed"))),
        tells_retries: true,
        table: table.clone(),
    }
}
