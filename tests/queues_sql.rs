//! What is said of a queue in a SQL database is true: after each step of its jobs, for each trap, and at a bounded
//! cost.
//!
//! The tests need a server and, for the systems that can run here, their libraries, which write the jobs. They say on
//! standard error that they were skipped where these variables don't say where those are:
//!
//! - `TASKTAG_TEST_POSTGRES`: the folder with `postgres` and `initdb`;
//! - `TASKTAG_TEST_SQL_QUEUES_NODE`: a folder with `node`, from version 22.18 on, and with graphile-worker and
//!   pg-boss in `node_modules`;
//! - `TASKTAG_TEST_SQL_QUEUES_PYTHON`: a Python that can import procrastinate and psycopg.
//!
//! `.ci/run` installs them. The other systems are tested on tables that are made as they are documented.
#![cfg(all(unix, feature = "sqlx", feature = "tokio-postgres"))]

#[path = "queues_sql/database.rs"]
mod database;
#[path = "queues_sql/libraries.rs"]
mod libraries;
#[path = "queues_sql/plans.rs"]
mod plans;
#[path = "pools/postgres.rs"]
mod postgres;
#[path = "queues_sql/program.rs"]
mod program;
#[path = "pools/server.rs"]
mod server;
#[path = "queues_sql/sqlite.rs"]
mod sqlite;
#[path = "queues_sql/steps.rs"]
mod steps;
mod support;
#[path = "queues_sql/tables.rs"]
mod tables;
#[path = "queues_sql/traps.rs"]
mod traps;
