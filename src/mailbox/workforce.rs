//! An interface for creating workers. Its implementation is on a floor above.

use crate::mailbox::post::Remains;
use crate::process::thread::Thread;
use crate::task_id::{TaskId, TaskIdClaim};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// Creates the worker of a process that starts over, with the settings of its client. `Shared` is what the client
/// shares with its worker.
pub(crate) trait Workforce<Shared>: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// Returns the task id of a process that must not have that of its parent or original.
    fn childs_task_id(&self, parents: TaskId) -> Arc<TaskIdClaim>;

    /// Returns a worker to which all contexts are new. The parent reports what is in their cells. Returns `None` if the
    /// settings have become unusable.
    fn worker(&self, shared: &Arc<Shared>, claim: Arc<TaskIdClaim>) -> Option<Box<dyn Unstarted>>;

    /// Returns what this worker would leave behind if it had stopped before its start.
    fn remains(&self, shared: &Shared) -> Box<dyn Remains>;
}

/// A worker without a thread.
pub(crate) trait Unstarted: Send {
    /// Starts a thread for it, or returns the worker if the system refuses one.
    fn start(self: Box<Self>) -> Result<Option<Thread>, Box<dyn Unstarted>>;

    /// Gives the worker up.
    fn end_unstarted(self: Box<Self>);
}
