//! The command `tasktag`: see what arrives, and why nothing does.
//!
//! ```text
//! cargo install tasktag --features cli
//! ```
//!
//! It runs on Linux and other Unix systems, and in a container or over ssh as well as anywhere.
//! `tasktag help <subcommand>` lists the options of each.
//!
//! | you write | you get |
//! |---|---|
//! | `tasktag listen udp://127.0.0.1:8125` | what programs send, as a live table |
//! | `tasktag listen --forward udp://agent:8125` | the same, between a program and its agent |
//! | `tasktag listen --record FILE`, `tasktag replay FILE --speed 10` | the same packets again |
//! | `tasktag doctor` | why metrics do not arrive |
//! | `tasktag watch FILE.toml` | the gauges of pools and queues, without changing any program |
//! | `tasktag send gauge backup.bytes 123 --tag host:db1` | one metric from a shell script, and so for events and checks |
//! | `tasktag time backup.took -- pg_dump shop` | how long a command takes; it ends as the command does |
//! | `tasktag fleet 100` | the odds that tasks share an id, and the time series that they make |
//! | `tasktag capacity --rate 3 --job 3 --workers 12 --promise 60` | whether the workers of a queue keep its promise, and how many [would](crate::capacity) |
//!
//! # What arrives
//!
//! `tasktag listen` receives UDP, TCP, Unix datagrams, and Unix streams in the Datadog Agent's framing, as many at once
//! as it is given. It reads every [dialect](crate::Dialect) of this crate and what other clients send:
//!
//! ```text
//!  1 metrics 10  2 events and checks 1  3 not understood 1
//!  142 lines in 29 packets  by name
//! metric                          kind         value        rate/s     min        p99        max        history
//! shop.cache.fill #cache:sessions gauge        0.75         6.7        0.5                   0.9        ▁▁▁▁████▁▁▁▁▁███
//! shop.db.query                   timing       560          133.3      1.1        30.753     43.3       ▇▇▇█▇▇▇▇█▁▇▆▁█▁▁
//! shop.jobs.done #queue:mail      counter      979          231.6      30                    40         ▅▄▅▅▄▅▅▄▄▁▅█▁▄▁▁
//! shop.pool.in_use #pool:primary  gauge        2.5          6.7        0                     7          ▃▅▆█▃▅▆▁▃▃▅██▃▃▃
//! shop.users                      set          14           6.7                                         ▅▅▅▅▅▅▅▅▅▁▅█▁▅▁▁
//!
//!  q quit  Tab page  s sort  r reverse  g group  f fold tasks  / filter  p pause  arrows scroll
//! ```
//!
//! The value is a gauge's level, a counter's sum, the members of a set, or how many values there were. `f` folds the
//! task ids: series that differ only there become one row, with the sum of counters and the mean of levels. `g` shows
//! one row for each value of a tag instead and leaves out all other tags, first of the tag whose key comes first in the
//! alphabet; each further `g` takes the next key that has come, and after the last one all tags are back. `s` sorts by
//! the name, the rate, the maximum, the number of series or that of tasks, and `r` reverses the order. The rate is that
//! of the last interval, which is 2 s unless `--interval` says another; all else is since the start. Wider screens have
//! more columns.
//!
//! If the output is no terminal, each metric has a line an interval (10 s), and with `--json` an object of JSON. The
//! last lines are written when a signal ends it:
//!
//! ```text
//! not understood, there is no `:` between a name and a value: shop.jobs.done|c
//! shop.cache.fill gauge level=0.5 min=0.25 max=0.75 series=2
//! shop.db.query timing count=3 min=10 max=31 p50=11.887 p95=30.753 p99=30.753
//! shop.jobs.done counter rate=2.4 sum=24 total=24 #queue:mail
//! # 5 packets, 154 bytes, 5 lines: 4 series, 0 events and checks, 1 not understood
//! ```
//!
//! Quantiles are right to 1 %. Sets count up to 1000 members exactly, and no more. 10,000 series are kept, or as many
//! as `--max-series` says. The totals count the further ones, and the datagrams over UDP for which the kernel had no
//! room. Characters that a terminal would obey are shown as escapes.
//!
//! # Why nothing arrives
//!
//! `tasktag doctor` takes the environment as the program has it, or with `--env-of PID` as another process has it. The
//! agent's socket and the directory of leases are then looked up in the root of that process, which may be in a
//! container; what `--redis` names is reached from here. If the agent has a host or a name without a file, and the
//! process is in another network, `doctor` says so, with the command that looks from there. Each line is OK, a warning
//! or a fault, with what to do. The exit status is 0, 1 or 2, by the worst of them, and `--json` writes the same for
//! programs. It sends the gauge `tasktag.doctor`, unless `--no-send` is given.
//!
//! ```text
//! OK      variables: read: DD_AGENT_HOST, DD_ENV
//! WARNING variables: STATSD_HOST is set and has no effect
//!         -> another variable takes precedence, or this dialect does not have it: unset one of them
//! OK      variables: STATSD_PORT is not read: Kubernetes made it for a Service, and nobody chose this agent
//! WARNING variables: DD_DOGSTATSD_PORTT is none that tasktag knows
//!         -> did you mean DD_DOGSTATSD_PORT?
//! OK      address: udp://name.invalid:8125, from DD_AGENT_HOST
//! FAULT   name: name.invalid:8125 has no address: failed to lookup address information: Name or service not known (after 7 ms)
//!         -> check the name, and the name servers of this host or pod in /etc/resolv.conf
//! OK      origin: no container is found for this process: an Agent adds only what it knows by the socket. A line is tasktag.doctor:1|g|#env:eu,task_id:0250
//! OK      task id: task_id:0250 for this run; another run has another, unless the program chooses a source
//! OK      task id: the platform gives no number; by the task's name it is task_id:0510 with TaskIdSource::hashed()
//! ```
//!
//! | what is wrong | what it says |
//! |---|---|
//! | nobody listens | `nobody listens at 127.0.0.1:8125: the datagram was refused` |
//! | the socket's file is missing | `there is no file /run/datadog/dsd.socket; of its directories only /run exists` |
//! | it may not be written | `/run/dsd.socket has mode 0500, user 0 and group 0, and user 1000 of group 1000 may not write` |
//! | it is a directory, which a runtime made for a mount | `/run/dsd.socket is a directory, and no socket` |
//! | it is of another type | `/run/dsd.socket is a socket of another type: it is a stream` |
//! | the agent has ended | `/run/dsd.socket is a socket that nobody reads: its agent has ended` |
//!
//! `--lease-directory` looks at a directory of [leases](crate::TaskIdSource::leased): whether it can be written, and
//! which process holds which slot. `--redis` asks a Redis of leases whether it answers, over TLS with `rediss://`, and
//! how far its clock is from this host's. With `--redis-key` it shows how many ids are leased, and who holds the ten
//! that expire first:
//!
//! ```text
//! OK      redis: it answers
//! OK      redis: its clock is +0.0 s from this host's
//! OK      redis: 2 ids are leased under shop:tasks
//! OK      redis: id 17 is held by 9f3c2a11…; its lease ends in 22.4 s unless it is renewed
//! OK      redis: id 512 is held by 01b7e0d4…; its lease ends in 28.9 s unless it is renewed
//! ```
//!
//! The server knows a holder only by its process's random token; its first 8 characters are shown. `--fleet N` computes
//! the odds for `N` tasks.
//!
//! # Pools and queues, from outside
//!
//! `tasktag watch FILE.toml` reports what this crate reports of servers, under the same names, for services in any
//! language and for fleets that are scaled to zero: the pools of a [`PgBouncer`](crate::PgBouncerStatus), the
//! connections of a [`PostgreSQL` server](crate::PostgresStatus), and queues in [Redis](crate::integrations::redis) and
//! [`PostgreSQL`](crate::SqlQueue). These pages say what each number is, and what the role of the command needs.
//!
//! ```toml
//! [[pgbouncer]]
//! name = "orders"
//! url = "postgres://stats@pooler:6432/pgbouncer"
//!
//! [[postgres]]
//! name = "orders"
//! url_variable = "ORDERS_DATABASE_URL"
//!
//! [[queue]]
//! system = "sidekiq"
//! queue = "within_5_minutes"
//! url = "redis://cache:6379/1"
//!
//! [[queue]]
//! system = "oban"
//! queue = "mail"
//! promise = "1m"
//! url_variable = "ORDERS_DATABASE_URL"
//! every = "30s"
//! ```
//!
//! | key | what it says | default |
//! |---|---|---|
//! | `address` | where the metrics go, as [`ClientBuilder::agent`](crate::ClientBuilder::agent) takes it | the [environment](super::environment)'s |
//! | `prefix`, `tags` | what all names begin with; tags of all metrics, as `["env:prod"]` | none |
//! | `flush_interval` | the time between flushes, from 100 ms to 1 h | `"2s"` |
//! | `every`, also in a table | the time between two questions to a database, from 1 s to 1 h | `"10s"` |
//! | `[lease]` | which of several processes reports: `directory`, or `url`, `key` and `lease_time` of a Redis | this one, always |
//! | `[[pgbouncer]]`, `[[postgres]]` | a server, by the tag `pgbouncer:<name>` or `database:<name>`: `name`, `url` | – |
//! | `[[queue]]` | a queue, by the tag `queue:<name>`: `system`, `queue`, `url` | – |
//! | `name` of a queue | another name than the queue's own | that one |
//! | `promise` of a queue | its [promise](crate::Promise) | that of its `name` or `queue`, such as `within_5_minutes`, else none |
//! | `url_variable`, for `url` | the variable that has the URL, so that no password is in the file | – |
//! | `prefix`, `tags` in a table | another prefix than `queue`, `postgres` or `pgbouncer`, of up to 150 bytes with that of all names; further tags | none |
//! | `key_prefix` | in Redis: what the system's keys begin with | the system's |
//! | `schema`, `scans` | in `PostgreSQL`: where the tables are; whether what needs a [scan](crate::SqlQueue::with_scans) is counted | the system's; `false` |
//!
//! A time is a number of seconds, or a text with `ms`, `s`, `m`, `h` or `d`. The file `examples/watch.toml` has every
//! key.
//!
//! | where | systems |
//! |---|---|
//! | Redis | `apalis-redis`, `arq`, `bullmq`, `celery`, `dramatiq`, `rq`, `sidekiq`; `redis-stream` with `group`; `redis-list`, with `taken_from_left`, `time_in_json`, `time_in_hash` |
//! | `PostgreSQL` | `apalis-postgres`, `good_job`, `oban`, `pg-boss`, `procrastinate`, `que`, `river`, `solid_queue`; `delayed_job`, whose `queue` may be left out; `graphile-worker`, which has none |
//!
//! Counts in `PostgreSQL` end at a limit, which stands for itself and more: 10,000 jobs that wait or run,
//! [1,000](crate::SqlQueue::DEAD_LIMIT) that are dead, and [1,000](crate::SqlQueue::LATER_LIMIT) that are due later.
//!
//! `--check` prints what would be watched, and exits. A mistake is reported with its file, line, key and value, the
//! first one of each table, and the status is 2:
//!
//! ```text
//! error: watch.toml:12: promise = "soon": it must be a time from 1ms to 365d: a number of seconds, or a text such as "500ms", "10s", "5m", "1h" or "1d"
//! error: watch.toml:15: sytem: there is no such key in [[queue]], did you mean `system`? There are: …
//! ```
//!
//! `--once` asks everything once, prints the lines that it sends, and exits: with 0, or with 1 if something did not
//! answer or was not sent, the lease could not be asked for, or a signal came first. Redis has 5 s for its answers
//! then. Without these it reports until `SIGTERM`, `SIGINT` or `SIGHUP`, then sends what it knows, and exits with 0.
//!
//! A source that does not answer is absent, and the others go on. On standard error a line says why, and another one
//! when it answers again. Redis is asked as the [library does it](crate::integrations::redis), four times a second, and
//! each queue in Redis has a thread and a connection of its own. Each table that asks a database has a connection of
//! its own too, with the name `tasktag-watch`, which is opened again after an error. A new connection and the answer
//! together may take three quarters of `every`, at most 10 s; then the statement is cancelled, so that statements do
//! not pile up. `PostgreSQL` is asked without TLS. No other SQL database is asked.
//!
//! What is watched has no task id. So there must be one process that reports, or a `[lease]` that all of them share, as
//! [`SoleReporter`](crate::SoleReporter) says. The next one takes over within a second or so if the lease is in a
//! directory. If it is in Redis, a process that was killed and started again waits for its own lease first: for
//! `lease_time` and a sixth of it, 35 s unless the file says another. A Redis that is away at the start is asked for
//! the lease every second. Lines on standard error say when this process begins to report and when it stops, and what
//! the agent loses, as [`on_loss`](crate::ClientBuilder::on_loss) does it. Lines that nobody reads are dropped and
//! counted.
//!
//! # From a shell script
//!
//! `tasktag send` and `tasktag time` read the same [variables](super::environment) as a program, and add the same task
//! id. Another run has another random id: `--task-id-from hashed` keeps it the same, and `--without-task-id` leaves it
//! out, which suits a script of which there is one. `send` ends with 0 if the metric was sent, with 1 if it is known to
//! be lost, and with 2 after a mistake. `time` adds the tag `outcome`, passes signals on, and ends with the command's
//! status, or with 128 and the signal's number, whatever becomes of the metric.
//!
//! # Before there is a fleet
//!
//! ```text
//! tasks, buckets                                 100, 1000
//! odds that two tasks share a random id          99.4 %
//! tasks that share theirs, on average            9.4
//! buckets for odds of 1 %                        492555
//! shared ids with an ordinal or a lease          0
//! ids in use at a time, on average               95.2
//! time series in a month of 30 deploys           95502, 4775.1
//! the same, by the names of pods                 310000, 15500
//! ```
//!
//! This is `tasktag fleet 100 --price 0.05`: 100 time series a task, unless `--series` says another number, and a price
//! of a time series and month.
