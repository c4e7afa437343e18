//! What a `PostgreSQL` server says of its connections.

use super::{Field, Group, Reported, WatchBuilder, Watchable, level, ratio};
use crate::api::client::Client;
use std::collections::BTreeMap;
use std::time::Duration;

/// The number of services that are reported apart. The connections of all others are reported under `other`.
const MAX_SERVICES: usize = 20;
const OTHER: &str = "other";
/// The state of a connection whose state the role may not see.
const HIDDEN: &str = "hidden";

/// The connections of a `PostgreSQL` server, by service and state, as the server sees them.
///
/// A pool knows what its own task holds. Only the server knows who has all the others.
///
/// | gauge | meaning |
/// |---|---|
/// | `postgres.connections`, tags `service` and `state` | connections of clients |
/// | `postgres.connections_used` | connections of clients, divided by those that the server gives ordinary users: alarm above 0.8 |
/// | `postgres.limit` | the connections that the server gives ordinary users |
/// | `postgres.oldest_idle_in_transaction_seconds` | how long a client has done nothing within a transaction, which keeps its locks: alarm above some seconds |
/// | `postgres.longest_statement_seconds` | how long the longest statement has been running |
/// | `postgres.hidden_connections` | connections whose state the role may not see: alarm above 0 |
///
/// The service is the application's name, without the task id that
/// [`application_name`](crate::TaskId::application_name) appended, so that a fleet makes no series per task. A
/// connection without a name has the service `unnamed`. The first 20 services are reported apart, and all others as
/// `other`.
///
/// # What the role may see
///
/// An ordinary role sees the connections of others, but neither their state nor when it began. Grant it
/// `pg_read_all_stats`, or the number of [hidden](Self::hidden) connections is above 0, and the two times only know the
/// role's own connections. Without the grant, the workers of parallel queries count as connections too, under the name
/// of their leader. (Seen with version 15.)
///
/// ```sql
/// grant pg_read_all_stats to monitoring;
/// ```
///
/// # Reporting it
///
/// The numbers belong to the server and not to a task, so one task of the fleet should ask, as a
/// [`SoleReporter`](crate::SoleReporter). The features `tokio-postgres` and `sqlx` have a function that asks. With
/// another client, run [`QUERY`](Self::QUERY) and pass each row to [`add`](Self::add).
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::{PostgresRow, PostgresStatus};
///
/// let _watch = client.postgres("orders").watch(|| {
///     let mut status = PostgresStatus::new();
///     // For each row of the query:
///     status.add(&PostgresRow {
///         application_name: "shop-web/0042",
///         state: Some("active"),
///         connections: 3,
///         idle_in_transaction: None,
///         statement: Some(0.25),
///         limit: 97,
///     });
///     status
/// });
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a status reports nothing until a watch returns it"]
pub struct PostgresStatus {
    connections: BTreeMap<(String, String), u64>,
    total: Option<u64>,
    limit: Option<u64>,
    idle_in_transaction: Option<f64>,
    statement: Option<f64>,
    hidden: u64,
}

/// A row of [`PostgresStatus::QUERY`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PostgresRow<'a> {
    /// `application_name`
    pub application_name: &'a str,
    /// `state`
    pub state: Option<&'a str>,
    /// `connections`
    pub connections: i64,
    /// `idle_in_transaction`, in seconds
    pub idle_in_transaction: Option<f64>,
    /// `statement`, in seconds
    pub statement: Option<f64>,
    /// `connection_limit`
    pub limit: i64,
}

impl PostgresStatus {
    /// The query, for `PostgreSQL` 10 and later. Its columns are those of [`PostgresRow`], with the types `text`,
    /// `text`, `int8`, `float8`, `float8` and `int8`.
    ///
    /// It reads `pg_stat_activity`, which is in memory: it takes no lock on a table, and its cost is that of the number
    /// of connections. It counts the connection that asks, and not its own statement.
    pub const QUERY: &'static str = "\
select application_name, state, count(*)::int8 as connections,
    max(case when state like 'idle in transaction%'
        then extract(epoch from clock_timestamp() - state_change) end)::float8 as idle_in_transaction,
    max(case when state = 'active' and pid <> pg_backend_pid()
        then extract(epoch from clock_timestamp() - query_start) end)::float8 as statement,
    (current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8
        - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int8) as connection_limit
from pg_stat_activity
where coalesce(backend_type, 'client backend') = 'client backend' and datname is not null and usename is not null
group by application_name, state";

    /// Returns a status in which nothing is known. It reports nothing.
    pub const fn new() -> Self {
        Self {
            connections: BTreeMap::new(),
            total: None,
            limit: None,
            idle_in_transaction: None,
            statement: None,
            hidden: 0,
        }
    }

    /// Adds a row of the [query](Self::QUERY).
    pub fn add(&mut self, row: &PostgresRow<'_>) {
        let connections = u64::try_from(row.connections).unwrap_or(0);
        let state = row.state.unwrap_or(HIDDEN);
        if row.state.is_none() {
            self.hidden += connections;
        }
        let service = service_of(row.application_name);
        let service = if self.has_room_for(service) { service } else { OTHER };
        *self.connections.entry((service.to_owned(), state.to_owned())).or_default() += connections;
        *self.total.get_or_insert(0) += connections;
        self.limit = u64::try_from(row.limit).ok();
        self.idle_in_transaction = longest(self.idle_in_transaction, row.idle_in_transaction);
        self.statement = longest(self.statement, row.statement);
    }

    fn has_room_for(&self, service: &str) -> bool {
        let mut services: Vec<&str> = self.connections.keys().map(|(service, _)| service.as_str()).collect();
        services.dedup();
        services.contains(&service) || services.len() < MAX_SERVICES
    }

    /// The number of connections of all clients. `None` if there was no row.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The number of connections that the server gives ordinary users, for example for the
    /// [limit](crate::ConnectionBudget::limit) of a budget. `None` if there was no row.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The number of connections whose state the role may not see.
    #[must_use]
    pub fn hidden(&self) -> u64 {
        self.hidden
    }

    /// The longest time that a client has done nothing within a transaction.
    #[must_use]
    pub fn oldest_idle_in_transaction(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.idle_in_transaction?).ok()
    }
}

/// Returns the name of a service, without the id that `TaskId::application_name` appended.
fn service_of(application_name: &str) -> &str {
    let service = match application_name.rsplit_once('/') {
        Some((service, id)) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => service,
        _ => application_name,
    };
    if service.is_empty() { "unnamed" } else { service }
}

/// A clock that was set back makes a time below 0.
fn longest(before: Option<f64>, seconds: Option<f64>) -> Option<f64> {
    let seconds = seconds.map(|seconds| seconds.max(0.0));
    match (before, seconds) {
        (Some(before), Some(seconds)) => Some(before.max(seconds)),
        (before, seconds) => before.or(seconds),
    }
}

/// What databases say of themselves.
impl Client {
    /// Returns a builder for a watch of a `PostgreSQL` server's connections, under the tag `database:<name>`: see
    /// [`PostgresStatus`].
    pub fn postgres(&self, name: &str) -> WatchBuilder<'_, PostgresStatus> {
        WatchBuilder::new(self, name)
    }
}

impl Watchable for PostgresStatus {}

impl Reported for PostgresStatus {
    const NOUN: &'static str = "database";
    const PREFIX: &'static str = "postgres";

    fn fields(&self) -> Vec<Field> {
        // Where every state is visible and none is that of a transaction, nobody is idle in one.
        let sees_all = self.total.is_some() && self.hidden == 0;
        let seconds = |seconds: Option<f64>| seconds.or(sees_all.then_some(0.0));
        let hidden = self.total.map(|_| self.hidden);
        vec![
            Field { name: "connections_used", peak: true, value: ratio(self.total, self.limit) },
            Field { name: "limit", peak: false, value: level(self.limit) },
            Field {
                name: "oldest_idle_in_transaction_seconds",
                peak: true,
                value: seconds(self.idle_in_transaction),
            },
            Field { name: "longest_statement_seconds", peak: true, value: seconds(self.statement) },
            Field { name: "hidden_connections", peak: false, value: level(hidden) },
        ]
    }

    fn groups(&self) -> Vec<Group> {
        let group = |((service, state), connections): (&(String, String), &u64)| Group {
            name: "connections",
            tags: vec![("service", service.clone()), ("state", state.clone())],
            value: *connections as f64,
        };
        self.connections.iter().map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(application_name: &'a str, state: Option<&'a str>, connections: i64) -> PostgresRow<'a> {
        let (idle_in_transaction, statement) = (None, None);
        PostgresRow { application_name, state, connections, idle_in_transaction, statement, limit: 97 }
    }

    fn counted(status: &PostgresStatus) -> Vec<(&str, &str, u64)> {
        let groups = status.connections.iter();
        groups.map(|((service, state), n)| (service.as_str(), state.as_str(), *n)).collect()
    }

    #[test]
    fn the_tasks_of_a_service_are_one_and_a_name_with_a_slash_of_its_own_stays_whole() {
        let mut status = PostgresStatus::new();
        for (name, connections) in
            [("shop/web/0042", 2), ("shop/web/0007", 3), ("", 1), ("/0042", 1), ("a/b", 5)]
        {
            status.add(&row(name, Some("idle"), connections));
        }
        let expected = [("a/b", "idle", 5), ("shop/web", "idle", 5), ("unnamed", "idle", 2)];
        assert_eq!(counted(&status), expected);
        assert_eq!(status.total(), Some(12));
    }

    #[test]
    fn services_beyond_the_limit_are_reported_together() {
        let mut status = PostgresStatus::new();
        for n in 0..100 {
            status.add(&row(&format!("service-{n:02}"), Some("idle"), 1));
        }
        status.add(&row("service-00", Some("active"), 1));
        assert_eq!(status.connections.len(), MAX_SERVICES + 2);
        assert_eq!(status.connections.values().sum::<u64>(), 101);
        assert!(counted(&status).contains(&("other", "idle", 80)));
    }

    #[test]
    fn what_is_hidden_is_counted_and_what_is_visible_is_0_where_nobody_is() {
        let mut status = PostgresStatus::new();
        let value = |status: &PostgresStatus, name: &str| {
            status.fields().into_iter().find(|field| field.name == name).unwrap().value
        };
        let idle = "oldest_idle_in_transaction_seconds";
        assert!(status.fields().iter().all(|field| field.value.is_none()), "nothing is known");
        status.add(&row("web", Some("idle"), 4));
        assert_eq!((value(&status, idle), value(&status, "hidden_connections")), (Some(0.0), Some(0.0)));
        status.add(&row("web", None, 2));
        assert_eq!((value(&status, idle), value(&status, "hidden_connections")), (None, Some(2.0)));
        let mut waiting = row("web", Some("idle in transaction"), 1);
        waiting.idle_in_transaction = Some(3.5);
        status.add(&waiting);
        waiting.idle_in_transaction = Some(-1.0);
        status.add(&waiting);
        assert_eq!(value(&status, idle), Some(3.5));
        assert_eq!(value(&status, "connections_used"), Some(8.0 / 97.0));
    }
}
