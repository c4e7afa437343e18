//! The current task id, which may change if it is leased.

use super::{TaskId, Term};
use std::sync::Arc;

/// A task id that may change. Reading it takes no lock.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// An id that never changes.
    Constant(TaskId),
    /// An id that is leased and may be lost.
    Leased(Arc<Term>),
}

impl Identity {
    pub(crate) fn task_id(&self) -> TaskId {
        match self {
            Self::Constant(id) => *id,
            Self::Leased(term) => term.task_id(),
        }
    }

    /// How often its lease was lost.
    pub(crate) fn losses(&self) -> u64 {
        match self {
            Self::Constant(_) => 0,
            Self::Leased(term) => term.losses(),
        }
    }
}
