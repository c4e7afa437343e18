//! A place where jobs of a queue wait, and the parts of a statement that read it.

use super::now::Now;
use super::states::States;
use super::{COUNT_LIMIT, LATER_LIMIT, PRIORITY_LIMIT};

/// Rows of a table that wait, in the order of an index.
pub(super) struct Source {
    /// A table or a subquery. Its rows are called `job` in the other parts.
    pub(super) table: String,
    /// The condition for a row that waits for its time or for a worker.
    pub(super) waits: String,
    /// Which states such rows have, if they are in a column, and a walk goes through each of them.
    pub(super) states: Option<States>,
    /// Which column the index begins with, beside those that `waits` compares. Without one, the rows are in the order
    /// of their time.
    pub(super) priority: Option<Priority>,
    pub(super) since: Since,
    /// The condition for a row that was tried before.
    pub(super) tried: &'static str,
}

/// The direction of the column `priority` in an index.
#[derive(Clone, Copy)]
pub(super) enum Priority {
    Ascending,
    Descending,
}

/// From when on a row waits for a worker.
pub(super) enum Since {
    /// From a time on that may be ahead: a column, which is the next of the index.
    Due(&'static str),
    /// From a time on that has passed. The rows are in the order of another column.
    Entered { order: &'static str, at: String },
}

impl Priority {
    /// Returns what is before all priorities, the direction, and how the next one compares to one.
    fn words(self) -> (i64, &'static str, char) {
        match self {
            Self::Ascending => (i64::MIN, "asc", '>'),
            Self::Descending => (i64::MAX, "desc", '<'),
        }
    }
}

impl Since {
    fn order(&self) -> &'static str {
        match self {
            Self::Due(column) => column,
            Self::Entered { order, .. } => order,
        }
    }

    fn at(&self) -> &str {
        match self {
            Self::Due(column) => column,
            Self::Entered { at, .. } => at,
        }
    }

    /// Returns the condition for what waits for a worker.
    fn is_due(&self, now: &str) -> String {
        match self {
            Self::Due(column) => format!("{column} <= {now}"),
            Self::Entered { .. } => "true".to_owned(),
        }
    }

    /// Returns the condition for what waits for its time, if anything does.
    fn is_later(&self, now: &str) -> Option<String> {
        match self {
            Self::Due(column) => Some(format!("{column} > {now}")),
            Self::Entered { .. } => None,
        }
    }
}

impl Source {
    /// Returns named subqueries, of which a statement uses the last: `total_<number>` has how many jobs wait for a
    /// worker, since when the oldest does, and how many of those that wait for their time were tried and were not.
    ///
    /// The table is named as seldom as can be: to plan for one more mention takes the server as long as to count
    /// hundreds of jobs.
    pub(super) fn subqueries(&self, number: usize, now: Now) -> String {
        // By the sources before this one.
        let less: Vec<_> =
            (1..number).map(|before| format!(" - (select depth from total_{before})")).collect();
        let less = less.concat();
        match self.priority {
            Some(priority) => self.walk(number, priority, now, &less) + &self.total_of_walk(number),
            None => self.total(number, now.expression, &less),
        }
    }

    /// The indexes that systems take their jobs by begin with the priority, and `PostgreSQL` can't skip in them: the
    /// lowest time of all is found by reading every row. The walk reads the first row of each priority, and counts as
    /// many others as are left up to the limits.
    ///
    /// It begins at now, so that a priority whose first job is due later changes nothing. Where nothing waits, nobody
    /// reads it.
    ///
    /// Where it ends is written as an equation, because the planner expects that few rows fulfil one. With a comparison
    /// it expects so many steps that it may take the statement for an expensive one, and compile it, which takes longer
    /// than all the rest.
    fn walk(&self, number: usize, priority: Priority, now: Now, less: &str) -> String {
        let Self { table, since, .. } = self;
        let of_state = if self.states.is_some() { "state = walk.state and " } else { "" };
        let (waits, order, at) = (format!("{of_state}{}", self.waits), since.order(), since.at());
        let (before_all, direction, beyond) = priority.words();
        let Now { expression: now, kind } = now;
        let of_priority = format!("{waits} and priority = next.priority");
        let due = self.due(&of_priority, now, &format!(" - walk.depth{less}"));
        let later = self.later(&of_priority, now, " - walk.tried - walk.untried");
        let (state, walk_state, states) = match &self.states {
            Some(states) => ("state, ", "walk.state, ", format!(" from {}", states.table("walk"))),
            None => ("", "", String::new()),
        };
        format!(
            "walk_{number} ({state}priority, step, depth, since, tried, untried) as (
    select {state}'{before_all}'::bigint, 0, 0::bigint, {now}, 0::bigint, 0::bigint{states}
    union all
    select {walk_state}next.priority::bigint, step + 1, walk.depth + due.jobs, least(walk.since, next.since::{kind}),
        walk.tried + later.tried, walk.untried + later.untried
    from walk_{number} as walk
    cross join lateral (
        select priority, {at} as since from {table} as job where {waits} and priority {beyond} walk.priority
        order by priority {direction}, {order} limit 1) as next
    cross join lateral ({due}) as due
    cross join lateral ({later}) as later
    where step / {PRIORITY_LIMIT} = 0),
"
        )
    }

    /// The last step of a walk has the counts of all.
    fn total_of_walk(&self, number: usize) -> String {
        let last =
            "select max(depth) as depth, min(since) as since, max(tried) as tried, max(untried) as untried";
        let total = match self.states {
            Some(_) => format!(
                "select sum(depth)::bigint, min(since), sum(tried)::bigint, sum(untried)::bigint
    from ({last} from walk_{number} group by state) as walks"
            ),
            None => format!("{last} from walk_{number}"),
        };
        format!("total_{number} (depth, since, tried, untried) as ({total}),\n")
    }

    fn total(&self, number: usize, now: &str, less: &str) -> String {
        let (waits, since) = (&self.waits, &self.since);
        let (due, later) = (self.due(waits, now, less), self.later(waits, now, ""));
        let first = self.rows(since.at(), &format!("{waits} and {}", since.is_due(now)));
        format!(
            "total_{number} (depth, since, tried, untried) as (
    select due.jobs, ({first} limit 1), later.tried, later.untried
    from ({due}) as due cross join ({later}) as later),
"
        )
    }

    /// Returns a query for the number of rows that wait for a worker.
    ///
    /// It counts a column and not rows. Where no column is needed, `PostgreSQL` copies each row into an empty one
    /// between the two limits.
    fn due(&self, waits: &str, now: &str, less: &str) -> String {
        let (order, is_due) = (self.since.order(), self.since.is_due(now));
        let rows = self.rows(&format!("{order} as place"), &format!("{waits} and {is_due}"));
        format!("select count(place) as jobs from ({}) as due", up_to(COUNT_LIMIT, less, &rows))
    }

    /// Returns a query for the numbers of rows that wait for their time.
    fn later(&self, waits: &str, now: &str, less: &str) -> String {
        let Some(is_later) = self.since.is_later(now) else {
            return "select 0::bigint as tried, 0::bigint as untried".to_owned();
        };
        let rows = self.rows(&format!("{} as tried", self.tried), &format!("{waits} and {is_later}"));
        format!(
            "select count(*) filter (where tried) as tried, count(*) filter (where not tried) as untried \
             from ({}) as later",
            up_to(LATER_LIMIT, less, &rows)
        )
    }

    /// In the order of the index, without which a scan of the table would seem cheaper.
    fn rows(&self, column: &str, condition: &str) -> String {
        let (table, order) = (&self.table, self.since.order());
        format!("select {column} from {table} as job where {condition} order by {order}")
    }
}

/// Returns a query for as many rows as are left up to a limit. The limit stands twice: the server plans for the inner
/// one, which it knows. For the outer one alone it would plan for a share of the table.
///
/// `less` is what is taken off the limit, as SQL: ` - walk.depth`.
fn up_to(limit: u64, less: &str, rows: &str) -> String {
    if less.is_empty() {
        return format!("{rows} limit {limit}");
    }
    format!("select * from ({rows} limit {limit}) as bounded limit greatest(0, {limit}{less})")
}
