//! A task id together with what keeps it for this process.

use super::identity::Identity;
use super::lease::{self, Directory, Slot};
#[cfg(feature = "redis")]
use super::redis::{Place, RedisLease};
use super::{TaskId, TaskIdPool, TaskIdSourceKind};
use std::path::Path;
#[cfg(feature = "redis")]
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

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
    // Workers and programs that go by the id of the process.
    users: AtomicU32,
    // Where slots are leased, even if there was none left for this process.
    directory: Option<Directory>,
    slot: Option<Slot>,
    #[cfg(feature = "redis")]
    redis: Option<RedisLease>,
}

impl TaskIdClaim {
    pub(crate) fn new(id: TaskId) -> Self {
        Self {
            id,
            users: AtomicU32::new(0),
            directory: None,
            slot: None,
            #[cfg(feature = "redis")]
            redis: None,
        }
    }

    /// Leases a slot, or shares a bucket where all are taken. `Err` says what is wrong with the directory.
    pub(super) fn lease(directory: &Path, pool: TaskIdPool) -> Result<Self, String> {
        // Joined with a file's name, it would be the directory that the program happens to be in.
        if directory.as_os_str().is_empty() {
            return Err("a lease needs a directory, and this names none".to_owned());
        }
        let directory = Directory::new(directory, pool);
        let start = pool.draw().map_err(|error| error.to_string())?;
        let slot = lease::take(&directory, start.number())?;
        let id = match &slot {
            Some(slot) => pool.id_at(u64::from(slot.number()) - 1, TaskIdSourceKind::Leased),
            None => start.with_source(TaskIdSourceKind::Shared),
        };
        Ok(Self { directory: Some(directory), slot, ..Self::new(id) })
    }

    /// Leases a number in Redis, or shares a bucket where all are taken. `Err` says why Redis can't be asked.
    #[cfg(feature = "redis")]
    pub(super) fn lease_in_redis(place: &Place, pool: TaskIdPool) -> Result<Self, String> {
        let lease = RedisLease::start(place, pool)?;
        Ok(Self { redis: Some(lease), ..Self::new(pool.id_at(0, TaskIdSourceKind::Shared)) })
    }

    /// The id. One that is leased in Redis changes when the lease is lost or won.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        self.identity().task_id()
    }

    /// What tells the id from now on, without keeping a lease.
    pub(crate) fn identity(&self) -> Identity {
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            return Identity::Leased(Arc::clone(lease.term()));
        }
        Identity::Constant(self.id)
    }

    /// Takes a worker into account, or whoever else goes by this id.
    pub(crate) fn employ(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker ended. When it was the last, a lease in Redis is given back, though the process may go on: a lease
    /// that no metrics are sent under is one too few for others, and nothing but time would end it with the process.
    pub(crate) fn retire(&self) {
        let last = self.users.fetch_sub(1, Ordering::Relaxed) == 1;
        #[cfg(feature = "redis")]
        if let Some(lease) = self.redis.as_ref().filter(|_| last) {
            lease.give_back();
        }
        #[cfg(not(feature = "redis"))]
        let _ = last;
    }

    /// In a forked child: lets go of what is the parent's.
    pub(crate) fn disclaim(&self) {
        if let Some(slot) = &self.slot {
            slot.disclaim();
        }
    }

    /// Shows that the lease is held, and answers how many are. `None` where nothing is leased, or nobody can tell.
    pub(crate) fn show(&self) -> Option<u32> {
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            return lease.term().live();
        }
        self.directory.as_ref()?.show(self.slot.as_ref())
    }
}
