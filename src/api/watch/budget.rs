//! How many connections a service may open, and how many its database gives it.

use super::{Field, Reported, Watch, Watchable, level, ratio};
use crate::api::client::Client;
use std::fmt;

/// What all tasks of a service may open in connections, beside what the database gives ordinary users.
///
/// Pools open connections as load comes. A fleet that was scaled up therefore runs for weeks with more slots in its
/// pools than the database has, until a busy hour in which the last tasks can't connect. The sum is known before that.
/// Print it at the start, and watch it:
///
/// ```
/// use tasktag::ConnectionBudget;
///
/// let budget = ConnectionBudget::new().tasks(12).pool(10).reserved(5).postgres(100, 3);
/// assert_eq!(budget.to_string(), "12 tasks × 10 + 5 reserved = 125 of 97: the 10th task will be refused");
/// assert_eq!(budget.needed(), Some(125));
/// ```
///
/// | gauge | from |
/// |---|---|
/// | `db.connections.needed` | what all tasks may open, and what is reserved |
/// | `db.connections.limit` | what the server gives ordinary users |
/// | `db.connections.budget_used` | `needed` divided by `limit`: alarm above 1 |
///
/// What is not known is not reported. Every task computes the same, so have [one of them](crate::SoleReporter) report,
/// with [`WatchBuilder::by`](crate::WatchBuilder::by).
///
/// A forked worker with a pool of its own counts as a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a budget reports nothing until a watch returns it"]
pub struct ConnectionBudget {
    tasks: Option<u64>,
    pools: Vec<u64>,
    reserved: u64,
    limit: Option<u64>,
}

impl ConnectionBudget {
    /// Returns a budget in which nothing is known.
    pub const fn new() -> Self {
        Self { tasks: None, pools: Vec::new(), reserved: 0, limit: None }
    }

    /// Sets the number of tasks: how many the platform may start, or how many are alive, as
    /// [`Client::live_tasks`] knows if their ids are leased.
    pub fn tasks(mut self, tasks: impl Into<Option<u64>>) -> Self {
        self.tasks = tasks.into();
        self
    }

    /// Adds a pool that every task has, with the maximum number of its connections.
    pub fn pool(mut self, max: u64) -> Self {
        self.pools.push(max);
        self
    }

    /// Sets how many connections others need: scheduled jobs, migrations, a console, monitoring. The default is 0.
    pub fn reserved(mut self, connections: u64) -> Self {
        self.reserved = connections;
        self
    }

    /// Sets how many connections the server gives ordinary users. A pooler between the tasks and the database has a
    /// limit of its own, such as `PgBouncer`'s `max_client_conn`.
    pub fn limit(mut self, connections: impl Into<Option<u64>>) -> Self {
        self.limit = connections.into();
        self
    }

    /// Sets the limit of a `PostgreSQL` server: `max_connections` without `superuser_reserved_connections`, which are
    /// 100 and 3 by default. An ordinary user is refused from there on, with SQLSTATE 53300. A limit of the role or of
    /// the database, or the further `reserved_connections` of version 16, may be lower: set that with
    /// [`limit`](Self::limit).
    ///
    /// ```sql
    /// select current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int
    /// ```
    pub fn postgres(self, max_connections: u64, superuser_reserved_connections: u64) -> Self {
        self.limit(max_connections.saturating_sub(superuser_reserved_connections))
    }

    /// Returns how many connections are needed if every pool is full. `None` if the number of tasks is not known.
    #[must_use]
    pub fn needed(&self) -> Option<u64> {
        Some(self.tasks?.saturating_mul(self.per_task()).saturating_add(self.reserved))
    }

    /// Returns how many tasks fit with all their pools full. `None` if the limit is not known, or if no task has a
    /// pool.
    ///
    /// ```
    /// use tasktag::ConnectionBudget;
    ///
    /// let budget = ConnectionBudget::new().pool(10).pool(5).reserved(5).limit(100);
    /// assert_eq!(budget.tasks_that_fit(), Some(6));
    /// ```
    #[must_use]
    pub fn tasks_that_fit(&self) -> Option<u64> {
        self.limit?.saturating_sub(self.reserved).checked_div(self.per_task())
    }

    fn per_task(&self) -> u64 {
        self.pools.iter().fold(0, |sum, max| sum.saturating_add(*max))
    }
}

/// A plain sentence for a log at the start.
impl fmt::Display for ConnectionBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tasks {
            Some(1) => f.write_str("1 task × ")?,
            Some(tasks) => write!(f, "{tasks} tasks × ")?,
            None => f.write_str("an unknown number of tasks × ")?,
        }
        match self.pools.as_slice() {
            [] => f.write_str("0")?,
            [max] => write!(f, "{max}")?,
            [first, others @ ..] => {
                write!(f, "({first}")?;
                others.iter().try_for_each(|max| write!(f, " + {max}"))?;
                f.write_str(")")?;
            }
        }
        if self.reserved > 0 {
            write!(f, " + {} reserved", self.reserved)?;
        }
        if let Some(needed) = self.needed() {
            write!(f, " = {needed}")?;
        }
        let Some(limit) = self.limit else { return f.write_str(" of an unknown limit") };
        write!(f, " of {limit}: ")?;
        match (self.tasks_that_fit(), self.tasks) {
            (Some(fit), Some(tasks)) if fit < tasks => {
                write!(f, "the {} task will be refused", Ordinal(fit + 1))
            }
            (Some(fit), Some(tasks)) => write!(f, "room for {} more {}", fit - tasks, noun(fit - tasks)),
            (Some(fit), None) => write!(f, "room for {fit} {}", noun(fit)),
            (None, _) if self.reserved > limit => f.write_str("what is reserved will be refused"),
            (None, _) => f.write_str("no task has a pool"),
        }
    }
}

fn noun(tasks: u64) -> &'static str {
    if tasks == 1 { "task" } else { "tasks" }
}

/// 1st, 2nd, 3rd, 4th, 11th, 21st.
struct Ordinal(u64);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match (self.0 % 10, self.0 % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        write!(f, "{}{ending}", self.0)
    }
}

/// Budgets of connections.
impl Client {
    /// Watches a budget under the default names, with the tag `database:<name>`: see [`ConnectionBudget`]. A second
    /// budget with the same name is refused and counted.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// use tasktag::ConnectionBudget;
    ///
    /// let client = guard.client().clone();
    /// let _watch = guard.client().watch_budget("orders", move || {
    ///     let tasks = client.live_tasks().map(u64::from);
    ///     ConnectionBudget::new().tasks(tasks).pool(10).reserved(5).postgres(100, 3)
    /// });
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn watch_budget(
        &self,
        database: &str,
        budget: impl FnMut() -> ConnectionBudget + Send + 'static,
    ) -> Watch {
        self.budget(database).watch(budget)
    }

    /// Returns a builder for a watch of a budget.
    pub fn budget(&self, database: &str) -> super::WatchBuilder<'_, ConnectionBudget> {
        super::WatchBuilder::new(self, database)
    }
}

impl Watchable for ConnectionBudget {}

impl Reported for ConnectionBudget {
    const NOUN: &'static str = "database";
    const PREFIX: &'static str = "db.connections";

    fn fields(&self) -> Vec<Field> {
        let needed = self.needed();
        vec![
            Field { name: "needed", peak: false, value: level(needed) },
            Field { name: "limit", peak: false, value: level(self.limit) },
            Field { name: "budget_used", peak: false, value: ratio(needed, self.limit) },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_which_task_will_be_refused_or_how_many_fit() {
        let budget = ConnectionBudget::new().pool(10).reserved(5).limit(97);
        for (budget, said) in [
            (
                budget.clone().tasks(12),
                "12 tasks × 10 + 5 reserved = 125 of 97: the 10th task will be refused",
            ),
            (budget.clone().tasks(9), "9 tasks × 10 + 5 reserved = 95 of 97: room for 0 more tasks"),
            (budget.clone().tasks(8), "8 tasks × 10 + 5 reserved = 85 of 97: room for 1 more task"),
            (budget.clone().tasks(1).reserved(0), "1 task × 10 = 10 of 97: room for 8 more tasks"),
            (budget.clone(), "an unknown number of tasks × 10 + 5 reserved of 97: room for 9 tasks"),
            (
                budget.clone().pool(20).tasks(4),
                "4 tasks × (10 + 20) + 5 reserved = 125 of 97: the 4th task will be refused",
            ),
            (
                budget.clone().limit(4).tasks(2),
                "2 tasks × 10 + 5 reserved = 25 of 4: the 1st task will be refused",
            ),
            (budget.clone().tasks(400).limit(None), "400 tasks × 10 + 5 reserved = 4005 of an unknown limit"),
            (ConnectionBudget::new().tasks(3).limit(5), "3 tasks × 0 = 0 of 5: no task has a pool"),
            (
                ConnectionBudget::new().tasks(3).reserved(9).limit(5),
                "3 tasks × 0 + 9 reserved = 9 of 5: what is reserved will be refused",
            ),
        ] {
            assert_eq!(budget.to_string(), said);
        }
        let ordinals = [1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111].map(|n| Ordinal(n).to_string());
        let said = ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"];
        assert_eq!(ordinals, said);
    }

    #[test]
    fn no_number_is_too_large() {
        let most = ConnectionBudget::new()
            .tasks(u64::MAX)
            .pool(u64::MAX)
            .pool(u64::MAX)
            .reserved(u64::MAX)
            .limit(u64::MAX);
        assert_eq!((most.needed(), most.tasks_that_fit()), (Some(u64::MAX), Some(0)));
        assert!(most.to_string().ends_with("the 1st task will be refused"));
        assert_eq!(ConnectionBudget::new().postgres(3, 10).limit, Some(0));
    }
}
