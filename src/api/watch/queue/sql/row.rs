//! What a queue's statement answers.

use super::super::QueueStatus;
use std::time::Duration;

/// The row of [`SqlQueue::query`](crate::SqlQueue::query). All columns but `oldest_age`, which is a `numeric` or a
/// `float8`, are integers.
///
/// ```
/// use std::time::Duration;
/// use tasktag::{QueueStatus, SqlQueueRow};
///
/// let row = SqlQueueRow { depth: Some(3), oldest_age: Some(12.5), ..SqlQueueRow::default() };
/// assert_eq!(row.status(), QueueStatus::new().depth(3).oldest_age(Duration::from_millis(12_500)).hidden(false));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SqlQueueRow {
    /// `hidden`: not 0 if the role may not see all rows.
    pub hidden: i64,
    /// `depth`
    pub depth: Option<i64>,
    /// `oldest_age`, in seconds
    pub oldest_age: Option<f64>,
    /// `running`
    pub running: Option<i64>,
    /// `scheduled`
    pub scheduled: Option<i64>,
    /// `retrying`
    pub retrying: Option<i64>,
    /// `dead`
    pub dead: Option<i64>,
}

impl SqlQueueRow {
    /// Returns the status. If the rows are hidden, it knows only that: the numbers would be those of an empty queue.
    /// An age below 0 is 0.
    pub fn status(&self) -> QueueStatus {
        if self.hidden != 0 {
            return QueueStatus::new().hidden(true);
        }
        let count = |jobs: Option<i64>| jobs.and_then(|jobs| u64::try_from(jobs).ok());
        let age = self.oldest_age.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
        QueueStatus::new()
            .hidden(false)
            .depth(count(self.depth))
            .oldest_age(age)
            .running(count(self.running))
            .scheduled(count(self.scheduled))
            .retrying(count(self.retrying))
            .dead(count(self.dead))
    }
}
