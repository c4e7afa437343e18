//! The statement that asks `PostgreSQL` for a queue.

use super::now::Now;
use super::quoted::postgres_text;
use super::source::Source;
use super::{COUNT_LIMIT, DEAD_LIMIT, LATER_LIMIT};

/// How a system keeps the jobs of a queue.
pub(super) struct Statement {
    /// The table whose rows the role may or may not see.
    pub(super) table: String,
    pub(super) now: Now,
    /// Subqueries that the others need, each with a comma behind it.
    pub(super) before: String,
    pub(super) waiting: Waiting,
    pub(super) running: Option<String>,
    pub(super) dead: Option<String>,
    /// Whether what waits for another try is told apart from what never ran.
    pub(super) tells_retries: bool,
}

/// Where a statement finds how many jobs wait.
pub(super) enum Waiting {
    In(Vec<Source>),
    /// In a subquery of `before`. This is a query of it, with the columns of a source's total.
    Counted(&'static str),
}

impl Waiting {
    /// Returns subqueries, and a query for how many jobs wait in all.
    fn totals(&self, now: Now) -> (String, String) {
        let sources = match self {
            Self::In(sources) => (1..).zip(sources),
            Self::Counted(total) => return (String::new(), (*total).to_owned()),
        };
        let (subqueries, totals): (Vec<_>, Vec<_>) = sources
            .map(|(number, source)| (source.subqueries(number, now), format!("select * from total_{number}")))
            .unzip();
        (subqueries.concat(), totals.join(" union all "))
    }
}

/// Returns an expression for how many jobs a worker has: the rows of a query.
pub(super) fn running(query: &str) -> String {
    count(query, COUNT_LIMIT)
}

/// Returns an expression for how many jobs are dead: the rows of a query.
pub(super) fn dead(query: &str) -> String {
    count(query, DEAD_LIMIT)
}

fn count(query: &str, limit: u64) -> String {
    format!("(select count(*) from ({query} limit {limit}) as bounded)")
}

impl Statement {
    pub(super) fn text(&self) -> String {
        let (before, now) = (&self.before, self.now.expression);
        let (subqueries, totals) = self.waiting.totals(self.now);
        let hidden = postgres_text(&self.table);
        let absent = || "null".to_owned();
        let (running, dead) =
            (self.running.clone().unwrap_or_else(absent), self.dead.clone().unwrap_or_else(absent));
        let retrying = if self.tells_retries { "retrying" } else { "null as retrying" };
        format!(
            "with recursive {before}{subqueries}\
waiting (depth, since, scheduled, retrying) as materialized (
    select least({COUNT_LIMIT}, sum(depth)::bigint), min(since),
        least({LATER_LIMIT}, sum(untried)::bigint), least({LATER_LIMIT}, sum(tried)::bigint)
    from ({totals}) as totals (depth, since, tried, untried))
select case when row_security_active({hidden}) then 1 else 0 end as hidden,
    depth,
    case when depth = 0 then 0
        when since is not null then extract(epoch from {now} - greatest(since, 'epoch')) end as oldest_age,
    {running} as running,
    scheduled,
    {retrying},
    {dead} as dead
from waiting"
        )
    }
}
