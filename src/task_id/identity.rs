//! What tells a task id at any moment: most never change.

use super::{TaskId, Term};
use std::sync::Arc;

/// A task id that may change. Asking for it takes no lock.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// It is what it is.
    Constant(TaskId),
    /// It is leased, and may be lost.
    Leased(Arc<Term>),
}

impl Identity {
    pub(crate) fn task_id(&self) -> TaskId {
        match self {
            Self::Constant(id) => *id,
            Self::Leased(term) => term.task_id(),
        }
    }

    /// How often a lease of it was lost.
    pub(crate) fn losses(&self) -> u64 {
        match self {
            Self::Constant(_) => 0,
            Self::Leased(term) => term.losses(),
        }
    }
}
