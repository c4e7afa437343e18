//! The task id on cadence's own way.

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
    /// To be called once: cadence keeps tags that it has already. Over a [`CadenceSink`](super::CadenceSink) it is not
    /// needed, and does no harm. A forked child goes on with its parent's: it needs a client of its own.
    #[must_use]
    fn with_task_id(self) -> Self;
}

impl TaskIdExt for StatsdClientBuilder {
    fn with_task_id(self) -> Self {
        self.with_tag(TASK_ID_KEY, TaskId::current().as_str())
    }
}
