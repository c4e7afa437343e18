//! Queues in SQL databases.

mod apalis;
mod delayed_job;
mod good_job;
mod graphile_worker;
mod now;
mod oban;
mod pg_boss;
mod procrastinate;
mod que;
mod quoted;
mod river;
mod row;
mod solid_queue;
mod source;
mod staged;
mod statement;
mod states;

pub use self::row::SqlQueueRow;

use self::statement::Statement;

/// The number of jobs up to which is counted.
const COUNT_LIMIT: u64 = 10_000;
/// The same for dead jobs. They stay for days or for ever, so a system that gave up many costs at each answer.
const DEAD_LIMIT: u64 = 1000;
/// The same for jobs whose time is ahead. Whether they were tried is in the table and not in an index, and a row there
/// takes the server as long as ten in an index.
const LATER_LIMIT: u64 = 1000;
/// How many priorities a walk visits: enough for any use of them, and an end for a table that has one for each job.
const PRIORITY_LIMIT: u32 = 1000;

/// A queue whose jobs are rows of a SQL database, written by one of the systems below.
///
/// It is a statement that reads the tables of the system, and gives a [`QueueStatus`](crate::QueueStatus). The
/// features `sqlx` and `tokio-postgres` have a function, `queue_status`, that runs it. With another client, run
/// [`query`](Self::query), and pass its row to [`SqlQueueRow::status`].
///
/// | system | version | tried on |
/// |---|---|---|
/// | [graphile-worker](Self::graphile_worker) | 0.18.0 | its own tables |
/// | [pg-boss](Self::pg_boss) | 12.38.0 | its own tables |
/// | [procrastinate](Self::procrastinate) | 3.10.0 | its own tables |
/// | [apalis-postgres](Self::apalis_postgres), [apalis-sqlite](Self::apalis_sqlite) | 1.0.0 | their own tables |
/// | [Oban](Self::oban) | 2.23.0 | tables as documented |
/// | [River](Self::river) | of August 2026 | tables as documented |
/// | [GoodJob](Self::good_job) | 4.19.2 | tables as documented |
/// | [Solid Queue](Self::solid_queue) | 1.5.0 | tables as documented |
/// | [`delayed_job`](Self::delayed_job) | 4.1.9 | tables as documented |
/// | [Que](Self::que) | 2.4.1 | tables as documented |
///
/// All are in `PostgreSQL`, 12 or later, save apalis-sqlite.
///
/// # What is in the numbers
///
/// - `queue.depth` and `queue.oldest_age_seconds` are of jobs that a worker could take now, also if the system's own
///   scheduler has not yet moved them to where workers look. Dead jobs and those whose time is ahead are left out. An
///   age is measured from the time at which a job became due, by the clock of the database.
/// - `queue.scheduled` and `queue.retrying` are jobs whose time is ahead: that were never tried, and that were.
/// - `queue.running` and `queue.dead` are jobs that a worker has, and those that the system gave up.
///
/// What a system can't tell is absent. The counts of jobs that wait and that run end at
/// [`COUNT_LIMIT`](Self::COUNT_LIMIT): 10,000 means 10,000 or more. The count of dead jobs ends at
/// [`DEAD_LIMIT`](Self::DEAD_LIMIT), 1,000. Those of jobs whose time is ahead end at
/// [`LATER_LIMIT`](Self::LATER_LIMIT), 1,000. Where a system has scheduled and retrying jobs in one state, this is the
/// limit of both together: beyond it the two say how the first 1,000 are divided.
///
/// # What it costs
///
/// The work is bounded, however many jobs there are: the statement finds the oldest job by the index that the system
/// takes its jobs by, with a step for each priority, of which it visits the first 1,000 in each state. With a million
/// jobs that wait, an answer takes the server 3 to 5 ms of a processor (`PostgreSQL` 15, all in memory): about half is
/// for the first 10,000 of them, and a quarter for the plan. What only a scan of the whole table could tell is left
/// out, unless [`with_scans`](Self::with_scans) asks for it. The methods name the indexes that make a scan unnecessary.
///
/// # What the role may see
///
/// A role to which row level security applies sees an empty queue, or a part of it, without an error. Then nothing is
/// reported but `queue.hidden`, which is 1: alarm above 0. This is what a monitoring role gets from graphile-worker,
/// whatever it was granted. Make it a member of the role that owns the tables, or give it `bypassrls`.
///
/// # Names
///
/// A queue's name is in the statement as a quoted text, and so is a schema's: any name is safe, whatever is in it. A
/// name is no parameter, because the simple protocol has none, and only that one passes every pooler and needs no
/// prepared statement.
///
/// ```
/// use tasktag::SqlQueue;
///
/// let queue = SqlQueue::oban("mail").schema("background");
/// assert!(queue.query().contains(r#""background".oban_jobs"#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a queue is a statement, which somebody has to run"]
pub struct SqlQueue {
    system: System,
    // `None` for all jobs of the system.
    queue: Option<String>,
    // `None` for the system's own.
    schema: Option<String>,
    scans: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    ApalisPostgres,
    ApalisSqlite,
    DelayedJob,
    GoodJob,
    GraphileWorker,
    Oban,
    PgBoss,
    Procrastinate,
    Que,
    River,
    SolidQueue,
}

impl SqlQueue {
    /// The number up to which waiting and running jobs are counted: it stands for itself and all above it.
    pub const COUNT_LIMIT: u64 = COUNT_LIMIT;
    /// The number up to which dead jobs are counted: 1,000 means 1,000 or more.
    ///
    /// A dead job stays in its table until somebody retries or deletes it, or until its system does, often after days.
    /// So there may be a million that nobody cares for. To count 10,000 of them at each answer would take as long as to
    /// count what waits, and say no more.
    ///
    /// Alarm where there is any, `max(last_5m):max:queue.dead{queue:mail} > 0`, or from a number on that is at most
    /// this one: `>= 1000` is true for 1,000 and all above it, and `> 1000` never is. A rise shows below 1,000 only.
    pub const DEAD_LIMIT: u64 = DEAD_LIMIT;
    /// The number up to which jobs are counted whose time is ahead.
    pub const LATER_LIMIT: u64 = LATER_LIMIT;

    fn new<'a>(system: System, queue: impl Into<Option<&'a str>>) -> Self {
        Self { system, queue: queue.into().map(str::to_owned), schema: None, scans: false }
    }

    /// Sets the schema in which the tables are. The default is the system's own: `graphile_worker`, `pgboss` and
    /// `apalis`, and the search path of the connection for all others. In SQLite it is the name of an attached
    /// database.
    pub fn schema(mut self, schema: &str) -> Self {
        self.schema = Some(schema.to_owned());
        self
    }

    /// Also counts what only a scan of the whole table tells, unless the table has the indexes that the system's
    /// method names. By default such counts are absent. A scan of a million jobs takes 60 to 250 ms (`PostgreSQL` 15,
    /// 2 cores, all in memory), each time.
    pub fn with_scans(mut self) -> Self {
        self.scans = true;
        self
    }

    /// Returns the statement. Its one row is a [`SqlQueueRow`].
    #[must_use]
    pub fn query(&self) -> String {
        match self.system {
            System::ApalisPostgres => apalis::statement(self).text(),
            System::ApalisSqlite => apalis::sqlite(self),
            System::DelayedJob => delayed_job::statement(self).text(),
            System::GoodJob => good_job::statement(self).text(),
            System::GraphileWorker => graphile_worker::statement(self).text(),
            System::Oban => oban::statement(self).text(),
            System::PgBoss => pg_boss::statement(self).text(),
            System::Procrastinate => procrastinate::statement(self).text(),
            System::Que => que::statement(self).text(),
            System::River => river::statement(self).text(),
            System::SolidQueue => solid_queue::statement(self).text(),
        }
    }

    /// The name of a table, in the schema in which it is.
    fn table(&self, name: &str) -> String {
        let own = match self.system {
            System::ApalisPostgres => Some("apalis"),
            System::GraphileWorker => Some("graphile_worker"),
            System::PgBoss => Some("pgboss"),
            _ => None,
        };
        quoted::table(self.schema.as_deref().or(own), name)
    }

    /// The name of the queue as a text of `PostgreSQL`.
    fn name(&self) -> String {
        quoted::postgres_text(self.queue.as_deref().unwrap_or_default())
    }

    /// A count that needs a scan, if scans are wanted.
    fn scanned(&self, count: String) -> Option<String> {
        self.scans.then_some(count)
    }
}
