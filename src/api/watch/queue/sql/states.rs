//! States of jobs that a system keeps in a column of a type of its own.

use super::statement::Statement;
use super::{COUNT_LIMIT, DEAD_LIMIT};

/// Some states. A statement goes through them as rows, so that it names the table once for all of them.
pub(super) struct States {
    /// The type of the column `state`. The server takes no text for it, unless it is written as a constant.
    pub(super) kind: String,
    pub(super) names: &'static [&'static str],
}

impl States {
    /// Returns a table of the states, with a name.
    pub(super) fn table(&self, name: &str) -> String {
        let Self { kind, names } = self;
        let rows: Vec<_> = names.iter().map(|state| format!("('{state}'::{kind})")).collect();
        format!("(values {}) as {name} (state)", rows.join(", "))
    }
}

/// An index of a column `state`.
pub(super) struct StateIndex {
    /// The type of the column.
    pub(super) kind: String,
    /// The condition for the columns of the index before the others.
    pub(super) condition: String,
    /// The columns of the index behind those.
    pub(super) order: &'static str,
}

impl StateIndex {
    /// Adds to a statement how many jobs are in the state of those that a worker has, and in that of the dead ones.
    ///
    /// The order is there for the planner. It does not know which states these are, and would otherwise take a scan of
    /// the table for cheap that finds the few jobs of a rare state.
    pub(super) fn count(&self, statement: &mut Statement, running: &str, dead: &str) {
        let (Self { kind, condition, order }, table) = (self, &statement.table);
        statement.before += &format!(
            "counted (running, dead) as materialized (
    select max(jobs) filter (where state = '{running}'), max(jobs) filter (where state = '{dead}')
    from (values ('{running}'::{kind}, {COUNT_LIMIT}), ('{dead}', {DEAD_LIMIT})) as states (state, most)
    cross join lateral (
        select count(*) as jobs from (
            select from (
                select 1 from {table} as job where state = states.state and {condition}
                order by {order} limit {COUNT_LIMIT}) as bounded
            limit states.most) as jobs) as jobs),
"
        );
        statement.running = Some("(select running from counted)".to_owned());
        statement.dead = Some("(select dead from counted)".to_owned());
    }
}
