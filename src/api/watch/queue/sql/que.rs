//! Que.

use super::now::NOW;
use super::source::{Priority, Since, Source};
use super::statement::{Waiting, dead, running};
use super::{SqlQueue, Statement, System};

/// The jobs that a process has, which no column of theirs shows. A lock of 64 bits is listed as two halves.
const HELD: &str = "held (id) as materialized (
    select classid::bigint << 32 | objid::bigint from pg_locks
    where locktype = 'advisory' and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database())),
";

impl SqlQueue {
    /// A queue of [Que](https://github.com/que-rb/que) 2. Que's default queue is `default`.
    ///
    /// A job that a process has taken has an advisory lock and nothing else. It counts as running, also while it
    /// waits for a thread of that process. A program that takes advisory locks of its own with the ids of jobs hides
    /// these. A job whose process died waits again at once, as its lock is gone. Dead jobs are the expired ones.
    ///
    /// All numbers but dead use Que's own index. Dead needs [`with_scans`](Self::with_scans), and wants
    ///
    /// ```sql
    /// create index concurrently on que_jobs (queue) where expired_at is not null;
    /// ```
    pub fn que(queue: &str) -> Self {
        Self::new(System::Que, queue)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let (table, name) = (queue.table("que_jobs"), queue.name());
    let unfinished =
        format!("finished_at is null and expired_at is null and job_schema_version = 2 and queue = {name}");
    let waiting = Source {
        table: table.clone(),
        waits: format!("{unfinished} and id not in (select id from held)"),
        states: None,
        priority: Some(Priority::Ascending),
        since: Since::Due("run_at"),
        tried: "error_count > 0",
    };
    Statement {
        now: NOW,
        before: HELD.to_owned(),
        waiting: Waiting::In(vec![waiting]),
        running: Some(running(&format!(
            "select 1 from held join {table} as job using (id) where {unfinished}"
        ))),
        dead: queue
            .scanned(dead(&format!("select 1 from {table} where expired_at is not null and queue = {name}"))),
        tells_retries: true,
        table: table.clone(),
    }
}
