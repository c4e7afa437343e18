//! Settings of the task id: where it comes from, under which key it is sent, and with what.

use super::ClientBuilder;
use crate::task_id::{TaskId, TaskIdOn, TaskIdPool, TaskIdSource};

impl ClientBuilder {
    /// Sets a task id for this client, in place of the process's. Defaults to [`TaskId::current`].
    pub fn task_id(mut self, task_id: TaskId) -> Self {
        self.task_id = Some(task_id);
        self
    }

    /// Sets the key of the tag that carries the task id. A key has 1 to 99 characters of `a-z 0-9 _ - . /`, and begins
    /// with a letter. Any other key is an error of [`build`](Self::build). Defaults to `task_id`.
    ///
    /// The key is reserved for the client. If a tag of yours has this key, in upper or lower case, the tag is sent
    /// under the key with `_` appended. If its value is the client's own task id, it is left out instead, and counted
    /// in [`Stats::refused_tags`](crate::Stats::refused_tags). The `task_id` of a workflow engine is therefore sent as
    /// `task_id_`, or unchanged if the client has another key:
    ///
    /// ```
    /// let guard = tasktag::Client::builder().task_id_key("bucket").build()?;
    /// // `stage.rows:10|g|#task_id:resize,bucket:0042`
    /// guard.client().gauge("stage.rows").tag("task_id", "resize").set(10.0);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn task_id_key(mut self, key: impl Into<String>) -> Self {
        self.task_id_key = Some(key.into());
        self
    }

    /// Sets the pool that the process's task id is drawn from, unless it was drawn before. Defaults to
    /// [`TaskIdPool::DEFAULT`], 1000 buckets.
    ///
    /// ```
    /// use tasktag::{Client, TaskIdPool};
    ///
    /// // Fewer series for five copies of a service. With a probability of 10 %, two of them share a bucket, and
    /// // overwrite each other's gauges.
    /// let guard = Client::builder().task_id_pool(TaskIdPool::new(100)?).build()?;
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn task_id_pool(mut self, pool: TaskIdPool) -> Self {
        self.task_id_pool = Some(pool);
        self
    }

    /// Sets the source of the task id, unless [`task_id`](Self::task_id) or `TASKTAG_TASK_ID` fixes the id. Defaults to
    /// [`TaskIdSource::random`].
    ///
    /// An [installed](Self::install) client uses the source to decide the task id of the process. [`TaskId::current`]
    /// then returns the same id, and a lease is held until the process exits. A client from [`build`](Self::build)
    /// obtains an id of its own. It releases a lease once its guard was dropped and its worker has stopped. A source
    /// that reads the platform's variables reads those of the process, or those passed to
    /// [`from_vars`](Self::from_vars).
    ///
    /// ```
    /// use tasktag::{Client, TaskIdSource, TaskIdSourceKind};
    ///
    /// let guard = Client::builder()
    ///     .task_id_from(TaskIdSource::detect())
    ///     .build()?;
    /// if guard.client().task_id().source() == TaskIdSourceKind::Shared {
    ///     eprintln!("more tasks than buckets: gauges of two may overwrite each other");
    /// }
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn task_id_from(mut self, source: TaskIdSource) -> Self {
        self.task_id_source = Some(source);
        self
    }

    /// Sets the kinds of metrics that carry the task id. Defaults to [`TaskIdOn::AllKinds`]. Metrics
    /// [`without_task_id`](crate::MetricBuilder::without_task_id) never carry it. Events, service checks and
    /// [telemetry](Self::telemetry) always do.
    ///
    /// ```
    /// use tasktag::{Client, TaskIdOn};
    ///
    /// // Counts and timings of all tasks are one series each.
    /// let guard = Client::builder().task_id_on(TaskIdOn::Levels).build()?;
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn task_id_on(mut self, kinds: TaskIdOn) -> Self {
        self.task_id_on = kinds;
        self
    }
}
