//! graphile-worker.

use super::now::NOW;
use super::source::{Priority, Since, Source};
use super::statement::{Waiting, dead, running};
use super::{SqlQueue, Statement, System};

impl SqlQueue {
    /// All jobs of [graphile-worker](https://worker.graphile.org), of whatever task. Its tables have the schema
    /// `graphile_worker`.
    ///
    /// It reads `_private_jobs`, to which row level security applies without a policy: the role has to own it, be a
    /// member of its owner, or have `bypassrls`. The view `jobs` shows all rows to everybody, but no index fits what
    /// it shows.
    ///
    /// A job whose named queue is busy counts as waiting. A job whose worker died counts as running for 4 hours, after
    /// which graphile-worker takes it again.
    ///
    /// Age, depth, scheduled and retrying use graphile-worker's own index. Running and dead need
    /// [`with_scans`](Self::with_scans), and want
    ///
    /// ```sql
    /// create index concurrently on graphile_worker._private_jobs (id) where locked_at is not null;
    /// create index concurrently on graphile_worker._private_jobs (id)
    ///     where locked_at is null and attempts >= max_attempts;
    /// ```
    pub fn graphile_worker() -> Self {
        Self::new(System::GraphileWorker, None)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let table = queue.table("_private_jobs");
    let waiting = Source {
        table: table.clone(),
        waits: "is_available".to_owned(),
        states: None,
        priority: Some(Priority::Ascending),
        since: Since::Due("run_at"),
        tried: "attempts > 0",
    };
    let rows = |condition: &str| format!("select 1 from {table} where {condition}");
    Statement {
        now: NOW,
        before: String::new(),
        waiting: Waiting::In(vec![waiting]),
        // A job on its last try has all its attempts, too.
        running: queue.scanned(running(&rows("locked_at is not null"))),
        dead: queue.scanned(dead(&rows("locked_at is null and attempts >= max_attempts"))),
        tells_retries: true,
        table: table.clone(),
    }
}
