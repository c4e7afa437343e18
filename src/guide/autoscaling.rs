//! Which signals of a queue an autoscaler reads, and when a queue has too many workers.
//!
//! | signal | what it says | what it is for |
//! |---|---|---|
//! | `queue.backlog_per_task` | waiting items divided by tasks | a target that is tracked |
//! | `queue.depth` | waiting items | the same, if the autoscaler divides by its own count; also the way back from zero |
//! | `queue.promise_used` | the age of the oldest item, as a part of its promise | steps, and alarms |
//! | `queue.running` | jobs that workers have | whether the last task may go |
//!
//! All of them belong to the queue and not to a task: have one task report them, with
//! [`WatchBuilder::by`](crate::WatchBuilder::by).
//!
//! # The target
//!
//! A tracked metric has to fall by half when the capacity doubles. The backlog per task does. The age of the oldest
//! item does not: it is 0 until all are busy, and then grows for as long as too few are, however many have been
//! started meanwhile. Use it for steps, for example two more tasks above one half of the promise, and ten more above
//! the whole of it.
//!
//! The target is the time that an item may wait, divided by the time that a job takes, times the jobs that a task runs
//! at once. With waits of 10 s and jobs of 0.1 s it is 100.
//! [`Promise::backlog_per_task`](crate::Promise::backlog_per_task) computes it. Jobs of a work queue report their
//! times as `queue.duration`. Look at the average again when the jobs change.
//!
//! ```
//! use std::time::Duration;
//! use tasktag::{Promise, SqlQueueRow};
//!
//! # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
//! # let client = guard.client();
//! # fn latest() -> SqlQueueRow { SqlQueueRow { depth: Some(600), ..SqlQueueRow::default() } }
//! let name = "within_5_minutes";
//! let promise = Promise::from_queue_name(name);
//! let tasks = client.clone();
//! let watch = client.queue(name).promise(promise);
//! let _watch = watch.watch(move || latest().status().tasks(tasks.live_tasks().map(u64::from)));
//!
//! // Half of the 5 minutes, jobs of 2 s, 10 at once in each task.
//! let half = promise.map(|promise| Promise::within(promise.duration() / 2));
//! assert_eq!(half.and_then(|half| half.backlog_per_task(Duration::from_secs(2), 10)), Some(750.0));
//! # Ok::<(), tasktag::ConfigError>(())
//! ```
//!
//! # What each autoscaler reads
//!
//! | autoscaler | read | how |
//! |---|---|---|
//! | target tracking of CloudWatch, for ECS and EC2 | `queue.backlog_per_task` | a customized metric with the average as its statistic |
//! | step scaling of CloudWatch | `queue.promise_used` | an alarm on the maximum |
//! | KEDA | `queue.depth` | a trigger of the type `AverageValue`, which is the default, with the target per pod as its value |
//! | Kubernetes' HPA, with an adapter | `queue.depth` | an external metric with a target of the type `AverageValue` |
//!
//! `AverageValue` is divided by the number of pods in the autoscaler itself. A backlog per task would be divided
//! twice: the more pods there are, the fewer it would ask for. With the type `Value`, use `queue.backlog_per_task`.
//!
//! KEDA asks every 30 s, and keeps the last pods for 300 s after the trigger was last active, unless `pollingInterval`
//! and `cooldownPeriod` say otherwise. Its scaler of Datadog reads the last 90 s (`age`). (Its documentation,
//! [`ScaledObject`](https://keda.sh/docs/2.15/reference/scaledobject-spec) and
//! [`datadog`](https://keda.sh/docs/2.14/scalers/datadog/).) The rule for tracked metrics is that of [Application Auto
//! Scaling](https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html).
//!
//! # A metric that is absent
//!
//! Target tracking never removes capacity while it has no data. An absent gauge is therefore safe, and an old value or
//! a 0 is not: a database that does not answer would look like a queue that is empty. The gauges of a watch are absent
//! if the last answers are missing, if the role [sees nothing](crate::QueueStatus::hidden), and if the number of tasks
//! is not known. KEDA puts `metricUnavailableValue` in its place if that is set. Leave it out, or a queue that nobody
//! can see has that depth.
//!
//! # To zero and back
//!
//! Who reports when nobody runs? A task that reports for all ends with the last one, and the metric with it: then
//! nothing ever asks for the first task again. A queue that may have no task needs a reporter elsewhere, for example
//! in the service that fills the queue. It can watch with a [sole reporter](crate::SoleReporter) like any other task.
//!
//! - Kubernetes' HPA scales to zero by external metrics from version 1.37 on, and before that with the feature gate
//!   `HPAScaleToZero`. ([Its
//!   announcement](https://kubernetes.io/blog/2026/09/02/kubernetes-v1-37-hpa-scale-to-zero-beta/).)
//! - KEDA scales to zero by default, and back when the metric is above the trigger's activation value, which is 0.
//! - Target tracking can't compute a share of nothing. `queue.backlog_per_task` without a task is the depth, which is
//!   above its target once there is enough to do. For the first item, add an alarm on `queue.depth` above 0 that sets
//!   one task.
//!
//! `queue.depth` counts what could start now, so a job for tomorrow keeps no task. A job that runs is in no depth:
//! don't stop the last task while `queue.running` is above 0, or give it the time that its job takes to end.
//!
//! # Too many workers
//!
//! A promise that is kept too well costs money. If `queue.promise_used.max` stays far below one half for a whole day,
//! there are more workers than the promise needs: lower the highest number of tasks, or raise the target. Don't judge
//! by an hour, as the workers are there for the busiest minutes of the day.
//! [`Promise`](crate::Promise#too-many-workers) has an example.
