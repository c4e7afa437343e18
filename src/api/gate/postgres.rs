//! The load of a `PostgreSQL` server.

use super::load::Load;
use crate::api::dimension::ClosedTag;

crate::tags! {
    /// What an active session of a database waits for: `waits_for:cpu`, `waits_for:lock`, …
    ///
    /// Later versions may add reasons. A `match` needs an arm for them.
    #[non_exhaustive]
    pub enum SessionWait: "waits_for" {
        /// Nothing: it runs on a processor, or would if one were free.
        Cpu,
        /// A lock that another session has, of any kind.
        Lock,
        /// A disk.
        Io,
        /// Its client, to send or to take data.
        Client,
        /// Anything else: a timer, another process of the server.
        Other,
    }
}

crate::api::dimension::shown!(SessionWait);

/// The active sessions of a `PostgreSQL` server, by what they wait for.
///
/// Idle connections are no load. Of the active ones, those that compute or wait for a disk show how busy the server is.
/// It is at its limit if there are as many of them as it has processors. From there on each further one slows down all
/// others. This is what Amazon's Performance Insights compare with the number of processors.
///
/// Sessions that wait for a lock use no processor. A migration that locks a table makes hundreds of them, on a server
/// that is idle. They are reported as a part of the load, and don't decide: see [`over`](Self::over).
///
/// The features `sqlx` and `tokio-postgres` have a function that asks, `postgres_load`. With another client, run
/// [`QUERY`](Self::QUERY) and pass each row to [`add`](Self::add).
///
/// ```
/// use tasktag::{Load, PostgresLoad, SessionWait};
///
/// let mut sessions = PostgresLoad::new();
/// sessions.add("cpu", 5);
/// sessions.add("io", 1);
/// sessions.add("lock", 40);
/// assert_eq!(sessions.waiting_for(SessionWait::Lock), 40);
/// assert_eq!(sessions.over(8).value(), Some(0.75));
/// ```
///
/// # What the role may see
///
/// An ordinary role does not see what the sessions of other roles do, and would take a busy server for an idle one. The
/// load is then [unknown](Self::hidden). Grant the role what it needs:
///
/// ```sql
/// grant pg_read_all_stats to monitoring;
/// ```
///
/// # Asking
///
/// Ask by a connection of its own and not by the pool whose work is gated: an exhausted pool can't be asked through,
/// and that says nothing about the server. Ask outside of transactions, within which the server repeats its first
/// answer. Each task asks for itself once a second, because each decides for itself. The query reads memory and takes
/// no lock on a table. It costs about as much as there are connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until a gate has its load"]
pub struct PostgresLoad {
    sessions: [u64; SessionWait::ALL.len()],
    hidden: u64,
}

impl PostgresLoad {
    /// The query, for `PostgreSQL` 10 and later. Its columns are the arguments of [`add`](Self::add), with the types
    /// `text` and `int8`.
    ///
    /// The workers of parallel queries are sessions too, as each of them uses a processor. The session that asks is
    /// none.
    pub const QUERY: &'static str = "\
select case
        when backend_type is null then 'hidden'
        when wait_event_type is null then 'cpu'
        when wait_event_type in ('Lock', 'LWLock', 'BufferPin') then 'lock'
        when wait_event_type = 'IO' then 'io'
        when wait_event_type = 'Client' then 'client'
        else 'other'
    end as waits_for,
    count(*)::int8 as sessions
from pg_stat_activity
where pid <> pg_backend_pid() and datname is not null and usename is not null
    and (backend_type is null
        or backend_type in ('client backend', 'parallel worker') and state in ('active', 'fastpath function call'))
group by 1";

    /// Returns the load of a server without active sessions.
    #[allow(clippy::new_without_default, reason = "no answer must not look like an idle server")]
    pub const fn new() -> Self {
        Self { sessions: [0; SessionWait::ALL.len()], hidden: 0 }
    }

    /// Adds a row of the [query](Self::QUERY).
    pub fn add(&mut self, waits_for: &str, sessions: i64) {
        let sessions = u64::try_from(sessions).unwrap_or(0);
        if waits_for == "hidden" {
            self.hidden = self.hidden.saturating_add(sessions);
            return;
        }
        let wait = SessionWait::ALL.iter().find(|wait| wait.value() == waits_for);
        if let Some(count) = self.sessions.get_mut(wait.unwrap_or(&SessionWait::Other).index()) {
            *count = count.saturating_add(sessions);
        }
    }

    /// The active sessions that wait for one thing.
    #[must_use]
    pub fn waiting_for(&self, wait: SessionWait) -> u64 {
        self.sessions.get(wait.index()).copied().unwrap_or(0)
    }

    /// The connections of which the role may not see whether they are active. If there are any, the load is unknown.
    #[must_use]
    pub fn hidden(&self) -> u64 {
        self.hidden
    }

    /// Returns the sessions that compute or wait for a disk, divided by the number of the server's processors, as a
    /// load. Its parts are all active sessions, divided alike: `cpu`, `lock`, `io`, `client` and `other`.
    ///
    /// It is unknown if there are [hidden](Self::hidden) connections, or for 0 processors. No query tells how many
    /// processors a server has.
    pub fn over(&self, cpus: u32) -> Load {
        if self.hidden > 0 || cpus == 0 {
            return Load::unknown();
        }
        let share = |wait| self.waiting_for(wait) as f64 / f64::from(cpus);
        let load = Load::of(share(SessionWait::Cpu) + share(SessionWait::Io));
        SessionWait::ALL.iter().fold(load, |load, wait| load.part(wait.value(), share(*wait)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_makes_the_load_unknown_and_not_low() {
        let mut sessions = PostgresLoad::new();
        assert_eq!(sessions.over(4).value(), Some(0.0));
        sessions.add("hidden", 1);
        assert_eq!((sessions.over(4), sessions.hidden()), (Load::unknown(), 1));
    }

    #[test]
    fn rows_of_any_number_and_name_are_taken() {
        let mut sessions = PostgresLoad::new();
        for (waits_for, count) in
            [("cpu", i64::MAX), ("cpu", i64::MAX), ("cpu", i64::MAX), ("io", -1), ("", 2)]
        {
            sessions.add(waits_for, count);
        }
        let counts: Vec<_> = SessionWait::ALL.iter().map(|wait| sessions.waiting_for(*wait)).collect();
        assert_eq!(counts, [u64::MAX, 0, 0, 0, 2]);
        assert_eq!(sessions.over(0), Load::unknown());
    }
}
