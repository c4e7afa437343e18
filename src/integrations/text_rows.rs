//! Rows of texts, which is what PostgreSQL's simple protocol has. PgBouncer's console speaks no other.

use crate::api::gate::PostgresLoad;
use crate::api::watch::{
    PgBouncerPool, PgBouncerStatus, PostgresRow, PostgresStatus, QueueStatus, SqlQueueRow,
};
use std::str::FromStr;

/// A row whose columns are texts.
pub(super) trait TextRow {
    /// Returns the text of a column. `None` if it is null, or if there is no such column.
    fn text(&self, column: &str) -> Option<String>;

    fn number<N: FromStr>(&self, column: &str) -> Option<N> {
        self.text(column)?.parse().ok()
    }
}

/// Reads the rows of [`PostgresStatus::QUERY`].
pub(super) fn postgres_status(rows: &[impl TextRow]) -> PostgresStatus {
    let mut status = PostgresStatus::new();
    for row in rows {
        let (name, state) = (row.text("application_name").unwrap_or_default(), row.text("state"));
        status.add(&PostgresRow {
            application_name: &name,
            state: state.as_deref(),
            connections: row.number("connections").unwrap_or(0),
            idle_in_transaction: row.number("idle_in_transaction"),
            statement: row.number("statement"),
            limit: row.number("connection_limit").unwrap_or(0),
        });
    }
    status
}

/// Reads the rows of [`PostgresLoad::QUERY`].
pub(super) fn postgres_load(rows: &[impl TextRow]) -> PostgresLoad {
    let mut sessions = PostgresLoad::new();
    for row in rows {
        sessions.add(&row.text("waits_for").unwrap_or_default(), row.number("sessions").unwrap_or(0));
    }
    sessions
}

/// Reads the rows of `SHOW DATABASES` and `SHOW POOLS`.
pub(super) fn pgbouncer_status(databases: &[impl TextRow], pools: &[impl TextRow]) -> PgBouncerStatus {
    let mut status = PgBouncerStatus::new();
    for row in databases {
        if let (Some(name), Some(pool_size)) = (row.text("name"), row.number("pool_size")) {
            status.add_database(&name, pool_size);
        }
    }
    for row in pools {
        let number = |column| row.number(column).unwrap_or(0);
        status.add_pool(&PgBouncerPool {
            database: &row.text("database").unwrap_or_default(),
            user: &row.text("user").unwrap_or_default(),
            cl_waiting: number("cl_waiting"),
            sv_active: number("sv_active"),
            maxwait: number("maxwait"),
            maxwait_us: number("maxwait_us"),
        });
    }
    status
}

/// Reads the row of [`SqlQueue::query`](crate::SqlQueue::query).
pub(super) fn queue_status(rows: &[impl TextRow]) -> QueueStatus {
    rows.first().map_or_else(QueueStatus::new, |row| {
        let row = SqlQueueRow {
            hidden: row.number("hidden").unwrap_or(0),
            depth: row.number("depth"),
            oldest_age: row.number("oldest_age"),
            running: row.number("running"),
            scheduled: row.number("scheduled"),
            retrying: row.number("retrying"),
            dead: row.number("dead"),
        };
        row.status()
    })
}
