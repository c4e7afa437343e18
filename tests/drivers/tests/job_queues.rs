//! What is said of the queues of job systems in Rust is true after each step of jobs that their own crates write and
//! work.
//!
//! Each worker is a process of its own, which is this file's program again, and which is killed.

#[path = "job_queues/apalis_redis.rs"]
mod apalis_redis;
#[path = "job_queues/rusty_sidekiq.rs"]
mod rusty_sidekiq;
#[path = "../../leases_redis/server.rs"]
mod server;
#[path = "../../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "some tests of another package need more")]
#[path = "../../queues_redis/watched.rs"]
mod watched;
#[path = "job_queues/worker.rs"]
mod worker;
