//! Which metrics carry the task id.

use crate::vocabulary::kind::Kind;

/// Which kinds of metrics carry the task id. [`ClientBuilder::task_id_on`](crate::ClientBuilder::task_id_on) takes it.
///
/// The task id multiplies time series by the number of tasks. It has to where values of two tasks would overwrite each
/// other, and does no good where they add up:
///
/// | what tasks send to | distributions | counters, sets, histograms, timings | gauges, occupancies |
/// |---|---|---|---|
/// | a Datadog Agent on each host, which adds the host | do without | do without | need the id |
/// | a Datadog Agent beside each task that adds no host, as on Fargate | do without | need the id | need the id |
/// | one server for all tasks, as etsy's StatsD, Telegraf or `statsd_exporter` | do without | do without | need the id |
/// | several such servers that write to one database and add no tag of their own | need the id | need the id | need the id |
///
/// What does without may be sent with [`Levels`](Self::Levels). In the last column and in cells that need the id, values of
/// two tasks with the same tags are two points of one time series at one time, of which one is kept: an Agent sends one
/// value of a counter or a set for 10 s, and up to five of a histogram, and so does each of the others. A server that gets
/// the lines of all tasks adds their counters up before, with or without the id. Distributions are merged by Datadog itself,
/// whichever Agents they come from.
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
    /// All: the sum over tasks and each task by itself can be seen of every metric.
    #[default]
    AllKinds,
    /// Only what overwrites each other wherever it is sent: gauges with their peaks, occupancies, watched pools and
    /// queues. Of a distribution that is sent as [`Summaries`](crate::Weights::Summaries) the gauges carry it, and `.count`
    /// does not.
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
