//! StatsD and Datadog metrics with a low-cardinality task id.
//!
//! A service runs as many copies: tasks, pods, dynos, forked workers. Without an instance tag, the copies overwrite
//! each other's gauges. With the pod's name as the tag, every deploy creates new time series. tasktag gives each
//! process one of 1000 buckets, for example `task_id:0042`, and sends its metrics to the agent without ever making a
//! call site wait.
//!
//! ```
//! use std::time::Duration;
//! use tasktag::{Client, PoolStatus, TaskId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let guard = Client::builder()
//!     .prefix("shop")
//!     .from_env() // DD_AGENT_HOST, DD_TAGS, STATSD_HOST, …
//!     .install()?;
//! let client = guard.client();
//!
//! // A handle: setting it is an atomic store. Sends shop.cache.fill:0.83|g|#cache:sessions,task_id:0042
//! let fill = client.gauge("cache.fill").tag("cache", "sessions").peak().register();
//! fill.set(0.83);
//!
//! // A call site with literals, which registers its metric once.
//! tasktag::counter!("jobs.done", "queue" => "within_1_minute").increment(1);
//!
//! // A pool, which is polled at every collection: pool.in_use, pool.utilization, …
//! let _watch = client.watch_pool("primary", || PoolStatus::new().max(10).in_use(7));
//!
//! client.event("deploy", "v42 is live");
//! client.flush(Duration::from_secs(1))?;
//! println!("this process is {}", TaskId::current().tag());
//! # Ok(())
//! # } // Dropping the guard sends the last values and stops the worker.
//! ```
//!
//! # Which metric for which question
//!
//! | you have | use |
//! |---|---|
//! | a level that changes | [`Client::gauge`] |
//! | something that happens | [`Client::counter`] |
//! | durations or sizes | [`Client::distribution`], or [`Client::timing`] for a StatsD server |
//! | a capacity that is acquired and released | [`Client::occupancy`] |
//! | a channel whose items wait and run | [`Client::work_queue`] |
//! | a connection pool or any other queue | [`Client::watch_pool`], [`Client::watch_queue`]; [`PoolStatus`] lists which call is for which pool |
//! | connections, permits or a quota, and the question who holds them | [`Client::holders`] |
//! | a promise about requests, jobs or time | [`Client::objective`], [`Client::time_objective`] |
//! | work that can wait while the load is high | [`Client::gate`] |
//! | ids that are drawn at random | [`IdSpace`] |
//! | the question how many workers a promise needs | [`capacity`] |
//! | distinct users, hosts or keys | [`Client::set`] |
//! | a deploy, a failover, a dependency that is up or down | [`Client::event`], [`Client::service_check`] |
//!
//! The [guide] has the full table, and says which tags to use. It also has pages on
//! [what to alert on](guide::alerts), [the signals of autoscaling](guide::autoscaling),
//! [the command `tasktag`](guide::command), [environment variables](guide::environment), [limits](guide::limits),
//! [promises](guide::objectives), [faults](guide::on_a_bad_day), [the timestamps of proxies](guide::proxies) and
//! [task ids](guide::task_ids).
//!
//! # Features
//!
//! | feature | what it adds | extra dependencies |
//! |---|---|---|
//! | `bb8` | watches pools of bb8: [`integrations::bb8`](integrations/bb8/index.html) | `bb8`, `tokio` |
//! | `cadence` | cadence's clients report through this one, or over its transports: [`integrations::cadence`](integrations/cadence/index.html) | `cadence` |
//! | `cli` | the command `tasktag`, and nothing in the library: see what arrives, and why nothing does: [`guide::command`](guide/command/index.html) | `testing`, `redis`, `redis-tls`, `tokio`, `tokio/net`, `tokio/time`, `tokio-postgres`, `tokio-postgres/runtime`, `clap`, `ratatui`, `rustix`, `serde_json`, `signal-hook`, `toml` |
//! | `deadpool` | watches pools of deadpool: [`integrations::deadpool`](integrations/deadpool/index.html) | `deadpool`, `tokio` |
//! | `log` | writes a line when metrics start to be dropped, and one when that has ended: [`integrations::log`](integrations/log/index.html) | `log` |
//! | `metrics` | the macros of metrics report through this client, or get the task id before another recorder: [`integrations::metrics`](integrations/metrics/index.html) | `metrics` |
//! | `metrics-exporter-statsd` | its recorder reports through this client, or gets the task id: [`integrations::metrics_exporter_statsd`](integrations/metrics_exporter_statsd/index.html) | `metrics-exporter-statsd`, `cadence` |
//! | `mobc` | watches pools of mobc: [`integrations::mobc`](integrations/mobc/index.html) | `mobc`, `tokio` |
//! | `mysql_async` | watches pools of `mysql_async`: [`integrations::mysql_async`](integrations/mysql_async/index.html) | `mysql_async` |
//! | `r2d2` | watches pools of r2d2, and times waits and holds: [`integrations::r2d2`](integrations/r2d2/index.html) | `r2d2` |
//! | `redis` | task ids that are leased in Redis, and unique on all hosts: [`TaskIdSource::leased_in_redis`](struct.TaskIdSource.html#method.leased_in_redis); watches the queues of job systems: [`integrations::redis`](integrations/redis/index.html) | `redis` |
//! | `redis-tls` | the same over TLS, `rediss://` | `redis`, `rustls`, `rustls-native-certs`, `redis/tls-rustls` |
//! | `sqlx` | watches pools of sqlx, and asks servers for connections and queues by it: [`integrations::sqlx`](integrations/sqlx/index.html) | `sqlx` |
//! | `testing` | an agent in memory, a parser of packets, a manual clock: [`testing`](testing/index.html) | none |
//! | `tokio` | watches runtimes, channels and semaphores, and what only a query can tell: [`integrations::tokio`](integrations/tokio/index.html) | `tokio` |
//! | `tokio-postgres` | asks PostgreSQL and PgBouncer for their connections, and for the jobs of queues: [`integrations::tokio_postgres`](integrations/tokio_postgres/index.html) | `tokio-postgres` |
//! | `tower` | a layer that measures HTTP services: [`integrations::tower`](integrations/tower/index.html) | `tower-layer`, `tower-service`, `http`, `http-body`, `bytes`, `pin-project-lite` |
//! | `tracing` | emits an event when metrics start to be dropped, and one when that has ended: [`integrations::tracing`](integrations/tracing/index.html) | `tracing` |
//!
//! # Task ids
//!
//! A random bucket is enough for a handful of tasks: [`TaskIdPool`] computes the probability that two of them share
//! one. If that is not enough, pass a [`TaskIdSource`] to [`ClientBuilder::task_id_from`]:
//!
//! * the ordinal that a platform assigns;
//! * a lease among the processes of a host, or of all hosts with Redis;
//! * a hash that stays the same over restarts;
//! * the strongest source that is available.
//!
//! # How data reaches the agent
//!
//! ```text
//! gauge, counter, distribution, occupancy ──▶ cell ─────────────┐
//! pool, queue ── probe ──▶ gauge ──▶ cell ──────────────────────┤
//! event, service check, set member ──▶ bounded channel ──┐      │
//!                                                        ▼      ▼
//!                     one worker: aggregate ▶ encode ▶ packet ▶ transport ▶ agent
//! ```
//!
//! * A handle holds an atomic cell. Using it takes a few atomic instructions. It can't block, allocate or fail, and a
//!   full channel can't lose a gauge's latest value.
//! * Values that don't fit into a cell use a bounded channel. If the channel is full, they are dropped and counted.
//! * One thread, named `tasktag`, does everything else. With nothing to do it rests, and wakes up once a flush. While
//!   it rests, a call that uses the channel or makes a distribution grow wakes it. So do, at any time, a distribution
//!   that takes the last table of a size from the stock, and values of distributions that fill half of the channel.
//!   Each is one system call, which takes no lock. [`Client::flush`], the shutdown and the start of a watch also wake
//!   it.
//! * What could hold that thread up has a thread of its own, which starts when it is needed: `tasktag-probes` calls the
//!   closures that you hand in, and `tasktag-writer` writes to a writer. `tasktag-resolve` looks up host names, and
//!   `tasktag-connect` makes TCP connections. `tasktag-lease` renews a lease in Redis, and `tasktag-queue` asks it
//!   about a queue. All transport sinks under cadence clients share `tasktag-sinks`.
//! * Every accepted value is either sent, or dropped and counted with its reason: see [`Client::stats`].
//!   [One page](guide::on_a_bad_day) describes what each fault does, and what you can do about it.
//! * After set-up no call site returns an error, and nothing panics or prints.
//!
//! # Forks
//!
//! A worker does not survive a `fork`. On Linux, the first use of a metric in a forked child gives it its own task id,
//! channel and worker, and statistics at 0. It reports none of its parent's data, and what the parent watches stays
//! with the parent.
//!
//! [`after_fork`] does the same immediately, and on systems where it does not happen automatically. [`after_restore`]
//! does it for a process that was restored from a snapshot of its memory.
//!
//! # Signal handlers
//!
//! On Linux, a handle that was registered earlier may be used in a signal handler. Incrementing, setting a level,
//! recording a value that fits the table and acquiring a unit take no lock, allocate nothing and make no system call.
//! This holds on any thread, also at its first use of a metric. The exceptions are
//!
//! * a newly forked child, which starts its worker at its first use of a metric;
//! * values that use the channel: members of sets, values with a timestamp, and values of a distribution beyond its
//!   table;
//! * targets without 64-bit atomics;
//! * a process with glibc that created 32 POSIX thread keys before its first client, in which threads share one lane.
//!
//! Don't call a metric by name in a signal handler, and don't use a macro there that registers at its first use. They
//! may allocate and wait for a lock. They may also find the state of an interrupted call by name on the same thread
//! half-changed.
//!
//! Counts are exact unless the handler interrupts an increment of the same counter on the same thread. In an optimized
//! build for x86-64 an increment is one instruction, which no signal divides, and both increments are counted. In an
//! unoptimized build, and on other processors such as `AArch64` and 32-bit x86, it is a load, an addition and a store,
//! and one of the two increments may be lost. The compiler merges the three into one instruction by its own choice
//! (Rust 1.95, `opt-level` 1 to 3 and `z`), and no rule of the language requires it. For exact counts everywhere, give
//! the handler a counter of its own.
//!
//! # Two versions in one program
//!
//! Two versions of this crate in one program, for example because a library brings its own, are two clients. On Linux
//! they have the same task id if it is [random](TaskIdSource::random), because both compute it from what the kernel
//! gave the program at its start. An id from another source is known to one version only: set `TASKTAG_TASK_ID` for the
//! process, or let the program pass the number to the library's client as [`fixed`](TaskIdSource::fixed).
//!
//! The two versions can't share a client. Setting an environment variable is not safe in a program with threads, and a
//! symbol of one name in both does not link. `client()` of one version does not find what the other installed. While
//! nothing is installed through the other version, values that are counted with its macros are dropped and counted
//! nowhere. `cargo tree -d` shows whether there are two versions.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::unwrap_used,
    )
)]

// The floors, from what programs use down to what everything else uses. No floor imports from one above it.

// From settings and environment variables to a running client.
mod setup;

// What programs call.
mod api;

// The thread that sends everything to the agent.
mod worker;

// What callers pass to the worker.
mod mailbox;

// User code that the library calls, and the thread that calls it.
mod callback;

// A metric's name with its tags, and how it is found.
mod context;

// From a value to a packet at the agent.
mod wire;

// The counts of accepted, sent and dropped values.
mod ledger;

// The atomics that a handle writes.
mod cell;

// The identity of this process.
mod task_id;

// The types that all other floors use.
mod vocabulary;

// The platform.
mod process;

#[cfg(feature = "testing")]
pub mod testing;

pub mod integrations;

// Pages of documentation, without code.
pub mod guide;

pub use crate::api::capacity;
pub use crate::api::cardinality::{CardinalityReport, MetricCardinality};
pub use crate::api::client::{Client, Guard};
pub use crate::api::dimension::{
    BoundedBuilder, BoundedFamily, ByName, ClosedTag, ClosedTags, Family, FrequentBuilder, FrequentFamily,
    HttpMethod, Outcome, StatusClass,
};
pub use crate::api::gate::{
    Admission, Decision, Gate, GateBuilder, GateClass, GateState, GateStatus, Later, Load, PostgresLoad,
    SessionWait,
};
pub use crate::api::handle::{
    Counter, Distribution, Gauge, Metric, MetricBuilder, Occupancy, Occupied, OwnedOccupied, OwnedTimer, Set,
    Timer,
};
pub use crate::api::holders::{
    Held, Holder, HolderFamily, HolderReport, Holders, HoldersBuilder, HoldersReport, Wait,
};
pub use crate::api::id_space::{DaysLeft, Draw, IdCandidates, IdSpace, IdSpaceStatus, NoneFree};
pub use crate::api::installed::{client, with_local_client};
pub use crate::api::objective::{
    AlertSeverity, BurnAlert, BurnWindow, ByEvent, ByTime, DEFAULT_MIN_BAD, DEFAULT_PERIOD_DAYS,
    DEFAULT_SLICE, Objective, ObjectiveBuilder, ObjectiveTimer, SliceCounts, SliceState, Target,
    TimeObjective,
};
pub use crate::api::sole::SoleReporter;
pub use crate::api::watch::{
    ConnectionBudget, PgBouncerPool, PgBouncerStatus, PoolStatus, PostgresRow, PostgresStatus, Promise,
    QueueDepth, QueueStatus, QueueTicket, Queued, RunningJob, SqlQueue, SqlQueueRow, WatchBuilder, Watchable,
    WorkQueue, WorkQueueBuilder,
};
pub use crate::callback::notice::{LOSS_NOTICE_INTERVAL, LossNotice, LossPhase};
pub use crate::callback::probe::Watch;
pub use crate::ledger::{DropReason, Stats, Tally};
pub use crate::process::fork::{after_fork, after_restore};
pub use crate::setup::agent::Agent;
pub use crate::setup::config::{
    ClientBuilder, DEFAULT_AGENT, DEFAULT_CHANNEL_CAPACITY, DEFAULT_COLLECT_INTERVAL, DEFAULT_CONTEXT_LIMIT,
    DEFAULT_FLUSH_INTERVAL, DEFAULT_METRIC_CONTEXT_LIMIT, DEFAULT_SHUTDOWN_TIMEOUT,
};
pub use crate::task_id::{TaskId, TaskIdClaim, TaskIdOn, TaskIdPool, TaskIdSource, TaskIdSourceKind};
pub use crate::vocabulary::error::{ConfigError, FlushError, RegisterError};
pub use crate::vocabulary::event::{AlertType, Event, Priority, ServiceCheck, Status};
pub use crate::vocabulary::kind::Kind;
pub use crate::vocabulary::name::UnknownName;
pub use crate::vocabulary::protocol::Protocol;
pub use crate::vocabulary::tag_value::TagValue;
pub use crate::wire::encode::{Dialect, Weights};
pub use crate::wire::origin::TagCardinality;

#[doc(hidden)]
pub mod __macros {
    pub use crate::api::dimension::{check as check_closed_tag, snake, snake_len};
    pub use crate::api::macros::{Called, Site};
    pub use core::primitive::str;
}

/// Tests the README's code along with the crate's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
