//! Promises: their budgets, burn rates, alerts, and the queries for a whole fleet.
//!
//! An objective is a share: 99.9 % of all payments within 250 ms, or 99.9 % of a week in which the queue was fast
//! enough. What may be bad is the budget. [`Objective`] counts events, [`TimeObjective`] counts slices of time.
//!
//! | | by event | by time |
//! |---|---|---|
//! | counts | good events ÷ all events | good slices ÷ known slices |
//! | says how many callers were hurt | yes | no: a bad slice at night weighs as much as one at noon |
//! | sees that nobody came at all | no | as `state:unknown`, or as bad, if the probe says so |
//! | adds up over tasks | yes | if one task reports what belongs to all: [`by`](crate::ObjectiveBuilder::by) |
//!
//! # Budgets
//!
//! | objective | a week | 28 days | 30 days |
//! |---|---|---|---|
//! | 99 % | 100.8 min | 403.2 min | 432 min |
//! | 99.9 % | 10.08 min | 40.32 min | 43.2 min |
//! | 99.99 % | 1.01 min | 4.03 min | 4.32 min |
//!
//! A week has 10,080 minutes. With 10,077 good ones, that is 99.970 %: the promise of 99.9 % is kept, and 70 % of the
//! budget are left. Such a share is always rounded down. Minutes of which nothing is known are neither good nor bad:
//! they are missing in the denominator, and reported as `state:unknown`. A share without the number of unknown slices
//! hides an outage of the measurement.
//!
//! # Burn rates
//!
//! A burn rate is the share of what was bad, divided by the share that may be. At a rate of 1 the budget ends with the
//! period. An alert fires if the rate of a long and of a short window is above its threshold: the long one shows that
//! it matters, and the short one that it still goes on. The share of the budget that is gone by then determines the
//! threshold: share × period ÷ long window. The windows and shares are those of table 5-8 in Google's *Site Reliability
//! Workbook*:
//!
//! | alert | long | short | budget used | 30 days | 28 days | 7 days |
//! |---|---|---|---|---|---|---|
//! | page | 1 h | 5 min | 2 % | 14.4 | 13.44 | 3.36 |
//! | page | 6 h | 30 min | 5 % | 6 | 5.6 | 1.4 |
//! | ticket | 3 days | 6 h | 10 % | 1 | 0.933 | 0.233 |
//!
//! `slo.alert` applies them, with two exceptions, because the constants mislead:
//!
//! - Below 1 an objective is kept. The ticket's rate for less than 30 days is therefore replaced with 1.
//! - With slices of a minute and 99.9 %, a single bad one in an hour is a rate of 16.7, and with ten events an hour, a
//!   single failure is a rate of 100. An alert therefore also needs [3 bad ones](crate::ObjectiveBuilder::min_bad) in
//!   its long window. Slices of 10 s, the default, need six for the first page anyway.
//!
//! [`BurnAlert`](crate::BurnAlert) computes the rates. Where there are only a few events a day, no burn rate means
//! much: count the failures, or measure by time with a request of your own.
//!
//! # What a restart forgets
//!
//! The counters lose nothing but what a crash had not sent. The gauges `slo.burn_rate`, `slo.budget_left` and
//! `slo.alert` are computed in the process, from what it has seen since its start. Deploys several times a day leave
//! them little of a window of 3 days. There are two ways to keep the past:
//!
//! - a [history file](crate::ObjectiveBuilder::history_file), on a disk that outlives the process;
//! - the backend, which has the counters of all tasks. For an objective by event it is the better way, since each
//!   task's gauges know only its own events.
//!
//! # Queries
//!
//! The prefix of the client stands before each name: `shop.slo.good`.
//!
//! ## Datadog
//!
//! A metric-based SLO takes two queries, and its burn-rate alerts come with it:
//!
//! ```text
//! good:   sum:shop.slo.good{objective:checkout}.as_count()
//! total:  sum:shop.slo.total{objective:checkout}.as_count()
//! ```
//!
//! By time, good slices are `sum:shop.slo.slices{objective:mail,state:good}.as_count()`, and all are the same with
//! `state IN (good,bad)`. A monitor of the budget of a week, in percent:
//!
//! ```text
//! sum(last_1w): 100 * (1 - (sum:shop.slo.slices{objective:mail,state:bad}.as_count() / 60.48)) < 0
//! ```
//!
//! 60.48 is the budget of 60,480 slices of 10 s at 99.9 %. A second monitor on `state:unknown`, or on missing data,
//! tells when nothing is measured: missing data must not count as good there either.
//!
//! ## CloudWatch
//!
//! With the CloudWatch agent, each metric is in the agent's namespace, with the tags as dimensions. `SUM(SEARCH(…))`
//! adds up the tasks:
//!
//! ```text
//! good   SUM(SEARCH('{CWAgent,metric_type,objective,task_id} MetricName="shop_slo_good" objective="checkout"', 'Sum', 300))
//! total  SUM(SEARCH('{CWAgent,metric_type,objective,task_id} MetricName="shop_slo_total" objective="checkout"', 'Sum', 300))
//! burn   IF(total > 0, (1 - good / total) / 0.001, 0)
//! ```
//!
//! An alarm can't use `SEARCH`, and has to name the two metrics. For that, register the objective [without the task
//! id](crate::ObjectiveBuilder::without_task_id) and let all tasks send to one agent, or let one task report. Two
//! alarms, of an hour and of 5 minutes, and a composite alarm `ALARM("burn-1h") AND ALARM("burn-5m")` make a page.
//!
//! An alarm counts periods: "3 of 10,080 minutes" can't be one, since it evaluates at most a week of periods of an hour
//! or longer, and a day of shorter ones. Alarm on the sum of `slo.slices` with `state:bad` over an hour, by the
//! arithmetic of the table above. At 99.9 %, bad slices of 10 s in an hour:
//!
//! | period | the rate | bad slices an hour | threshold |
//! |---|---|---|---|
//! | 30 days | 14.4 | 360 × 0.001 × 14.4 = 5.18 | `>= 6`: 60 s |
//! | 28 days | 13.44 | 4.84 | `>= 5`: 50 s |
//! | 7 days | 3.36 | 1.21 | `>= 3`: 30 s, by the floor |
//!
//! With slices of a minute, 14.4 are 0.86 bad minutes an hour and 0.07 in 5 minutes, so that any bad minute would page,
//! and 6 are 2.16 in six hours, so that the third does. Treat missing data as missing, and alarm on it separately.
//!
//! ## Graphite
//!
//! ```text
//! divideSeries(sumSeries(shop.slo.good.*), sumSeries(shop.slo.total.*))
//! ```
//!
//! with `movingWindow(…, "1h", "sum")` around each sum for a window's share; and `sumSeriesWithWildcards` or
//! `seriesByTag("name=shop.slo.good", "objective=checkout")` where tags are stored as tags.
//!
//! # Pitfalls
//!
//! - An average of the tasks' burn rates weighs a task with ten events like one with a million. Add up the counters
//!   instead.
//! - Cancelled requests are no events, unless they had already taken too long: see
//!   [`ObjectiveTimer`](crate::ObjectiveTimer).
//! - An objective by time over events (`slice_goal`) has no state of the fleet: each task judges its own slices.
//!
//! [`Objective`]: crate::Objective
//! [`TimeObjective`]: crate::TimeObjective
