//! pg-boss.

use super::now::NOW;
use super::statement::Waiting;
use super::{COUNT_LIMIT, DEAD_LIMIT, LATER_LIMIT, SqlQueue, Statement, System};

impl SqlQueue {
    /// A queue of [pg-boss](https://github.com/timgit/pg-boss) 12. Its tables have the schema `pgboss`.
    ///
    /// The counts of `pgboss.queue` are not used, because they are of some time ago. A job that waits for others is
    /// left out. A job that was sent with a start in the past is as old as that start. A job whose worker died counts
    /// as running until it expires, 15 minutes by default.
    ///
    /// pg-boss's own indexes fit all numbers.
    pub fn pg_boss(queue: &str) -> Self {
        Self::new(System::PgBoss, queue)
    }
}

/// The states that pg-boss's index has. The planner takes it where exactly these are asked for.
const INDEXED: &str = "state in ('created', 'retry', 'active', 'failed')";

/// All numbers are parts of one index, so they are rows of one table, and `job` is named once: it has partitions and
/// many indexes, so each mention costs planning. A row has a part, a state, whether a job is blocked, the first and the
/// last time at which it starts, and how many are counted. Times are whole microseconds, so what is later begins one
/// after now. The planner expects few jobs between two times that it does not know, and so takes the index however
/// large the table is.
pub(super) fn statement(queue: &SqlQueue) -> Statement {
    let (table, name) = (queue.table("job"), queue.name());
    let (kind, now) = (queue.table("job_state"), NOW.expression);
    let after_now = format!("{now} + interval '1 microsecond'");
    // The count of retries rises when the retry is taken, so only the state tells.
    let counted = format!(
        "counted (due, since, scheduled, retrying, running, dead) as materialized (
    select sum(jobs) filter (where part = 'due'), min(first) filter (where part = 'due'),
        sum(jobs) filter (where part = 'scheduled'), sum(jobs) filter (where part = 'retrying'),
        sum(jobs) filter (where part = 'running'), sum(jobs) filter (where part = 'dead')
    from (values
        ('due', 'created'::{kind}, false, '-infinity', {now}, {COUNT_LIMIT}),
        ('due', 'retry', false, '-infinity', {now}, {COUNT_LIMIT}),
        ('scheduled', 'created', false, {after_now}, 'infinity', {LATER_LIMIT}),
        ('retrying', 'retry', false, {after_now}, 'infinity', {LATER_LIMIT}),
        ('running', 'active', false, '-infinity', 'infinity', {COUNT_LIMIT}),
        ('running', 'active', true, '-infinity', 'infinity', {COUNT_LIMIT}),
        ('dead', 'failed', false, '-infinity', 'infinity', {DEAD_LIMIT}),
        ('dead', 'failed', true, '-infinity', 'infinity', {DEAD_LIMIT})
    ) as asked (part, state, blocked, earliest, latest, most)
    cross join lateral (
        select count(start_after) as jobs, min(start_after) as first from (
            select start_after from {table} as job
            where name = {name} and {INDEXED} and state = asked.state and blocked = asked.blocked
                and start_after between asked.earliest and asked.latest
            order by start_after limit asked.most) as rows_of_part) as found),
"
    );
    Statement {
        now: NOW,
        before: counted,
        waiting: Waiting::Counted("select due, since, retrying, scheduled from counted"),
        running: Some(format!("(select least({COUNT_LIMIT}, running)::bigint from counted)")),
        dead: Some(format!("(select least({DEAD_LIMIT}, dead)::bigint from counted)")),
        tells_retries: true,
        table,
    }
}
