//! Pages of documentation, without code.
//!
//! # Which metric for which question
//!
//! | you have | you write | you see |
//! |---|---|---|
//! | a level that changes: a cache's fill, a buffer's size | [`Client::gauge`] | the last value, per task; with [`peak`](crate::MetricBuilder::peak) also the highest since the last flush |
//! | something that happens: jobs done, errors | [`Client::counter`] | a rate, added up over all tasks |
//! | durations or sizes, if one agent receives those of all tasks or the backend merges them | [`Client::distribution`] | quantiles over all tasks |
//! | durations that a StatsD server receives | [`Client::timing`] | quantiles per agent |
//! | a capacity that is acquired and released: workers, slots, connections | [`Client::occupancy`] | utilization over time, exact however short each use is; with [`oldest`](crate::MetricBuilder::oldest) also the age of the unit that is held longest |
//! | a connection pool | [`Client::pool`] | `pool.in_use`, `pool.idle`, `pool.waiting`, `pool.utilization`; [`PoolStatus`](crate::PoolStatus) lists which call is for which pool |
//! | a pool, permits or a quota that several jobs share | [`Client::holders`] | who holds how many and for how long, who waits, who gave up, who leaks |
//! | a channel inside the program | [`Client::work_queue`] | `queue.depth`, `queue.oldest_age_seconds`, `queue.wait`, `queue.running`, `queue.duration` by outcome |
//! | a queue of a job system in Redis | `Client::watch_redis_queue`, feature `redis` | `queue.depth`, `queue.oldest_age_seconds`, `queue.dead` |
//! | jobs in a SQL database | [`SqlQueue`](crate::SqlQueue) with [`Client::queue`] | `queue.depth`, `queue.oldest_age_seconds`, `queue.running`, `queue.scheduled`, `queue.retrying`, `queue.dead`, for eleven systems |
//! | any other queue | [`Client::queue`] | `queue.depth`, `queue.oldest_age_seconds`, with peaks |
//! | a time within which a queue has to start its items | [`Promise`](crate::Promise) | `queue.promise_used`, the share of waits in time |
//! | a promise: 99.9 % of all payments within 250 ms, or of a week | [`Client::objective`], [`Client::time_objective`] | `slo.good` and `slo.total`, `slo.slices` by state, burn rates, what is left of the budget |
//! | work that can wait while a database is at its limit | [`Client::gate`] | the load, decisions by class, what was shed |
//! | ids that are drawn at random | [`Client::watch_id_space`] | how full they are, the tries of a draw, the days left |
//! | the question how many workers or threads | [`capacity`](crate::capacity) | plain arithmetic, and a report |
//! | distinct users, hosts, keys | [`Client::set`] | how many different members there were |
//! | something for people to read: a deploy, a failover | [`Client::event`] | an event in Datadog |
//! | a dependency that is up or down | [`Client::service_check`] | a check in Datadog |
//! | an HTTP service | `integrations::tower` | requests in flight, duration and outcome by route, wait before the service |
//! | a tokio runtime, channel or semaphore | `integrations::tokio` | how busy the workers are, delay before a task is polled |
//! | code that uses the macros of `metrics` | `integrations::metrics` | the same metrics, through this client |
//! | code that uses cadence | `integrations::cadence` | the same metrics, aggregated, with a task id |
//!
//! Tags whose values come from a fixed list belong in a [family](crate::Family): its handles are found by arithmetic.
//! Tags whose values come from outside belong in a [bounded](crate::MetricBuilder::bounded) tag: values beyond its
//! limit are folded into `other`.
//!
//! [`Client::cardinality`](crate::Client::cardinality) reports how many time series a program makes, and which tag
//! makes them.
//!
//! # Pages
//!
//! * [`alerts`]: what to alert on, with thresholds and queries, and why not on the obvious.
//! * [`autoscaling`]: which signals of a queue CloudWatch, KEDA and Kubernetes read, and when a queue has too many
//!   workers.
//! * [`command`]: the command `tasktag`, which shows what arrives, and why nothing does.
//! * [`environment`]: the variables that [`from_env`](crate::ClientBuilder::from_env) reads, and their precedence.
//! * [`limits`]: defaults, bounds, and what each metric costs in memory.
//! * [`objectives`]: budgets, burn rates and alerts of promises, and the queries for a fleet.
//! * [`on_a_bad_day`]: what the client does in case of each fault, what its statistics show, and what you can do.
//! * [`proxies`]: what the timestamps of proxies mean, from which an HTTP service's waits are measured.
//! * [`task_ids`]: where a task id comes from, and when two tasks can have the same one.
//!
//! [`Client::gauge`]: crate::Client::gauge
//! [`Client::counter`]: crate::Client::counter
//! [`Client::distribution`]: crate::Client::distribution
//! [`Client::timing`]: crate::Client::timing
//! [`Client::occupancy`]: crate::Client::occupancy
//! [`Client::objective`]: crate::Client::objective
//! [`Client::time_objective`]: crate::Client::time_objective
//! [`Client::pool`]: crate::Client::pool
//! [`Client::holders`]: crate::Client::holders
//! [`Client::queue`]: crate::Client::queue
//! [`Client::gate`]: crate::Client::gate
//! [`Client::watch_id_space`]: crate::Client::watch_id_space
//! [`Client::set`]: crate::Client::set
//! [`Client::work_queue`]: crate::Client::work_queue
//! [`Client::event`]: crate::Client::event
//! [`Client::service_check`]: crate::Client::service_check

pub mod alerts;
pub mod autoscaling;
pub mod command;
pub mod environment;
pub mod limits;
pub mod objectives;
pub mod on_a_bad_day;
pub mod proxies;
pub mod task_ids;
