//! StatsD and Datadog metrics with a low-cardinality task id.
//!
//! A service runs as many copies: tasks, pods, dynos, forked workers. Without an instance tag the copies overwrite each
//! other's gauges; with the pod's name as the tag every deploy mints new time series. tasktag gives each process one of
//! 1000 buckets, `task_id:0042`, and carries its metrics to the agent without a call site ever waiting for it.
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
//! // A handle: an atomic store. shop.cache.fill:0.83|g|#cache:sessions,task_id:0042
//! let fill = client.gauge("cache.fill").tag("cache", "sessions").peak().register();
//! fill.set(0.83);
//!
//! // A literal call site, registered once.
//! tasktag::counter!("jobs.done", "queue" => "within_1_minute").increment(1);
//!
//! // Something to be asked at every collection: pool.in_use, pool.utilization, …
//! let _watch = client.watch_pool("primary", || PoolStatus::new().max(10).in_use(7));
//!
//! client.event("deploy", "v42 is live");
//! client.flush(Duration::from_secs(1))?;
//! println!("this process is {}", TaskId::current().tag());
//! # Ok(())
//! # } // The guard is dropped: the last values are sent, and the worker ends.
//! ```
//!
//! # The way data takes
//!
//! ```text
//! your code ── gauge, counter, distribution, occupancy ──▶ cell ─────────────┐
//! pools, queues ── probe ──▶ gauge ──▶ cell ─────────────────────────────────┤
//! your code ── event, service check, set member ──▶ bounded channel ──┐      │
//!                                                                     ▼      ▼
//!                                     one worker:   aggregate ▶ encode ▶ packet ▶ transport ▶ agent
//! ```
//!
//! * A handle holds an atomic cell. Using it takes a few atomic instructions; it can't block, allocate or fail, and a
//!   full channel can't lose a gauge's latest value.
//! * What has no place in a cell crosses a bounded channel. Full means dropped and counted.
//! * One thread, named `tasktag`, does everything else. No call site wakes it but [`Client::flush`] and the end.
//!   A lease in Redis has one more thread, `tasktag-lease`; all transport sinks under cadence clients share one,
//!   `tasktag-sinks`.
//! * Every value that was accepted is sent, or dropped and counted with its reason: see [`Client::stats`]. What each fault
//!   does, and what you can do about it, is described [fault by fault](guide::on_a_bad_day).
//! * After set-up nothing returns an error at a call site, nothing panics, and nothing is printed.
//!
//! # Task ids
//!
//! A random bucket does for a handful of tasks: [`TaskIdPool`] knows the odds that two share one. Where that is not
//! enough, [`ClientBuilder::task_id_from`] takes a [`TaskIdSource`]: the ordinal that a platform gives, a lease among
//! the processes of a host (or of all hosts, in Redis), a hash that stays the same over restarts, or the strongest that
//! is there.
//!
//! # Features
//!
//! | feature | what | extra dependencies |
//! |---|---|---|
//! | `cadence` | cadence's clients report through this one, or over its transports: `integrations::cadence` | `cadence` |
//! | `log` | a line when metrics start to be dropped, and one when that has ended: `integrations::log` | `log` |
//! | `metrics` | the macros of metrics report through this client, or get the task id before another recorder: `integrations::metrics` | `metrics` |
//! | `metrics-exporter-statsd` | its recorder reports through this client, or gets the task id: `integrations::metrics_exporter_statsd` | `metrics-exporter-statsd`, `cadence` |
//! | `redis` | task ids that are leased in Redis, unique on all hosts: `TaskIdSource::leased_in_redis` | `redis` |
//! | `redis-tls` | the same over TLS, `rediss://` | `redis`, `rustls`, `rustls-native-certs`, `redis/tls-rustls` |
//! | `testing` | an agent in memory, a parser of packets, a manual clock: the `testing` module | none |
//! | `tokio` | runtimes, channels and semaphores, watched: `integrations::tokio` | `tokio` |
//! | `tower` | a layer that measures HTTP services: `integrations::tower` | `tower-layer`, `tower-service`, `http`, `http-body`, `bytes`, `pin-project-lite` |
//! | `tracing` | an event when metrics start to be dropped, and one when that has ended: `integrations::tracing` | `tracing` |
//!
//! # Forks
//!
//! A worker does not survive a `fork`. On Linux a forked child is given its own by its first use of a metric: a task id,
//! a channel, a worker, and books at 0. It reports nothing of its parent's, and what its parent watches stays with the
//! parent. [`after_fork`] does the same at once, and where it can't happen by itself. [`after_restore`] does it for a process
//! that was restored from a snapshot of its memory.
//!
//! # Signal handlers
//!
//! On Linux a handle that was registered before may be used in a signal handler: an increment, a level, a recorded value that
//! fits the table or an acquired unit takes no lock, allocates nothing and makes no system call, on any thread, the first time
//! included. The exceptions are a newborn forked child, which starts its worker at its first use, values that cross the channel
//! (sets, values with a time, distributions beyond their table), a target without 64-bit atomics, and a process with glibc that
//! has made 32 keys of POSIX threads before its first client, in which threads share one lane. Calls by name, and a macro that registers at its first use,
//! are not for signal handlers: they may allocate and wait for a lock, and what an interrupted call by name was changing on
//! the same thread is not whole.
//!
//! Counts are exact unless the handler interrupts an increment of the same counter on the same thread. In a build with
//! optimization for x86-64 an increment is one instruction, which no signal divides, and both are counted. In a build without
//! optimization, and on other processors, it is a load, an addition and a store, and one of the two may be lost: so it is on
//! `AArch64` and on 32-bit x86. The compiler makes one instruction of the three by its own choice (Rust 1.95, `opt-level` 1
//! to 3 and `z`), and no rule of the language makes it. For exact counts everywhere, give the handler a counter of its own.
//!
//! # Two versions in one program
//!
//! Two versions of this crate in one program, as a library may bring its own, are two clients with a task id each, and
//! `client()` of the one does not find what the other installed. Values that are counted through the other version's macros are
//! dropped and counted nowhere while nothing is installed there. Nothing that two versions could share is both safe in a program
//! with threads and known to a version that is older: setting a variable of the environment is not, and a symbol of one name in
//! both does not link. Set `TASKTAG_TASK_ID` for the process to have one id, and use one version: `cargo tree -d` shows
//! whether there are two.

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

// The floors, from what programs use down to what everything stands on. Nothing imports from a floor above its own.

// From settings and variables to a running client.
mod setup;

// What programs call.
mod api;

// The one thread that carries everything to the agent.
mod worker;

// What callers hand to the worker.
mod mailbox;

// The code of users that is called, and the thread that calls it.
mod callback;

// A name with its tags, and how it is found.
mod context;

// From a value to a packet at the agent.
mod wire;

// What was accepted, sent and dropped.
mod ledger;

// What a handle writes.
mod cell;

// Who this process is.
mod task_id;

// What everything speaks of.
mod vocabulary;

// What the platform gives.
mod process;

#[cfg(feature = "testing")]
pub mod testing;

pub mod integrations;

// Pages of the documentation, without code.
pub mod guide;

pub use crate::api::cardinality::{CardinalityReport, MetricCardinality};
pub use crate::api::client::{Client, Guard};
pub use crate::api::dimension::{
    BoundedBuilder, BoundedFamily, ByName, ClosedTag, ClosedTags, Family, FrequentBuilder, FrequentFamily,
    HttpMethod, Outcome, StatusClass,
};
pub use crate::api::handle::{
    Counter, Distribution, Gauge, Metric, MetricBuilder, Occupancy, Occupied, OwnedOccupied, OwnedTimer, Set,
    Timer,
};
pub use crate::api::installed::{client, with_local_client};
pub use crate::api::watch::{PoolStatus, QueueDepth, QueueStatus, QueueTicket, WatchBuilder, Watchable};
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
pub use crate::wire::encode::{Dialect, Weights};
pub use crate::wire::origin::TagCardinality;

#[doc(hidden)]
pub mod __macros {
    pub use crate::api::dimension::{check as check_closed_tag, snake, snake_len};
    pub use crate::api::macros::{Called, Site};
}

/// The README's code is tested as the crate's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
