//! A task id together with what keeps it for this process.

use super::identity::Identity;
use super::lease::FileLease;
#[cfg(feature = "redis")]
use super::redis::{Place, RedisLease};
use super::{TaskId, TaskIdPool, TaskIdSourceKind};
use std::path::Path;
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
    // Even if there was no slot left for this process.
    file: Option<FileLease>,
    #[cfg(feature = "redis")]
    redis: Option<RedisLease>,
}

impl TaskIdClaim {
    pub(crate) fn new(id: TaskId) -> Self {
        Self {
            id,
            users: AtomicU32::new(0),
            file: None,
            #[cfg(feature = "redis")]
            redis: None,
        }
    }

    /// A bucket that other tasks may have, where the process can't have an id of its own.
    pub(crate) fn shared(pool: TaskIdPool) -> Self {
        Self::new(pool.draw_or_hash().with_source(TaskIdSourceKind::Shared))
    }

    /// Leases a slot, or shares a bucket where all are taken. The slot `except` is another process's. `Err` says what is
    /// wrong with the directory.
    pub(super) fn lease(directory: &Path, pool: TaskIdPool, except: Option<u32>) -> Result<Self, String> {
        let start = pool.draw().map_err(|error| error.to_string())?;
        let start = start.with_source(TaskIdSourceKind::Shared);
        let lease = FileLease::start(directory, pool, start, except)?;
        Ok(Self { file: Some(lease), ..Self::new(start) })
    }

    /// Leases a number in Redis, or shares a bucket where all are taken. `Err` says why Redis can't be asked.
    #[cfg(feature = "redis")]
    pub(super) fn lease_in_redis(place: &Place, pool: TaskIdPool) -> Result<Self, String> {
        let lease = RedisLease::start(place, pool)?;
        Ok(Self { redis: Some(lease), ..Self::new(pool.id_at(0, TaskIdSourceKind::Shared)) })
    }

    /// The id. It changes when a lease is lost or won.
    ///
    /// For a lease of a file this looks whether the file is still there and held, in two system calls, and leases again
    /// where it is not: another process may have the same id until somebody looks. A [`Client`](crate::Client) looks every
    /// 10 s.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        if let Some(lease) = &self.file {
            lease.look();
        }
        self.known_task_id()
    }

    /// The id, as far as it is known without a system call.
    pub(crate) fn known_task_id(&self) -> TaskId {
        self.identity().task_id()
    }

    /// What tells the id from now on, without keeping a lease.
    pub(crate) fn identity(&self) -> Identity {
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            return Identity::Leased(Arc::clone(lease.term()));
        }
        self.file
            .as_ref()
            .map_or(Identity::Constant(self.id), |lease| Identity::Leased(Arc::clone(lease.term())))
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
        if let Some(lease) = &self.file {
            lease.disclaim();
        }
    }

    /// In a process that was restored from a snapshot: the lease in Redis is the original's, which has the same token. It is
    /// neither renewed here nor given back.
    #[allow(clippy::unused_self, reason = "without Redis there is nothing to abandon")]
    pub(crate) fn abandon(&self) {
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            lease.abandon();
        }
    }

    /// Shows that the lease is held, and answers how many are. `None` where nothing is leased, or nobody can tell.
    pub(crate) fn show(&self) -> Option<u32> {
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            return lease.term().live();
        }
        self.file.as_ref()?.show()
    }
}
