//! A task id together with what keeps it for this process.

use super::lease::{self, Directory, Slot};
use super::{TaskId, TaskIdPool, TaskIdSourceKind};
use std::path::Path;

/// A task id, and the lease on it where there is one. Dropping it gives the lease back; the id is then no longer this
/// process's to use. [`TaskIdSource::claim`](crate::TaskIdSource::claim) makes one.
///
/// ```
/// use tasktag::{TaskIdPool, TaskIdSource};
///
/// let claim = TaskIdSource::random().claim(TaskIdPool::DEFAULT)?;
/// assert!(claim.task_id().number() <= 1000);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use = "a lease is given back when this is dropped"]
pub struct TaskIdClaim {
    id: TaskId,
    // Where slots are leased, even if there was none left for this process.
    directory: Option<Directory>,
    slot: Option<Slot>,
}

impl TaskIdClaim {
    pub(crate) fn new(id: TaskId) -> Self {
        Self { id, directory: None, slot: None }
    }

    /// Leases a slot, or shares a bucket where all are taken. `Err` says what is wrong with the directory.
    pub(super) fn lease(directory: &Path, pool: TaskIdPool) -> Result<Self, String> {
        let directory = Directory::new(directory, pool);
        let start = pool.draw().map_err(|error| error.to_string())?;
        let slot = lease::take(&directory, start.number())?;
        let id = match &slot {
            Some(slot) => pool.id_at(u64::from(slot.number()) - 1, TaskIdSourceKind::Leased),
            None => start.with_source(TaskIdSourceKind::Shared),
        };
        Ok(Self { id, directory: Some(directory), slot })
    }

    /// The id.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        self.id
    }

    /// In a forked child: lets go of what is the parent's.
    pub(crate) fn disclaim(&self) {
        if let Some(slot) = &self.slot {
            slot.disclaim();
        }
    }

    /// Shows that the lease is held, and answers how many are. `None` where nothing is leased, or nobody can tell.
    pub(crate) fn show(&self) -> Option<u32> {
        self.directory.as_ref()?.show(self.slot.as_ref())
    }
}
