//! What is said of apalis's queues in SQL is true after each step of jobs that its own crates write and work.
//!
//! Each worker is a process of its own, which is this file's program again, and which is killed.

#[path = "sql_queues/apalis_postgres.rs"]
mod apalis_postgres;
#[path = "sql_queues/apalis_sqlite.rs"]
mod apalis_sqlite;
#[allow(dead_code, reason = "some tests of another package need more")]
#[path = "../../pools/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "some tests of another package need more")]
#[path = "../../pools/server.rs"]
mod server;
#[path = "sql_queues/steps.rs"]
mod steps;
#[path = "../../support/mod.rs"]
mod support;
#[path = "job_queues/worker.rs"]
mod worker;
