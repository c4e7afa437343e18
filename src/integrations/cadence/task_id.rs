//! The task id as a default tag of a cadence client.

use crate::task_id::{TASK_ID_KEY, TaskId};
use cadence::StatsdClientBuilder;

/// Adds the task id to a cadence client that keeps its own sinks.
///
/// ```
/// use cadence::prelude::*;
/// use cadence::{SpyMetricSink, StatsdClient};
/// use tasktag::TaskId;
/// use tasktag::integrations::cadence::TaskIdExt;
///
/// let (lines, sink) = SpyMetricSink::new();
/// let statsd = StatsdClient::builder("shop", sink).with_task_id().build();
/// statsd.count("jobs.done", 1)?;
/// let line = lines.recv()?;
/// assert_eq!(String::from_utf8(line)?, format!("shop.jobs.done:1|c|#{}", TaskId::current().tag()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait TaskIdExt: Sized {
    /// Adds the tag `task_id:0042`, with the [process's id](TaskId::current), to everything that the client emits.
    ///
    /// Call it once: cadence adds a repeated tag again. A [`CadenceSink`](super::CadenceSink) does not need it, and it
    /// does no harm there. A forked child keeps its parent's id: give it a client of its own.
    #[must_use]
    fn with_task_id(self) -> Self;
}

impl TaskIdExt for StatsdClientBuilder {
    fn with_task_id(self) -> Self {
        self.with_tag(TASK_ID_KEY, TaskId::current().as_str())
    }
}
