//! The name under which a database lists this task's connections.

use super::TaskId;

/// The bytes of an application name that `PostgreSQL` keeps (`NAMEDATALEN - 1`, as built by default).
const MAX_LEN: usize = 63;

impl TaskId {
    /// Returns a name for a database's own lists, for example `shop-web/0042`. Whoever reads `pg_stat_activity` and
    /// whoever reads a dashboard then speak of the same task.
    ///
    /// `PostgreSQL` keeps 63 bytes of an application name. The service's name is cut so that the id always fits. Every
    /// character that is not printable ASCII becomes `?`, as in `PostgreSQL` up to 15. `PostgreSQL` 16 would write each
    /// of its bytes as `\x` and two digits, and could cut the id off.
    ///
    /// | client | where the name goes |
    /// |---|---|
    /// | sqlx | `PgConnectOptions::application_name` |
    /// | tokio-postgres, deadpool-postgres, bb8-postgres | `Config::application_name` |
    /// | diesel, psycopg, libpq | `?application_name=shop-web/0042` in the URL, or `PGAPPNAME` |
    /// | Redis | `CLIENT SETNAME`, which takes no spaces |
    ///
    /// By default sqlx, tokio-postgres and diesel set no name at all, and the list shows an empty one. tokio-postgres
    /// does not read `PGAPPNAME` (seen with 0.7.18).
    ///
    /// Behind `PgBouncer` in transaction mode the list shows the client that last ran a statement on a connection. A
    /// client without a name runs under the previous one's (seen with 1.18), so every client needs one.
    ///
    /// A connection keeps the name that it was opened with. If the id is [leased](crate::TaskIdSource::leased) and
    /// lost, connections that are already open are listed under the old id.
    ///
    /// ```
    /// use tasktag::TaskIdPool;
    ///
    /// let id = TaskIdPool::DEFAULT.id(42).unwrap();
    /// assert_eq!(id.application_name("shop-web"), "shop-web/0042");
    /// assert_eq!(id.application_name(&"x".repeat(100)).len(), 63);
    /// ```
    #[must_use]
    pub fn application_name(&self, service: &str) -> String {
        let room = MAX_LEN - 1 - self.as_str().len();
        let is_kept = |character: &char| character.is_ascii_graphic() || *character == ' ';
        let service = service.chars().map(|character| if is_kept(&character) { character } else { '?' });
        let mut name: String = service.take(room).collect();
        name.push('/');
        name.push_str(self.as_str());
        name
    }
}

#[cfg(test)]
mod tests {
    use crate::task_id::TaskIdPool;

    #[test]
    fn the_id_survives_whatever_the_services_name() {
        for (service, name) in [
            ("shop-web", "shop-web/0000042".to_owned()),
            ("", "/0000042".to_owned()),
            ("shop web", "shop web/0000042".to_owned()),
            ("caf\u{e9}\n", "caf??/0000042".to_owned()),
            (&"x".repeat(63), format!("{}/0000042", "x".repeat(55))),
            (&"\u{e4}".repeat(63), format!("{}/0000042", "?".repeat(55))),
        ] {
            let id = TaskIdPool::new(TaskIdPool::MAX_SIZE).unwrap().id(42).unwrap();
            assert_eq!(id.application_name(service), name);
        }
    }
}
