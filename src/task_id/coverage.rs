//! Which metrics carry the task id.

use crate::vocabulary::kind::Kind;

/// Which kinds of metrics carry the task id. [`ClientBuilder::task_id_on`](crate::ClientBuilder::task_id_on) takes it.
///
/// The task id multiplies the time series by the number of tasks. It is necessary if values of two tasks would
/// overwrite each other, and useless if they add up:
///
/// | tasks send to | distributions | counters, sets, histograms, timings | gauges, occupancies |
/// |---|---|---|---|
/// | a Datadog Agent on each host, which adds the host | not needed | not needed | needed |
/// | a Datadog Agent beside each task that adds no host, as on Fargate | not needed | needed | needed |
/// | one server for all tasks, for example etsy's StatsD, Telegraf or `statsd_exporter` | not needed | not needed | needed |
/// | several such servers that write to one database and add no tag of their own | needed | needed | needed |
///
/// [`Levels`](Self::Levels) leaves the id out of the first two columns. In a cell marked "needed", values of two tasks
/// with the same tags are two points of one time series at one time, and only one of them is kept. For a counter or a
/// set, each Agent sends one value per 10 s, and up to five for a histogram; so does every other Agent. A server that
/// receives the lines of all tasks adds up their counters first, with or without the id. Datadog itself merges
/// distributions from different Agents.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use tasktag::{Client, TaskIdOn};
/// use tasktag::testing::Capture;
///
/// let capture = Capture::new();
/// let task_id = tasktag::TaskIdPool::DEFAULT.id(42).unwrap();
/// let builder = Client::builder().capture(&capture).task_id(task_id).telemetry(false);
/// let guard = builder.task_id_on(TaskIdOn::Levels).build()?;
/// guard.client().counter("jobs.done").increment(1);
/// guard.client().gauge("jobs.waiting").set(7.0);
/// guard.shutdown(std::time::Duration::from_secs(1))?;
/// assert_eq!(capture.take_lines(), ["jobs.done:1|c", "jobs.waiting:7|g|#task_id:0042"]);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskIdOn {
    /// All kinds. Every metric can be summed over tasks and seen per task.
    #[default]
    AllKinds,
    /// Only kinds whose values overwrite each other on every server: gauges with their peaks, occupancies, watched
    /// pools and queues. If a distribution is sent as [`Summaries`](crate::Weights::Summaries), its gauges carry the id
    /// and its `.count` does not.
    Levels,
}

impl TaskIdOn {
    pub(crate) fn includes(self, kind: Kind) -> bool {
        match self {
            Self::AllKinds => true,
            Self::Levels => match kind {
                Kind::Gauge | Kind::Occupancy => true,
                Kind::Counter | Kind::Distribution | Kind::Histogram | Kind::Timing | Kind::Set => false,
            },
        }
    }
}
