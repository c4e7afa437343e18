//! The shared state of a disabled client, which is like one whose worker has stopped.

use crate::context::index::{Index, Limits};
use crate::mailbox::post::Remains;
use crate::mailbox::shared::{SeriesRules, Shared, Sizes};
use crate::mailbox::workforce::{Unstarted, Workforce};
use crate::process::clock::Clock;
use crate::task_id::{TaskId, TaskIdClaim, TaskIdOn};
use crate::wire::encode::Spelling;
use std::sync::Arc;

impl Shared {
    /// Returns the state of handles that report nothing. It starts no thread, decides on no task id, and is not
    /// affected by forks.
    pub(crate) fn disabled() -> Self {
        let claim = Arc::new(TaskIdClaim::new(TaskId::NOBODYS));
        let limits = Limits { client: 1, metric: 1 };
        let sizes = Sizes { agents: 1, channel_capacity: 1 };
        let series = SeriesRules { task_id_on: TaskIdOn::default(), sends_summaries: false };
        let spelling = Spelling::new(std::iter::empty());
        let nobody = Arc::new(Nobody);
        let mut shared = Self::new(Clock::monotonic(), limits, spelling, &claim, sizes, series, nobody);
        shared.is_disabled = true;
        shared.end();
        shared
    }
}

/// Creates no workers.
struct Nobody;

impl Workforce<Shared> for Nobody {
    fn childs_task_id(&self, parents: TaskId) -> Arc<TaskIdClaim> {
        Arc::new(TaskIdClaim::new(parents))
    }

    fn worker(&self, _: &Arc<Shared>, _: Arc<TaskIdClaim>) -> Option<Box<dyn Unstarted>> {
        None
    }

    fn remains(&self, _: &Shared) -> Box<dyn Remains> {
        Box::new(Nothing)
    }
}

/// There are no contexts, so nothing is left behind.
#[derive(Debug)]
struct Nothing;

impl Remains for Nothing {
    fn take_values(&mut self, _: &Index) -> u64 {
        0
    }
}
