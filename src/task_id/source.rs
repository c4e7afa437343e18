//! Sources of task ids: what a program asks for, and what was found.

mod choice;
mod kind;

pub use self::kind::TaskIdSourceKind;

pub(super) use self::choice::SETTING;

use self::choice::Choice;
use super::claim::TaskIdClaim;
use super::platform::{self, Process, Variables};
#[cfg(feature = "redis")]
use super::redis::Place;
use super::{TaskId, TaskIdPool};
use crate::process::fork;
use crate::vocabulary::error::ConfigError;
use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "redis")]
use std::time::Duration;

/// Where a task id comes from. [`task_id_from`](crate::ClientBuilder::task_id_from) takes it.
///
/// | source | can two live tasks have one id? | after a restart |
/// |---|---|---|
/// | [`random`](Self::random) | by chance: 2 % at 7 tasks in 1000 buckets, 50 % at 38 | another id |
/// | [`fixed`](Self::fixed) | if you give two tasks the same number | the same id |
/// | [`platform`](Self::platform) | never within the set that the platform counts | the same id |
/// | [`hashed`](Self::hashed) | by chance, as with `random` | the same id while the identity is the same |
/// | [`leased`](Self::leased) | never on one host | any free id |
/// | `leased_in_redis`, feature `redis` | never on any host, as long as Redis keeps its data | any free id |
/// | [`detect`](Self::detect) | as with the strongest available source | |
///
/// If a source can't keep its promise, because there are more tasks than buckets, the task shares a bucket. Its id's
/// [`source`](crate::TaskId::source) is then [`Shared`](TaskIdSourceKind::Shared).
///
/// ```
/// use tasktag::{Client, TaskIdSource};
///
/// let ordinal_or_hash = TaskIdSource::platform().or(TaskIdSource::hashed());
/// let builder = Client::builder().task_id_from(ordinal_or_hash);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskIdSource {
    // Tried in order.
    choices: Vec<Choice>,
    process: Process,
}

impl TaskIdSource {
    fn one(choice: Choice) -> Self {
        Self { choices: vec![choice], process: Process::ALONE }
    }

    /// Takes the bucket that was drawn for this process. This is the default.
    ///
    /// The id is unique only by chance; [`TaskIdPool`] computes the probability. It holds for any platform and any
    /// number of hosts.
    ///
    /// On Linux the bucket is computed from the random bytes that the kernel gives each program at its start
    /// (`AT_RANDOM`, see `getauxval(3)`) and from the process id. All clients of a process that use this source and
    /// pools of one size therefore have the same id, also those of [another version](crate#two-versions-in-one-program)
    /// of this crate. On other systems, and after [`after_restore`](crate::after_restore), each use of the source
    /// draws a bucket with the operating system's generator.
    #[must_use]
    pub fn random() -> Self {
        Self::one(Choice::Random)
    }

    /// Uses the bucket with this number, from 1 to the pool's size. Any other number is an error when the id is
    /// decided.
    ///
    /// The id is as unique as you make it.
    #[must_use]
    pub fn fixed(number: u32) -> Self {
        Self::one(Choice::Fixed(number))
    }

    /// Uses the ordinal that the platform gives each task. It is an error if the platform gives none.
    ///
    /// The id is unique among the live tasks of the set that the platform counts, on all hosts, and stays the same
    /// after a restart. The set is a `StatefulSet`, a process type or a task group. Two sets that report the same
    /// metrics need a tag that tells them apart. If ordinals count from 0, the id is one higher: `shop-0` is
    /// `task_id:0001`.
    ///
    /// | platform | variable | |
    /// |---|---|---|
    /// | Kubernetes, indexed `Job` | `JOB_COMPLETION_INDEX` | |
    /// | Kubernetes, `StatefulSet` | `POD_INDEX`, else the pod's name in `POD_NAME` or `HOSTNAME` | set `POD_INDEX` from the label `apps.kubernetes.io/pod-index`; with `hostNetwork`, set `POD_NAME` from `metadata.name` |
    /// | Nomad | `NOMAD_ALLOC_INDEX` | unique per job version: canaries reuse it, and a system job's is always 0 |
    /// | Cloud Foundry | `CF_INSTANCE_INDEX` | shared briefly during a rolling restart |
    /// | Heroku | `DYNO` | `web.1`; may be shared during a deploy or restart; one-off dynos have none |
    /// | Scalingo | `CONTAINER` | `web-1`; one-off containers have none |
    /// | Cloud Run jobs | `CLOUD_RUN_TASK_INDEX` | |
    /// | Docker Swarm | `TASK_SLOT` | set it: `--env TASK_SLOT={{.Task.Slot}}` |
    /// | systemd template | `SYSTEMD_INSTANCE` | set it: `Environment=SYSTEMD_INSTANCE=%i`, if instances are numbers from 1; unique on one host |
    ///
    /// If several processes share a container, they share its ordinal: set [`process`](Self::process) in each of them.
    ///
    /// A forked child inherits its parent's ordinal but is another process. It [leases](Self::or) an id if a later
    /// source can; otherwise it shares a bucket. A leased number may equal the ordinal of another task.
    ///
    /// An ordinal beyond the pool is reduced modulo the pool's size, and the id then counts as shared: a service that
    /// is scaled too far keeps running, visibly.
    ///
    /// ```
    /// use tasktag::{Client, TaskIdSource};
    ///
    /// // The ordinal where there is one, and a random bucket on a developer's machine.
    /// let source = TaskIdSource::platform().or(TaskIdSource::random());
    /// let guard = Client::builder().task_id_from(source).build()?;
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn platform() -> Self {
        Self::one(Choice::Platform)
    }

    /// Hashes the task's name or id on its platform: 128-bit FNV-1a, folded to 64 bits, modulo the pool's size. All
    /// versions compute it alike on all platforms.
    ///
    /// The probability of a collision is that of [`random`](Self::random), but the id stays the same after a restart of
    /// the process.
    ///
    /// The first of these that exists is hashed:
    ///
    /// 1. the last part of `ECS_CONTAINER_METADATA_URI_V4` or `ECS_CONTAINER_METADATA_URI` (ECS);
    /// 2. `POD_NAME` or `HOSTNAME` (Kubernetes);
    /// 3. `NOMAD_ALLOC_ID`, `FLY_MACHINE_ID`, `FLY_ALLOC_ID`, `RENDER_INSTANCE_ID`, `RAILWAY_REPLICA_ID`,
    ///    `CF_INSTANCE_GUID`, `DYNO` (Heroku) or `CONTAINER` (Scalingo), in this order;
    /// 4. the host's name, together with `SYSTEMD_INSTANCE` if it is set.
    ///
    /// Several processes of a container or a host have the same hash, unless each sets [`process`](Self::process). It
    /// is an error if even the host has no name.
    #[must_use]
    pub fn hashed() -> Self {
        Self::one(Choice::Hashed)
    }

    /// Leases a slot that no other live process holds, in a directory of this host. Each slot is one locked file.
    ///
    /// The id is unique among the live processes that lease from the same directory. The kernel frees the slot when the
    /// process ends, however it ends. A [`Guard`](crate::Guard) frees it when its worker stops.
    ///
    /// # The directory
    ///
    /// The directory must exist. Every process that leases from it must be able to write in it, and nobody else. No
    /// cleaner may delete from it: use `/run/shop`, which systemd makes for `RuntimeDirectory=shop`, rather than
    /// `/tmp`. Containers that mount one directory share a host's slots. A file system that can't lock files is an
    /// error; on a network file system, a lease is as good as its locks. Use one pool size per directory.
    ///
    /// A relative path is resolved against the current directory when this is called. An empty path is an error.
    ///
    /// A process that starts tries the slot whose holder has not been seen for longest, and then the free slots, each
    /// at most once. If all are taken, it neither waits nor retries: it shares a bucket and reports
    /// [`Shared`](TaskIdSourceKind::Shared). A slot counts as taken if its holder was seen in the last 25 s. A
    /// [`Client`](crate::Client) shows every 10 s that it is running.
    ///
    /// If no slot is free, 6 of the taken ones are tried too, the longest unseen first. All of them are tried in a pool
    /// of up to 16 slots, and if a holder was found to have been killed in the last 25 s. In a full pool of more than
    /// 16 slots, a process started within 25 s of another being killed may miss the freed slot and share a bucket
    /// instead, until one such process finds the free slot. Leave room for the tasks that a deploy starts before it
    /// stops others.
    ///
    /// # A directory that is removed
    ///
    /// systemd removes `RuntimeDirectory=shop` when the first of several units that name it stops. Set
    /// `RuntimeDirectoryPreserve=yes` in each of them, or let one base unit own the directory. If the directory is
    /// removed and made again, each client notices within 10 s that its slot's file is another one. It locks that file,
    /// takes another free slot, or shares a bucket. [`Stats::lost_task_ids`](crate::Stats::lost_task_ids) counts every
    /// change of the id. For up to 10 s, two tasks may have the same id. A start takes no slot whose holder was seen
    /// recently, even if its file is missing.
    ///
    /// Files get the permissions that the directory's writers need: mode 0600, 0660 or 0666, and the directory's group.
    /// A file that is read-only for this process is locked as well. Symbolic links are not followed. A slot that can't
    /// be opened counts as taken. If no file can be made, the existing ones are leased. It is an error if nothing can
    /// be locked at all.
    ///
    /// A forked child inherits its parent's lock: the slot stays taken until both have ended or executed another
    /// program. The child does not own the slot, and frees nothing that the parent holds.
    ///
    /// ```
    /// use tasktag::{Client, TaskIdSource, TaskIdSourceKind};
    ///
    /// # let directory = std::env::temp_dir().join(format!("tasktag-leases-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// # fn served(directory: &std::path::Path) -> Result<(), tasktag::ConfigError> {
    /// // `directory` is `/run/shop`, and `RuntimeDirectory=shop` in the unit.
    /// let guard = Client::builder().task_id_from(TaskIdSource::leased(directory)).build()?;
    /// if guard.client().task_id().source() == TaskIdSourceKind::Shared {
    ///     eprintln!("more tasks than buckets: gauges of two may overwrite each other");
    /// }
    /// # Ok(())
    /// # }
    /// # served(&directory)?;
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn leased(directory: impl Into<PathBuf>) -> Self {
        let named = directory.into();
        // A daemon changes its directory once it has started, and its children lease anew. Only an empty path, or a
        // program without a current directory, has no absolute path: leasing returns the error then.
        Self::one(Choice::Leased(std::path::absolute(&named).unwrap_or(named)))
    }

    /// Leases a bucket that no other live process has, on any host: in Redis, or in a server with its protocol and
    /// scripts, under one key. Processes that give the same `key` never share. Nothing else may use the key.
    ///
    /// `url` is `redis://[user:password@]host[:port][/database]`, `unix:///path/to/socket`, or `rediss://…` with the
    /// feature `redis-tls`. TLS checks the server's certificate against those that the system trusts; `SSL_CERT_FILE`
    /// names others. The server must be a single Redis 5 or later: a cluster's redirections are not followed.
    ///
    /// A start takes one round trip, whether the pool is empty or full. It gets a free bucket, or shares one and
    /// reports [`Shared`](TaskIdSourceKind::Shared). If Redis does not answer within 3 s, the [next source](Self::or)
    /// is tried; it is an error if there is none.
    ///
    /// # Renewal
    ///
    /// A lease lasts [30 s](Self::lease_time). A separate thread, `tasktag-lease`, renews it every 5 s. No call of the
    /// program and no flush waits for Redis. A lease that was not renewed for 20 s, by the process's monotonic clock,
    /// is given up, because Redis is unreachable or hangs, or the process was stopped. The process continues under a
    /// shared bucket, its [`TaskId`](crate::TaskId) changes, and [`Stats::lost_task_ids`](crate::Stats::lost_task_ids)
    /// counts the loss. Even a packet that was begun before is not sent after that time: it is dropped as
    /// [`LeaseLost`](crate::DropReason::LeaseLost). There is one exception: if the agent does not read, and a caller of
    /// [`flush`](crate::Client::flush) waits for it for longer than 10 s, up to 32 packets that were being handed over
    /// may be sent late. When Redis answers again, the process asks once for its old bucket or any other.
    ///
    /// The lease is given back when a [`TaskIdClaim`] is dropped, and when the last client that uses it has stopped,
    /// unless [`TaskId::decide`](crate::TaskId::decide) took it. The lease of a killed process expires. A forked child
    /// takes a lease of its own, and shares a bucket until it has one.
    ///
    /// The promise is as good as the server's memory. A server may forget leases that have not expired: by a restart
    /// without persistence, a fail-over to a replica that lagged behind, an eviction, or a jump of its wall clock. It
    /// may then give away a bucket that is in use, for at most 5 s, until the holder renews; this is counted too. The
    /// monotonic clock of a machine stops while the machine sleeps: for a moment after it wakes, a process may use a
    /// lease that expired meanwhile.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    #[must_use]
    pub fn leased_in_redis(url: impl Into<String>, key: impl Into<String>) -> Self {
        Self::one(Choice::LeasedInRedis(Place::new(url.into(), key.into())))
    }

    /// Sets how long a lease in Redis lasts if it is not renewed, from 1 s to 1 h. Use the same value in all processes
    /// that share a key. The lease is renewed after a sixth of this time and given up after two thirds. Defaults to 30
    /// s.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    #[must_use]
    pub fn lease_time(mut self, time: Duration) -> Self {
        for choice in &mut self.choices {
            if let Choice::LeasedInRedis(place) = choice {
                place.lease = time;
            }
        }
        self
    }

    /// Uses the strongest available source: the ordinal of a [`platform`](Self::platform), else a
    /// [lease](Self::leased) in the directory that systemd made for the service (`RUNTIME_DIRECTORY`), else the
    /// [hash](Self::hashed) of a name that the platform gave, else a [random](Self::random) bucket.
    /// [`TaskId::source`](crate::TaskId::source) reports which one was used. The host's name alone is not hashed,
    /// because several processes may have it. An unavailable source is not an error; only a failure of the operating
    /// system's generator is.
    #[must_use]
    pub fn detect() -> Self {
        let choices = vec![
            Choice::Platform,
            Choice::LeasedInRuntimeDirectory,
            Choice::HashedByPlatform,
            Choice::Random,
        ];
        Self { choices, process: Process::ALONE }
    }

    /// Adds a source that is tried if this one gives no id.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.choices.extend(other.choices);
        if self.process == Process::ALONE {
            self.process = other.process;
        }
        self
    }

    /// Sets which of several processes in a container this is, counted from 0: with four of them, `process(0, 4)` to
    /// `process(3, 4)`. [`platform`](Self::platform) then has that many ids for each ordinal, and
    /// [`hashed`](Self::hashed) hashes the index too. The other sources ignore it. An index that is not below the
    /// number is an error when the id is decided. Defaults to `process(0, 1)`.
    ///
    /// ```
    /// use tasktag::TaskIdSource;
    ///
    /// // The second of four processes in each container: of `shop-2` the tenth, as three ordinals have twelve ids.
    /// let source = TaskIdSource::platform().process(1, 4);
    /// # let _ = source;
    /// ```
    #[must_use]
    pub fn process(mut self, index: u32, of: u32) -> Self {
        self.process = Process { index, of };
        self
    }

    /// Takes an id from this source, for a program without a client or with several. `TASKTAG_TASK_ID` is not read.
    ///
    /// # Errors
    ///
    /// Fails if the source has no id to give. The error names the source and the reason.
    pub fn claim(&self, pool: TaskIdPool) -> Result<TaskIdClaim, ConfigError> {
        fork::check();
        self.claim_with(pool, &platform::from_process, None)
    }

    /// Like [`claim`](Self::claim), with variables from elsewhere. `parents` is the id of the process from which a
    /// child was forked. An ordinal or a name that the two have in common belongs to the parent.
    pub(crate) fn claim_with(
        &self,
        pool: TaskIdPool,
        variables: Variables<'_>,
        parents: Option<TaskId>,
    ) -> Result<TaskIdClaim, ConfigError> {
        let Process { index, of } = self.process;
        if index >= of {
            let reason =
                format_args!("process {index} of {of} does not exist, because processes are counted from 0");
            return Err(ConfigError::setting(SETTING, self, reason));
        }
        let mut claim = Err(ConfigError::setting(SETTING, "", "it names no source"));
        let mut is_parents = false;
        for choice in &self.choices {
            let next = choice.claim(pool, self.process, variables, parents.map(TaskId::number));
            if parents.is_some() && next.is_ok() && choice.is_one_a_task() {
                is_parents = true;
                continue;
            }
            // A number drawn from ordinals or hashes could be another task's id.
            if is_parents && *choice == Choice::Random {
                break;
            }
            claim = next;
            if claim.is_ok() {
                break;
            }
        }
        if is_parents && claim.is_err() { Ok(TaskIdClaim::shared(pool)) } else { claim }
    }

    /// Claims what only one process may have, and keeps trying while another process has it.
    pub(crate) fn claim_alone(&self) -> Result<TaskIdClaim, ConfigError> {
        match self.choices.as_slice() {
            [choice] if self.process == Process::ALONE => choice.claim_alone(),
            _ => Err(ConfigError::setting("sole_reporter", self, "it takes one lease")),
        }
    }
}

/// The form in errors: `platform or leased(/run/shop)`.
impl fmt::Display for TaskIdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, choice) in self.choices.iter().enumerate() {
            write!(f, "{}{choice}", if place == 0 { "" } else { " or " })?;
        }
        Ok(())
    }
}
