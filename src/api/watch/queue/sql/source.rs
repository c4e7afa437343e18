//! A place where jobs of a queue wait, and the parts of a statement that read it.

use super::{COUNT_LIMIT, LATER_LIMIT, PRIORITY_LIMIT};

/// Rows of a table that wait, in the order of an index.
pub(super) struct Source {
    /// A table or a subquery. Its rows are called `job` in the other parts.
    pub(super) table: String,
    /// The condition for a row that waits for its time or for a worker.
    pub(super) waits: String,
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
    /// Returns the direction, and how the next one compares to one.
    fn words(self) -> (&'static str, char) {
        match self {
            Self::Ascending => ("asc", '>'),
            Self::Descending => ("desc", '<'),
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

    /// Returns the condition for what waits for a worker, or for its time.
    fn is_due(&self, now: &str, is_due: bool) -> String {
        match self {
            Self::Due(column) if is_due => format!("{column} <= {now}"),
            Self::Due(column) => format!("{column} > {now}"),
            Self::Entered { .. } => is_due.to_string(),
        }
    }
}

impl Source {
    /// Returns named subqueries, of which a statement uses three: `first_<number>` has the time of the oldest row of
    /// each priority, `due_<number>` a row for each job that waits for a worker, and `later_<number>` one for each
    /// that waits for its time.
    pub(super) fn subqueries(&self, number: usize, now: &str) -> String {
        let walk = self.priority.map(|priority| self.walk(number, priority)).unwrap_or_default();
        let first = self.first(number, now);
        let due = self.rows(number, "1", &self.since.is_due(now, true), COUNT_LIMIT);
        let later = self.rows(number, self.tried, &self.since.is_due(now, false), LATER_LIMIT);
        format!(
            "{walk}first_{number} (since) as ({first}),
due_{number} (one) as ({due}),
later_{number} (tried) as ({later}),
"
        )
    }

    /// The indexes that systems take their jobs by begin with the priority, and `PostgreSQL` can't skip in them: the
    /// lowest time of all is found by reading every row. The walk reads a row for each priority.
    fn walk(&self, number: usize, priority: Priority) -> String {
        let Self { table, waits, since, .. } = self;
        let (order, at, (direction, beyond)) = (since.order(), since.at(), priority.words());
        format!(
            "walk_{number} (priority, since, step) as (
    (select priority, {at}, 1 from {table} as job where {waits} order by priority {direction}, {order} limit 1)
    union all
    select further.priority, further.since, step + 1
    from walk_{number} cross join lateral (
        select priority, {at} as since from {table} as job where {waits} and priority {beyond} walk_{number}.priority
        order by priority {direction}, {order} limit 1) as further
    where step < {PRIORITY_LIMIT}),
"
        )
    }

    fn first(&self, number: usize, now: &str) -> String {
        let Self { table, waits, since, .. } = self;
        match (self.priority, since) {
            (Some(_), Since::Due(_)) => format!("select since from walk_{number} where since <= {now}"),
            (Some(_), Since::Entered { .. }) => format!("select since from walk_{number}"),
            (None, _) => {
                let (at, order, is_due) = (since.at(), since.order(), since.is_due(now, true));
                format!("select {at} from {table} as job where {waits} and {is_due} order by {order} limit 1")
            }
        }
    }

    /// Returns a query for a column of the rows for which a condition holds, up to a limit. It begins where the
    /// walk has been, and keeps to the order of the index, without which a scan of the table would seem cheaper.
    fn rows(&self, number: usize, column: &str, condition: &str, limit: u64) -> String {
        let Self { table, waits, since, .. } = self;
        let rows = |of_priority: &str| {
            let order = since.order();
            format!(
                "select {column} as found from {table} as job where {waits}{of_priority} and {condition} \
                 order by {order} limit {limit}"
            )
        };
        if self.priority.is_none() {
            return rows("");
        }
        let rows = rows(" and priority = visited.priority");
        format!("select found from walk_{number} as visited cross join lateral ({rows}) as one limit {limit}")
    }
}
