//! A task id together with the lease that keeps it.

use super::identity::Identity;
use super::lease::FileLease;
#[cfg(feature = "redis")]
use super::redis::{Place, RedisLease};
use super::{TaskId, TaskIdPool, TaskIdSourceKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A task id, with its lease if it has one. Dropping the claim gives the lease back; this process must not use the id
/// afterwards. [`TaskIdSource::claim`](crate::TaskIdSource::claim) makes one.
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
    // The number of workers and programs that use the process's id.
    users: AtomicU32,
    // Present even if no slot was free for this process.
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

    /// A bucket that other tasks may have, for a process that can't have its own.
    pub(crate) fn shared(pool: TaskIdPool) -> Self {
        Self::new(pool.draw_or_hash().with_source(TaskIdSourceKind::Shared))
    }

    /// Leases a slot, or shares a bucket if all are taken. The slot `except` belongs to another process. `Err` holds
    /// what is wrong with the directory.
    pub(super) fn lease(directory: &Path, pool: TaskIdPool, except: Option<u32>) -> Result<Self, String> {
        let start = pool.draw().map_err(|error| error.to_string())?;
        let start = start.with_source(TaskIdSourceKind::Shared);
        let lease = FileLease::start(directory, pool, start, except, false)?;
        Ok(Self { file: Some(lease), ..Self::new(start) })
    }

    /// Leases the only slot of a directory, or takes it when it is free.
    pub(super) fn lease_alone(directory: &Path) -> Result<Self, String> {
        let only = TaskIdPool::ONE.id_at(0, TaskIdSourceKind::Shared);
        let lease = FileLease::start(directory, TaskIdPool::ONE, only, None, true)?;
        Ok(Self { file: Some(lease), ..Self::new(only) })
    }

    /// Leases a number in Redis, or shares a bucket if all are taken. With `waits`, it takes a number when one is free.
    /// `Err` holds why Redis can't be used.
    #[cfg(feature = "redis")]
    pub(super) fn lease_in_redis(place: &Place, pool: TaskIdPool, waits: bool) -> Result<Self, String> {
        let lease = RedisLease::start(place, pool, waits)?;
        Ok(Self { redis: Some(lease), ..Self::new(pool.id_at(0, TaskIdSourceKind::Shared)) })
    }

    /// The id. It changes when a lease is lost or won.
    ///
    /// For a lease of a file, each call takes two system calls to check whether the file still exists and is locked. If
    /// not, it leases again: another process may have the same id until somebody checks. A [`Client`](crate::Client)
    /// checks every 10 s.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        if let Some(lease) = &self.file {
            lease.look();
        }
        self.known_task_id()
    }

    /// The id as of the last check, without a system call.
    pub(crate) fn known_task_id(&self) -> TaskId {
        self.identity().task_id()
    }

    /// The current and future id, without keeping a lease.
    pub(crate) fn identity(&self) -> Identity {
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            return Identity::Leased(Arc::clone(lease.term()));
        }
        self.file
            .as_ref()
            .map_or(Identity::Constant(self.id), |lease| Identity::Leased(Arc::clone(lease.term())))
    }

    /// Counts a worker, or another user of this id.
    pub(crate) fn employ(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a worker that stopped. After the last one, a lease in Redis is given back, although the process may go
    /// on: others need the bucket, and when the process ends the lease would only expire.
    pub(crate) fn retire(&self) {
        let last = self.users.fetch_sub(1, Ordering::Relaxed) == 1;
        #[cfg(feature = "redis")]
        if let Some(lease) = self.redis.as_ref().filter(|_| last) {
            lease.give_back();
        }
        #[cfg(not(feature = "redis"))]
        let _ = last;
    }

    /// Gives a lease back now. It may take 250 ms if Redis does not answer.
    pub(crate) fn give_back(&self) {
        if let Some(lease) = &self.file {
            lease.give_back();
        }
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            lease.give_back();
        }
    }

    /// Releases the parent's lease in a forked child.
    pub(crate) fn disclaim(&self) {
        if let Some(lease) = &self.file {
            lease.disclaim();
        }
    }

    /// Runs in a process restored from a snapshot. The original holds the lease in Redis under the same token, so it is
    /// neither renewed nor given back here.
    #[allow(clippy::unused_self, reason = "without Redis there is nothing to abandon")]
    pub(crate) fn abandon(&self) {
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            lease.abandon();
        }
    }

    /// Returns whether there is a lease to [show](Self::show).
    pub(crate) fn has_lease(&self) -> bool {
        #[cfg(feature = "redis")]
        if self.redis.is_some() {
            return true;
        }
        self.file.is_some()
    }

    /// Shows that the lease is held, and returns how many are. `None` if nothing is leased or the number is unknown.
    pub(crate) fn show(&self) -> Option<u32> {
        #[cfg(feature = "redis")]
        if let Some(lease) = &self.redis {
            return lease.term().live();
        }
        self.file.as_ref()?.show()
    }
}
