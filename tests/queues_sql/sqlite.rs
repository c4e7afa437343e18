//! apalis-sqlite, on tables as its migrations make them, in memory.

use crate::database::{HOUR, seen};
use crate::tables;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tasktag::integrations::sqlx::queue_status;
use tasktag::{QueueStatus, SqlQueue};
use tokio::runtime::Runtime;

struct Sqlite {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Sqlite {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(SqliteConnection::connect("sqlite::memory:")).unwrap();
        let mut database = Self { runtime, connection };
        database.run(tables::APALIS_SQLITE);
        database
    }

    fn run(&mut self, statements: &str) {
        let raw = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        self.runtime.block_on(raw.execute(&mut self.connection)).unwrap();
    }

    fn number(&mut self, query: &'static str) -> f64 {
        self.runtime.block_on(sqlx::query_scalar::<_, f64>(query).fetch_one(&mut self.connection)).unwrap()
    }

    fn texts(&mut self, query: &str, column: &str) -> Vec<String> {
        let raw = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        let rows = self.runtime.block_on(raw.fetch_all(&mut self.connection)).unwrap();
        rows.iter().map(|row| sqlx::Row::get(row, column)).collect()
    }

    fn ask(&mut self, queue: &SqlQueue) -> QueueStatus {
        self.runtime.block_on(queue_status(&mut self.connection, queue)).unwrap()
    }

    #[track_caller]
    fn step(&mut self, queue: &SqlQueue, statements: &str, expected: [i64; 6]) {
        self.run(statements);
        let status = self.ask(queue);
        assert_eq!(seen(&status), expected, "after {statements}");
        assert_eq!(status.hidden, Some(false));
    }
}

#[test]
fn apalis_on_sqlite_tells_its_jobs_apart() {
    let mut database = Sqlite::new();
    let queue = SqlQueue::apalis_sqlite("mail");
    database.step(&queue, "", [0, 0, 0, 0, 0, 0]);
    let set = |to: &str, id: &str| format!("update Jobs set {to} where id = '{id}'");
    let enqueued = "insert into Jobs (id, job_type, priority, run_at) values
        ('a', 'mail', 0, strftime('%s', 'now', '-6 hours')), ('b', 'mail', 9, strftime('%s', 'now', '-2 hours')),
        ('c', 'other', 0, strftime('%s', 'now', '-9 hours'))";
    database.step(&queue, enqueued, [2, 6, 0, 0, 0, 0]);
    let delayed =
        "insert into Jobs (id, job_type, run_at) values ('e', 'mail', strftime('%s', 'now', '+1 hour'))";
    database.step(&queue, delayed, [2, 6, 0, 1, 0, 0]);
    database.step(&queue, &set("status = 'Running', lock_by = 'w'", "b"), [1, 6, 1, 1, 0, 0]);
    let failed = "status = 'Failed', attempts = 1, lock_by = null, run_at = strftime('%s', 'now', '+1 hour')";
    database.step(&queue, &set(failed, "b"), [1, 6, 0, 1, 1, 0]);
    database.step(&queue, &set("run_at = strftime('%s', 'now', '-7 hours')", "b"), [2, 7, 0, 1, 0, 0]);
    let lower = "insert into Jobs (job_type, status, attempts, run_at)
        values ('mail', 'Failed', 3, strftime('%s', 'now', '-8 hours'))";
    database.step(&queue, lower, [3, 8, 0, 1, 0, 0]);
    database.step(&queue, "update Jobs set attempts = 25 where status = 'Failed'", [1, 6, 0, 1, 0, 2]);
    database.step(&queue, &set("status = 'Killed'", "a"), [0, 0, 0, 1, 0, 3]);
    // Its worker dies with job e, which stays.
    database.step(&queue, &set("status = 'Queued'", "e"), [0, 0, 1, 0, 0, 3]);
    database.step(&queue, &set("status = 'Done'", "e"), [0, 0, 0, 0, 0, 3]);
}

#[test]
fn a_number_is_below_the_text_of_sqlites_time_also_if_it_is_ahead() {
    let mut database = Sqlite::new();
    database.run(
        "insert into Jobs (job_type, run_at) values ('mail', strftime('%s', 'now', '+5 hours')),
         ('mail', strftime('%s', 'now', '-2 hours'))",
    );
    let naive = "select cast(count(*) as real) from Jobs where (run_at + 0) <= strftime('%s', 'now')";
    assert_eq!(database.number(naive), 2.0);
    assert_eq!(seen(&database.ask(&SqlQueue::apalis_sqlite("mail"))), [1, 2, 0, 1, 0, 0]);
}

#[test]
fn a_name_is_a_name_in_sqlite_too() {
    let mut database = Sqlite::new();
    database.run("attach ':memory:' as 'the \"jobs\"'");
    for name in ["it's", r"\", r"\' or true --", "' or true --", "{queue}", "?1"] {
        let quoted = name.replace('\'', "''");
        database.run(&format!("insert into Jobs (job_type) values ('{quoted}'), ('other')"));
        let queue = SqlQueue::apalis_sqlite(name).schema("main");
        assert_eq!(seen(&database.ask(&queue)), [1, 0, 0, 0, 0, 0], "{name}");
    }
    let elsewhere = SqlQueue::apalis_sqlite("other").schema("the \"jobs\"");
    let error = database.runtime.block_on(queue_status(&mut database.connection, &elsewhere)).unwrap_err();
    assert!(error.to_string().contains("no such table"), "{error}");
}

#[test]
fn asking_for_a_queue_in_sqlite_uses_an_index_for_all_and_ends_at_its_limit() {
    let mut database = Sqlite::new();
    // One in two waits, one in four is dead, and one in four is due later.
    database.run(
        "insert into Jobs (job_type, status, attempts, priority, run_at)
         with recursive jobs (job) as (select 1 union all select job + 1 from jobs where job < 60000)
         select 'mail', iif(job % 4 = 2, 'Failed', 'Pending'), iif(job % 4 = 2, 25, 0), job % 3,
             strftime('%s', 'now') + iif(job % 4 = 3, 3600 + job, -3600 - job) from jobs",
    );
    database.run("analyze");
    let queue = SqlQueue::apalis_sqlite("mail");
    let plan = database.texts(&format!("explain query plan {}", queue.query()), "detail");
    assert!(plan.iter().any(|step| step.starts_with("SEARCH Jobs USING")), "{plan:#?}");
    assert!(!plan.iter().any(|step| step.starts_with("SCAN Jobs") || step.contains("B-TREE")), "{plan:#?}");
    let status = database.ask(&queue);
    let most = Some(SqlQueue::COUNT_LIMIT);
    let (later, dead) = (Some(SqlQueue::LATER_LIMIT), Some(SqlQueue::DEAD_LIMIT));
    assert_eq!((status.depth, status.scheduled, status.dead), (most, later, dead), "{status:?}");
    let oldest = HOUR.as_secs() + 60_000;
    assert!((oldest..oldest + HOUR.as_secs()).contains(&status.oldest_age.unwrap().as_secs()), "{status:?}");
}
