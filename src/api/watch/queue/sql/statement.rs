//! The statement that asks `PostgreSQL` for a queue.

use super::quoted::postgres_text;
use super::source::Source;
use super::{COUNT_LIMIT, LATER_LIMIT};

/// The server's time, as a column with a time zone compares to it. It is that of the statement, so that a transaction
/// which is kept open has no old one.
pub(super) const NOW: &str = "statement_timestamp()";
/// The same for columns without a zone that hold UTC, as those of Rails and Ecto do: whatever zone the session has.
pub(super) const NOW_UTC: &str = "timezone('UTC', statement_timestamp())";

/// How a system keeps the jobs of a queue.
pub(super) struct Statement {
    /// The table whose rows the role may or may not see.
    pub(super) table: String,
    pub(super) now: &'static str,
    /// Subqueries that the others need, each with a comma behind it.
    pub(super) before: String,
    pub(super) sources: Vec<Source>,
    pub(super) running: Option<String>,
    pub(super) dead: Option<String>,
    /// Whether what waits for another try is told apart from what never ran.
    pub(super) tells_retries: bool,
}

/// Returns an expression that counts the rows of a query, up to the limit.
pub(super) fn count(query: &str) -> String {
    format!("(select count(*) from ({query} limit {COUNT_LIMIT}) as counted)")
}

impl Statement {
    pub(super) fn text(&self) -> String {
        let Self { now, before, .. } = self;
        let subqueries: String =
            (1..).zip(&self.sources).map(|(number, source)| source.subqueries(number, now)).collect();
        let (depth, since) = (
            self.each("(select count(*) from due_#)", " + "),
            self.each("(select min(since) from first_#)", ", "),
        );
        let later = self.each("select tried from later_#", " union all ");
        let hidden = postgres_text(&self.table);
        let absent = || "null".to_owned();
        let (running, dead) =
            (self.running.clone().unwrap_or_else(absent), self.dead.clone().unwrap_or_else(absent));
        let (scheduled, retrying) = self.counts_of_later();
        format!(
            "with recursive {before}{subqueries}\
waiting (depth, since) as materialized (select least({COUNT_LIMIT}, {depth}), least({since})),
later (tried) as materialized ({later})
select case when row_security_active({hidden}) then 1 else 0 end as hidden,
    depth,
    case when depth = 0 then 0
        when since is not null then extract(epoch from {now} - greatest(since, 'epoch')) end as oldest_age,
    {running} as running,
    {scheduled} as scheduled,
    {retrying} as retrying,
    {dead} as dead
from waiting"
        )
    }

    /// Returns how many jobs are scheduled, and how many are retrying.
    fn counts_of_later(&self) -> (String, String) {
        let count = |of| format!("(select least({LATER_LIMIT}, count(*)) from later{of})");
        if self.tells_retries {
            (count(" where not tried"), count(" where tried"))
        } else {
            (count(""), "null".to_owned())
        }
    }

    /// Returns a part for each source, with its number in the place of the `#`.
    fn each(&self, part: &str, between: &str) -> String {
        let parts: Vec<_> =
            (1..=self.sources.len()).map(|number| part.replace('#', &number.to_string())).collect();
        parts.join(between)
    }
}
