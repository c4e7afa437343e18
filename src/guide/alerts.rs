//! What to alert on: which metric, which threshold, which query, and why not the obvious one.
//!
//! An alert that wakes somebody says that users are let down, or will be soon. The metric that comes to mind first
//! often says something else: how much there is to do, rather than whether it is done in time.
//!
//! The queries are for a client with the prefix `shop`. They take one minute as a step.
//!
//! * **Datadog**: metric monitors, whose query ends with the threshold.
//! * **CloudWatch**: Metrics Insights, which an alarm takes as it is, on metrics that the CloudWatch agent receives in
//!   its namespace `CWAgent`. The agent writes `_` for the dots of a name. The threshold is set at the alarm.
//! * **Graphite** and Grafana: functions of Graphite, on metrics with tags. Where a StatsD server stands between, names
//!   begin with `stats.gauges.` or `stats.counters.`, and counters end in `.count`.
//!
//! Two rules hold for all of them:
//!
//! * Take the **maximum** of a gauge over tasks and time. An average over twenty tasks hides the one whose pool is
//!   exhausted, and an average over a minute hides the second in which it was. Nearly all gauges of a watch have a
//!   peak, `.max`, for that.
//! * Let **no data** be a state of its own. A gauge whose value is not known is absent, and an alert that takes absence
//!   for 0 is calm while everything is down. In Datadog choose to be notified of missing data, in CloudWatch to treat
//!   it as breaching, for metrics that are always there: `pool.max`, `queue.depth`, `gate.load_known`.
//!
//! # Pools
//!
//! | alert on | threshold | why not the obvious |
//! |---|---|---|
//! | `pool.waiting.max` | above 0 for five minutes | `pool.in_use` at its maximum is a pool that is used well, as long as nobody waits |
//! | `pool.wait`, 95th percentile | above 50 ms for five minutes | a mean hides a wait of 30 s among thousands of none |
//! | `pool.timeouts` | above 0 | the rate of errors of a service mixes them with all others. They also come from a server that is down |
//! | `db.connections.budget_used` | above 1, after each change of the scale | the server's own `too many connections` comes in the busiest hour |
//!
//! Where a pool can't tell who waits, as with sqlx, take `pool.utilization.max` at 1 for five minutes. Don't alert on
//! `pool.idle` at 0: it is 0 in a calm hour too, when a pool closes what it does not need.
//!
//! ```text
//! Datadog     min(last_5m):max:shop.pool.waiting.max{pool:primary} by {task_id} > 0
//! CloudWatch  SELECT MAX("shop_pool_waiting_max") FROM "CWAgent" WHERE pool = 'primary'
//! Graphite    maxSeries(seriesByTag('name=shop.pool.waiting.max', 'pool=primary'))
//! ```
//!
//! # Holders
//!
//! | alert on | threshold | why not the obvious |
//! |---|---|---|
//! | `pool.oldest_hold_seconds` by `holder` | above the longest job that there is, at least a minute | `pool.in_use` grows with a leak, and with traffic. The oldest hold grows with a leak alone |
//! | `pool.timeouts` by `holder` | above 0 | without the holder nobody knows whom to tell. Who times out is rarely who holds too much: look at `pool.held.in_use` by `holder` |
//!
//! ```text
//! Datadog     max(last_5m):max:shop.pool.oldest_hold_seconds{pool:primary} by {holder} > 300
//! CloudWatch  SELECT MAX("shop_pool_oldest_hold_seconds") FROM "CWAgent" WHERE pool = 'primary' GROUP BY holder
//! Graphite    groupByTags(seriesByTag('name=shop.pool.oldest_hold_seconds', 'pool=primary'), 'max', 'holder')
//! ```
//!
//! # Workers, slots, permits
//!
//! | alert on | threshold | why not the obvious |
//! |---|---|---|
//! | `workers.oldest_seconds`, of an occupancy with [`oldest`](crate::MetricBuilder::oldest) | above the longest job that there is | `workers.utilization` is 1 if all workers are busy, and just so if all of them hang. One that hangs among twenty does not show in it at all |
//!
//! ```text
//! Datadog     max(last_5m):max:shop.workers.oldest_seconds{*} by {task_id} > 300
//! CloudWatch  SELECT MAX("shop_workers_oldest_seconds") FROM "CWAgent"
//! Graphite    maxSeries(seriesByTag('name=shop.workers.oldest_seconds'))
//! ```
//!
//! # Queues
//!
//! | alert on | threshold | why not the obvious |
//! |---|---|---|
//! | `queue.promise_used` | warn above 0.5, page above 1 | a depth says nothing of a wait: ten jobs of an hour are worse than ten thousand of a millisecond |
//! | `queue.oldest_age_seconds`, without a promise | what its users accept | `queue.wait` is that of jobs that started. If all workers are stuck nothing starts, and it has no data |
//! | `queue.longest_running_seconds` | above the longest job that there is | a stuck job shows nowhere else while the other workers keep up |
//! | `queue.waits_within_promise` over `queue.waits` | as an objective, not as an alert | the share of a minute with three jobs is 67 % as soon as one is late |
//!
//! A queue that belongs to the fleet is reported by one task, as a [`SoleReporter`]. Then there is one series, and a
//! gap while the reporter changes: don't alert on a gap of less than a minute.
//!
//! ```text
//! Datadog     min(last_5m):max:shop.queue.promise_used{*} by {queue} > 1
//! CloudWatch  SELECT MAX("shop_queue_promise_used") FROM "CWAgent" GROUP BY queue
//! Graphite    groupByTags(seriesByTag('name=shop.queue.promise_used'), 'max', 'queue')
//! ```
//!
//! # Endpoints and other promises
//!
//! | alert on | threshold | why not the obvious |
//! |---|---|---|
//! | `slo.burn_rate`, of the windows `1h` and `5m` both | 14.4 for a period of 30 days, 13.44 for 28, 3.36 for 7 | an error rate above 1 % pages for a blip at night, and stays silent on one that is 0.9 % for a month |
//! | `slo.burn_rate`, of `6h` and `30m` both | 6 for 30 days, 5.6 for 28, 1.4 for 7 | a slow leak of the budget is below every threshold of a short window |
//! | `slo.budget_left` | below 0.25: stop what is risky, as a ticket | it can't page: it is low for weeks after what is long repaired |
//! | `slo.slices` with `state:unknown` | above 0 for five minutes | nothing was seen, which an objective counts neither as good nor as bad |
//! | `http.request.wait`, 95th percentile | above 100 ms for five minutes | the processors' use is high in a service that is used well, and low in one that waits for its pool |
//!
//! `slo.good` and `slo.total` add up over tasks, so that the backend can compute the same over any window. A share of
//! few events says little: below about a hundred in the short window, one bad event pages.
//!
//! ```text
//! Datadog     max(last_5m):max:shop.slo.burn_rate{objective:checkout,window:1h} > 14.4
//!             and the same with window:5m, joined by a composite monitor
//! CloudWatch  SELECT MAX("shop_slo_burn_rate") FROM "CWAgent" WHERE objective = 'checkout' AND "window" = '1h'
//!             and the same with '5m', joined by a composite alarm
//! Graphite    minSeries(maxSeries(seriesByTag('name=shop.slo.burn_rate', 'objective=checkout', 'window=1h')),
//!                       maxSeries(seriesByTag('name=shop.slo.burn_rate', 'objective=checkout', 'window=5m')))
//! ```
//!
//! # Load of a database
//!
//! | alert on | threshold | why not the obvious |
//! |---|---|---|
//! | `gate.load_smoothed` | above 1 for five minutes | the use of processors ends at 100 %, and can't tell a server that is just full from one with ten times as much to do |
//! | `gate.load_part` with `waits_for:lock` | above 1 for a minute | a migration that holds a lock stops everything, on a server whose processors are idle |
//! | `gate.load_known` | below 1 for a minute | a failed health query looks neither high nor low, so no other alert sees it |
//! | `gate.decisions` with `decision:shed` and `state:unknown` | above 0 | work is put off, and nobody knows whether it has to be |
//! | `postgres.oldest_idle_in_transaction_seconds` | above 60 | a long statement is visible. A transaction that does nothing is not, and it keeps its locks and old rows |
//! | `postgres.connections_used` | above 0.8 | a number of connections says nothing without the limit, which changes with the server's size |
//!
//! Shedding by itself is no alert: it is what a gate is for. Alert if it lasts for longer than the promise of what is
//! shed, by `queue.promise_used` of its queue.
//!
//! ```text
//! Datadog     min(last_5m):max:shop.gate.load_smoothed{gate:orders} > 1
//! CloudWatch  SELECT MAX("shop_gate_load_smoothed") FROM "CWAgent" WHERE gate = 'orders'
//! Graphite    maxSeries(seriesByTag('name=shop.gate.load_smoothed', 'gate=orders'))
//! ```
//!
//! # Ids
//!
//! | alert on | threshold | why not the obvious |
//! |---|---|---|
//! | `ids.days_left_at_least` | below the time that longer ids take you, such as 90 days | `ids.used` is a number without a scale, and grows as it always did |
//! | `ids.expected_tries` | above 10, that is a fill of 90 % | errors come last: until then a draw only takes longer |
//! | `tasktag.task_id.fill` | above 0.9, if task ids are [leased](crate::TaskIdSource::leased) | tasks share an id when the pool is full, and overwrite each other's gauges without an error |
//!
//! ```text
//! Datadog     max(last_1h):min:shop.ids.days_left_at_least{id_space:vanity} < 90
//! CloudWatch  SELECT MIN("shop_ids_days_left_at_least") FROM "CWAgent" WHERE id_space = 'vanity'
//! Graphite    minSeries(seriesByTag('name=shop.ids.days_left_at_least', 'id_space=vanity'))
//! ```
//!
//! # The client itself
//!
//! Losses are in `datadog.dogstatsd.client.values_dropped`, or `tasktag.client.values_dropped` in the StatsD dialects,
//! by `reason`: above 0 for five minutes. If nothing arrives at all, only missing data tells. See [on a bad
//! day](super::on_a_bad_day).
//!
//! [`SoleReporter`]: crate::SoleReporter
