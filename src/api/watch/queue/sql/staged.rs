//! Systems that keep a job's state in a column, and whose stager makes available what is due.

use super::now::Now;
use super::source::{Priority, Since, Source};
use super::statement::Waiting;
use super::states::States;
use super::{COUNT_LIMIT, DEAD_LIMIT, SqlQueue, Statement};

/// A table whose index has the state, the queue, the priority and the time.
pub(super) struct Staged {
    pub(super) table: &'static str,
    /// The type of the column `state`.
    pub(super) kind: &'static str,
    /// The state of a job that a worker has.
    pub(super) running: &'static str,
    pub(super) now: Now,
}

impl Staged {
    /// What is due and not staged waits as well: where the stager stands still, only this shows it. A retry that is due
    /// soon may be available before its time.
    pub(super) fn statement(&self, queue: &SqlQueue) -> Statement {
        let (table, kind, of_queue) =
            (queue.table(self.table), queue.table(self.kind), format!("queue = {}", queue.name()));
        let waiting = Source {
            table: table.clone(),
            waits: of_queue.clone(),
            states: Some(States { kind: kind.clone(), names: &["available", "scheduled", "retryable"] }),
            priority: Some(Priority::Ascending),
            since: Since::Due("scheduled_at"),
            tried: "state = 'retryable' or state = 'available' and attempt > 0",
        };
        Statement {
            now: self.now,
            before: self.counted(&table, &kind, &of_queue),
            waiting: Waiting::In(vec![waiting]),
            running: Some("(select running from counted)".to_owned()),
            dead: Some("(select dead from counted)".to_owned()),
            tells_retries: true,
            table,
        }
    }

    /// Returns a subquery for how many jobs are running and dead.
    ///
    /// The order is there for the planner. It does not know which states these are, and would otherwise take a scan of
    /// the table for a cheap way to the few jobs of a rare state.
    fn counted(&self, table: &str, kind: &str, of_queue: &str) -> String {
        let running = self.running;
        format!(
            "counted (running, dead) as materialized (
    select max(jobs) filter (where state = '{running}'), max(jobs) filter (where state = 'discarded')
    from (values ('{running}'::{kind}, {COUNT_LIMIT}), ('discarded', {DEAD_LIMIT})) as asked (state, most)
    cross join lateral (
        select count(*) as jobs from (
            select * from (
                select 1 from {table} as job where state = asked.state and {of_queue}
                order by priority, scheduled_at limit {COUNT_LIMIT}) as bounded
            limit asked.most) as of_state) as found),
"
        )
    }
}
