//! apalis, in `PostgreSQL` and in SQLite.

use super::now::NOW;
use super::source::{Priority, Since, Source};
use super::statement::{Waiting, dead, running};
use super::{COUNT_LIMIT, DEAD_LIMIT, LATER_LIMIT, PRIORITY_LIMIT, SqlQueue, Statement, System, quoted};

impl SqlQueue {
    /// A queue of [apalis-postgres](https://docs.rs/apalis-postgres) 1: the jobs of a type. Its tables have the schema
    /// `apalis`.
    ///
    /// A worker takes up to 10 jobs at once, which count as running from then on: apalis says in their rows that they
    /// are queued or running, and is late with the second. Times are whole seconds. Dead jobs are those that were
    /// killed, and those that failed as often as they may.
    ///
    /// Age, depth, scheduled and retrying use apalis's own index. Running and dead need
    /// [`with_scans`](Self::with_scans), and want
    ///
    /// ```sql
    /// create index concurrently on apalis.jobs (job_type) where status in ('Queued', 'Running');
    /// create index concurrently on apalis.jobs (job_type)
    ///     where status = 'Killed' or status = 'Failed' and attempts >= max_attempts;
    /// ```
    pub fn apalis_postgres(queue: &str) -> Self {
        Self::new(System::ApalisPostgres, queue)
    }

    /// A queue of [apalis-sqlite](https://docs.rs/apalis-sqlite) 1: the jobs of a type.
    ///
    /// What is said of [apalis-postgres](Self::apalis_postgres) holds for it. Its own indexes fit all numbers. Dead
    /// jobs that failed are counted past those that failed and are tried again.
    pub fn apalis_sqlite(queue: &str) -> Self {
        Self::new(System::ApalisSqlite, queue)
    }
}

pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let (table, name) = (queue.table("jobs"), queue.name());
    let waiting = Source {
        table: table.clone(),
        // As it is written in the index.
        waits: format!(
            "job_type = {name} and (status = 'Pending' or (status = 'Failed' and attempts < max_attempts))"
        ),
        states: None,
        priority: Some(Priority::Descending),
        since: Since::Due("run_at"),
        tried: "attempts > 0",
    };
    let rows = |condition: &str| format!("select 1 from {table} where job_type = {name} and ({condition})");
    Statement {
        now: NOW,
        before: String::new(),
        waiting: Waiting::In(vec![waiting]),
        running: queue.scanned(running(&rows("status in ('Queued', 'Running')"))),
        dead: queue
            .scanned(dead(&rows("status = 'Killed' or status = 'Failed' and attempts >= max_attempts"))),
        tells_retries: true,
        table: table.clone(),
    }
}

/// Times are whole seconds. The text of `strftime` is above any number, so it is made one. The jobs that are tried
/// again have an index that begins with their priority: the walk keeps off the dead ones.
pub(super) fn sqlite(queue: &SqlQueue) -> String {
    let (jobs, name, limit) =
        (queue.table("Jobs"), quoted::sqlite_text(queue.queue.as_deref().unwrap_or_default()), COUNT_LIMIT);
    let failed = format!("job_type = {name} and status = 'Failed' and attempts < max_attempts");
    let pending = format!("job_type = {name} and status = 'Pending'");
    let in_state =
        |states: &str| format!("select 1 from {jobs} where job_type = {name} and status in ({states})");
    let (held, killed) = (in_state("'Queued', 'Running'"), in_state("'Killed'"));
    format!(
        "with recursive
now (at) as (select cast(strftime('%s', 'now') as integer)),
walk (priority, step) as (
    select max(priority), 1 from {jobs} where {failed}
    union all
    select (select max(priority) from {jobs} where {failed} and priority < walk.priority), step + 1
    from walk where walk.priority is not null and step < {PRIORITY_LIMIT}),
first (run_at) as (
    select min(run_at) from {jobs} where {pending} and run_at <= (select at from now)
    union all
    select (select min(run_at) from {jobs} where {failed} and priority = walk.priority
        and run_at <= (select at from now)) from walk),
due (one) as (
    select * from (select 1 from {jobs} where {pending} and run_at <= (select at from now) limit {limit})
    union all
    select * from (select 1 from walk cross join {jobs} as job where {failed} and job.priority = walk.priority
        and run_at <= (select at from now) limit {limit})),
later (tried) as (
    select * from (select attempts > 0 from {jobs} where {pending} and run_at > (select at from now)
        order by run_at limit {LATER_LIMIT})
    union all
    select * from (select 1 from walk cross join {jobs} as job where {failed} and job.priority = walk.priority
        and run_at > (select at from now) limit {LATER_LIMIT}))
select 0 as hidden,
    (select min({limit}, count(*)) from due) as depth,
    (select coalesce((select at from now) - min(run_at), 0) from first) as oldest_age,
    (select count(*) from ({held} limit {limit})) as running,
    (select min({LATER_LIMIT}, count(*)) from later where not tried) as scheduled,
    (select min({LATER_LIMIT}, count(*)) from later where tried) as retrying,
    min({DEAD_LIMIT}, (select count(*) from ({killed} limit {DEAD_LIMIT}))
        + (select count(*) from (select 1 from {jobs} where job_type = {name} and status = 'Failed'
            and attempts >= max_attempts limit {DEAD_LIMIT}))) as dead"
    )
}
