//! The queues of job systems in Redis report what waits, runs, is to come and has failed, each where the system can
//! tell.
//!
//! The jobs are written by the systems' own libraries. A test needs a program that is not part of Rust, and says on
//! standard error which variable would turn it on where it is not told of one:
//!
//! * `TASKTAG_TEST_REDIS`: `redis-server`;
//! * `TASKTAG_TEST_QUEUES_PYTHON`: a Python that can import `arq`, `dramatiq` and `rq`;
//! * `TASKTAG_TEST_QUEUES_CELERY_PYTHON`: one that can import `celery`, which needs a later client of Redis than `arq`;
//! * `TASKTAG_TEST_QUEUES_NODE`: a folder with npm's `bullmq` 5, and 6 as `bullmq6`, with `node` in the path;
//! * `TASKTAG_TEST_QUEUES_RUBY`: a Ruby that can require `sidekiq` 6.
//!
//! `.ci/run` installs them.

#![cfg(all(unix, feature = "redis"))]

#[path = "queues_redis/apalis.rs"]
mod apalis;
#[path = "queues_redis/arq.rs"]
mod arq;
#[path = "queues_redis/bullmq.rs"]
mod bullmq;
#[path = "queues_redis/celery.rs"]
mod celery;
#[path = "queues_redis/dramatiq.rs"]
mod dramatiq;
#[path = "queues_redis/list.rs"]
mod list;
#[path = "queues_redis/million.rs"]
mod million;
#[path = "queues_redis/program.rs"]
mod program;
#[path = "queues_redis/rq.rs"]
mod rq;
#[path = "leases_redis/server.rs"]
mod server;
#[path = "queues_redis/sidekiq.rs"]
mod sidekiq;
#[path = "queues_redis/stream.rs"]
mod stream;
mod support;
#[path = "queues_redis/watch.rs"]
mod watch;
#[path = "queues_redis/watched.rs"]
mod watched;
