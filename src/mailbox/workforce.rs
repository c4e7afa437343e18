//! Where workers come from: what builds one stands above.

use crate::mailbox::post::Remains;
use crate::process::thread::Thread;
use crate::task_id::{TaskId, TaskIdClaim};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// Gives a process that starts over its own worker, by the settings of its client. `Shared` is what that has in common with
/// its worker.
pub(crate) trait Workforce<Shared>: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The task id of a process whose parent, or original, has another.
    fn childs_task_id(&self, parents: TaskId) -> Arc<TaskIdClaim>;

    /// A worker to which all contexts are new, and what is in their cells is the parent's to report. `None` where the
    /// settings have become unusable.
    fn worker(&self, shared: &Arc<Shared>, claim: Arc<TaskIdClaim>) -> Option<Box<dyn Unstarted>>;

    /// What such a worker would leave behind if it had ended before it began.
    fn remains(&self, shared: &Shared) -> Box<dyn Remains>;
}

/// A worker without a thread.
pub(crate) trait Unstarted: Send {
    /// Gives it a thread, or the worker back where the system refuses one.
    fn start(self: Box<Self>) -> Result<Option<Thread>, Box<dyn Unstarted>>;

    /// It is given up.
    fn end_unstarted(self: Box<Self>);
}
