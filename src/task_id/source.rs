//! Where a task id comes from, as a program asks for it and as it was found.

mod kind;

pub use self::kind::TaskIdSourceKind;

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

/// The setting that takes a source.
pub(super) const SETTING: &str = "task_id_from";

/// The variable in which systemd names the directory that it made for a service (`RuntimeDirectory=`).
const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";

/// Where a task id comes from: see [`task_id_from`](crate::ClientBuilder::task_id_from).
///
/// | source | two live tasks with one id | after a restart |
/// |---|---|---|
/// | [`random`](Self::random) | by chance: 2 % at 7 tasks of 1000 buckets, 50 % at 38 | another id |
/// | [`fixed`](Self::fixed) | if you give two the same | the same id |
/// | [`platform`](Self::platform) | never within the set that the platform counts | the same id |
/// | [`hashed`](Self::hashed) | by chance, as at random | the same id while the identity is the same |
/// | [`leased`](Self::leased) | never on one host | any free id |
/// | `leased_in_redis`, feature `redis` | never on all hosts, while Redis keeps what it was told | any free id |
/// | [`detect`](Self::detect) | as the strongest of the above that is there | |
///
/// Where a source can't keep its promise, because there are more tasks than buckets, the task shares a bucket, and
/// its id's [`source`](crate::TaskId::source) is [`Shared`](TaskIdSourceKind::Shared).
///
/// ```
/// use tasktag::{Client, TaskIdSource};
///
/// let ordinal_or_hash = TaskIdSource::platform().or(TaskIdSource::hashed());
/// let builder = Client::builder().task_id_from(ordinal_or_hash);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskIdSource {
    // Tried in turn.
    choices: Vec<Choice>,
    process: Process,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    Random,
    Fixed(u32),
    Platform,
    Hashed,
    /// A hash of what the platform names, and not of the host alone.
    HashedByPlatform,
    Leased(PathBuf),
    LeasedInRuntimeDirectory,
    #[cfg(feature = "redis")]
    LeasedInRedis(Place),
}

impl TaskIdSource {
    fn one(choice: Choice) -> Self {
        Self { choices: vec![choice], process: Process::ALONE }
    }

    /// A bucket drawn with the operating system's generator: the default.
    ///
    /// Unique by chance alone; [`TaskIdPool`] knows the odds. They hold for any platform and any number of hosts.
    #[must_use]
    pub fn random() -> Self {
        Self::one(Choice::Random)
    }

    /// The bucket with this number, from 1 to the pool's size; another number is an error when the id is asked for.
    ///
    /// As unique as you make it.
    #[must_use]
    pub fn fixed(number: u32) -> Self {
        Self::one(Choice::Fixed(number))
    }

    /// The ordinal that the platform gives each task; an error where it gives none.
    ///
    /// Unique among the live tasks of the set that the platform counts, on all hosts, and the same after a restart. The
    /// set is a `StatefulSet`, a process type, a task group: two sets that report the same metrics need a tag that
    /// tells them apart. Ordinals that count from 0 become the id one higher, so that `shop-0` is `task_id:0001`.
    ///
    /// | platform | variable | |
    /// |---|---|---|
    /// | Kubernetes, indexed `Job` | `JOB_COMPLETION_INDEX` | |
    /// | Kubernetes, `StatefulSet` | `POD_INDEX`, else the pod's name in `POD_NAME` or `HOSTNAME` | `POD_INDEX` from the label `apps.kubernetes.io/pod-index`; with `hostNetwork`, `POD_NAME` from `metadata.name` |
    /// | Nomad | `NOMAD_ALLOC_INDEX` | unique per job version: canaries reuse it, and a system job's is always 0 |
    /// | Cloud Foundry | `CF_INSTANCE_INDEX` | shared for a moment in a rolling restart |
    /// | Heroku | `DYNO` | `web.1`; may be shared during a deploy or restart; one-off dynos have none |
    /// | Scalingo | `CONTAINER` | `web-1`; one-off containers have none |
    /// | Cloud Run jobs | `CLOUD_RUN_TASK_INDEX` | |
    /// | Docker Swarm | `TASK_SLOT` | set it: `--env TASK_SLOT={{.Task.Slot}}` |
    /// | systemd template | `SYSTEMD_INSTANCE` | set it: `Environment=SYSTEMD_INSTANCE=%i`, where instances are numbers from 1; unique on one host |
    ///
    /// Where several processes share a container and so its ordinal, say which this is with [`process`](Self::process).
    ///
    /// A forked child has its parent's ordinal and is another process. It [leases](Self::or) if a later source can, else it
    /// shares a bucket. Leased numbers and ordinals are not kept apart.
    ///
    /// An ordinal beyond the pool is folded into it, modulo the pool's size, and the id then counts as shared: a
    /// service that is scaled too far goes on, visibly.
    #[must_use]
    pub fn platform() -> Self {
        Self::one(Choice::Platform)
    }

    /// A hash of the task's name or id on its platform: FNV-1a of 128 bits, folded to 64, modulo the pool's size. It is
    /// computed alike by all versions, on all platforms.
    ///
    /// The odds are those of [`random`](Self::random), but the id is the same after a restart of the process.
    ///
    /// What is hashed is the first of these: the last part of `ECS_CONTAINER_METADATA_URI_V4` or
    /// `ECS_CONTAINER_METADATA_URI` (ECS), `POD_NAME` or `HOSTNAME` (Kubernetes), `NOMAD_ALLOC_ID`, `FLY_MACHINE_ID`,
    /// `FLY_ALLOC_ID`, `RENDER_INSTANCE_ID`, `RAILWAY_REPLICA_ID`, `CF_INSTANCE_GUID`, `DYNO` (Heroku), `CONTAINER` (Scalingo),
    /// else the host's name, with `SYSTEMD_INSTANCE` where that is set. Several processes of a container or a host have one hash unless each says which it is
    /// with [`process`](Self::process). An error where even the host has no name.
    #[must_use]
    pub fn hashed() -> Self {
        Self::one(Choice::Hashed)
    }

    /// A slot that no other live process holds, in a directory of this host: one locked file a slot.
    ///
    /// Unique among the live processes that lease from the same directory. The kernel gives the slot back when the process
    /// ends, however it ends. A [`Guard`](crate::Guard) gives it back when its worker ends.
    ///
    /// The directory must exist, be writable for every process that leases from it and for nobody else, and lie where no
    /// cleaner deletes from it: `/run/shop`, what systemd makes for `RuntimeDirectory=shop`, rather than `/tmp`. Containers share a
    /// host's slots when they mount one directory. A file system that can't lock files is an error; on a network file system
    /// that can, a lease is as good as its locks. Pools of several sizes in one directory don't mix well: use one size.
    /// A relative path is taken from where the program is when this is called; an empty one is an error.
    ///
    /// A start tries the slot whose holder was not seen for longest, and then those that are free, each at most once. Where
    /// all are taken it does not wait or try again: it shares a bucket, and says so. A slot counts as taken while its
    /// holder was seen in the last 25 s; a [`Client`](crate::Client) shows every 10 s that it is there. Where no slot is free, 6 of
    /// the taken ones are tried too, the longest unseen first: all of them in a pool of up to 16, and wherever a
    /// holder was found to have been killed in the last 25 s. What is left to chance, in a larger pool that was full until
    /// then, are the starts in the 25 s after a holder was killed: until one of them comes upon the free slot they may
    /// share. Leave room for the tasks that a deploy starts before it ends others.
    ///
    /// systemd removes `RuntimeDirectory=shop` when the first of several units that name it stops. Set
    /// `RuntimeDirectoryPreserve=yes` in each of them, or let one base unit own the directory. Where it is removed and made
    /// again all the same, each client notices within 10 s that its slot's file is another one: it locks that file, or takes
    /// another free slot, or shares a bucket. [`Stats::lost_task_ids`](crate::Stats::lost_task_ids) counts every change of the
    /// id. For up to 10 s two tasks may have had one id. A start takes no slot whose holder shows itself, even where its file
    /// is missing.
    ///
    /// Files are made for those who may write in the directory: mode 0600, 0660 or 0666, and the directory's group. A file that
    /// may only be read is locked as well. No symbolic link is followed. A slot that can't be opened counts as taken; where no
    /// file can be made, the existing ones are leased. It is an error where nothing can be locked at all.
    ///
    /// A forked child has its parent's lock as well: the slot stays taken until both have ended or executed another
    /// program. The child is not its owner, and gives nothing back that the parent holds.
    #[must_use]
    pub fn leased(directory: impl Into<PathBuf>) -> Self {
        let named = directory.into();
        // A daemon goes elsewhere once it has started, and its children lease anew. Only an empty name, and a program
        // that is nowhere, have no such path: they are told of it when they lease.
        Self::one(Choice::Leased(std::path::absolute(&named).unwrap_or(named)))
    }

    /// A bucket that no other live process has, on any host: a lease in Redis, or in what speaks its protocol and scripts,
    /// under one key. Processes that give the same `key` never share, and there is nothing else that the key may be used
    /// for. `url` is `redis://[user:password@]host[:port][/database]`, `unix:///path/to/socket`, or with the feature `redis-tls`
    /// `rediss://…`, which checks the server's certificate against those that the system trusts (`SSL_CERT_FILE` names
    /// others). It takes Redis 5 or later, as one server: a cluster's nodes refer to each other, which is not followed.
    ///
    /// A start asks once, in one round trip, whether the pool is empty or full: it gets a bucket that is free, or shares one
    /// and says so. Redis must answer within 3 s, else it is an error, or the turn of the [next source](Self::or).
    ///
    /// A lease lasts [30 s](Self::lease_time). A thread of its own, `tasktag-lease`, renews it every 5 s; no call of the
    /// program and no flush waits for Redis. What was not renewed for 20 s, by the monotonic clock of the process, is given
    /// up, because Redis is away or hangs, or the process stood still: the process goes on under a shared bucket, its
    /// [`TaskId`](crate::TaskId) changes, and [`Stats::lost_task_ids`](crate::Stats::lost_task_ids) counts it. Not even a
    /// packet that was begun before leaves after that time: it is dropped as
    /// [`LeaseLost`](crate::DropReason::LeaseLost). The exception is an agent that does not read, and a caller of
    /// [`flush`](crate::Client::flush) who waits for it for longer than 10 s: up to 32 packets that were being handed over
    /// then may leave late. When Redis answers again, it asks once for its old bucket or any.
    ///
    /// The lease is given back when the last client that uses it has ended, unless [`TaskId::decide`](crate::TaskId::decide)
    /// took it, and when a [`TaskIdClaim`] is dropped. A process that is killed leaves it to expire. A forked
    /// child takes a lease of its own, and shares a bucket until it has one.
    ///
    /// The promise is as good as the server's memory. One that forgets leases that have not expired (a restart without
    /// persistence, a fail-over to a replica that was behind, an eviction, a leap of its wall clock) may give a bucket away
    /// that is still in use, for 5 s at most, until its holder renews; that is counted, too. A machine that sleeps stops its
    /// monotonic clock: for a moment after it wakes, a process may go by a lease that expired meanwhile.
    #[cfg(feature = "redis")]
    #[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
    #[must_use]
    pub fn leased_in_redis(url: impl Into<String>, key: impl Into<String>) -> Self {
        Self::one(Choice::LeasedInRedis(Place::new(url.into(), key.into())))
    }

    /// How long a lease in Redis lasts if it is not renewed, 1 s to 1 h; for all that lease under a key the same. It is
    /// renewed after a sixth of this time and given up after two thirds. Defaults to 30 s.
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

    /// The strongest source that is there: a [`platform`](Self::platform)'s ordinal, else a
    /// [lease](Self::leased) in the directory that systemd made for the service (`RUNTIME_DIRECTORY`), else the
    /// [hash](Self::hashed) of a name that the platform gave, else a [random](Self::random) bucket.
    /// [`TaskId::source`](crate::TaskId::source) says which it was. The host's bare name is not hashed: several
    /// processes may have it. No error comes of a source that is not there, unless there is no random number either.
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

    /// Another source, where this one is not to be had.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.choices.extend(other.choices);
        if self.process == Process::ALONE {
            self.process = other.process;
        }
        self
    }

    /// Which of several processes this is that share a container, counted from 0: with four of them, `process(0, 4)` to
    /// `process(3, 4)`. [`platform`](Self::platform) gives each ordinal that many ids, [`hashed`](Self::hashed) hashes
    /// the index too; the others need no such help. An index that is not below the number is an error when the id is
    /// asked for. Defaults to `process(0, 1)`.
    #[must_use]
    pub fn process(mut self, index: u32, of: u32) -> Self {
        self.process = Process { index, of };
        self
    }

    /// Takes an id from this source: for a program without a client, or with several. `TASKTAG_TASK_ID` is not read.
    ///
    /// # Errors
    ///
    /// When there is no id to be had from this source: the error names it and says why.
    pub fn claim(&self, pool: TaskIdPool) -> Result<TaskIdClaim, ConfigError> {
        fork::check();
        self.claim_with(pool, &platform::from_process, None)
    }

    /// As [`claim`](Self::claim), with variables from elsewhere. `parents` is the id of the process that a child was forked
    /// from: an ordinal or a name that the two have in common is the parent's.
    pub(crate) fn claim_with(
        &self,
        pool: TaskIdPool,
        variables: Variables<'_>,
        parents: Option<TaskId>,
    ) -> Result<TaskIdClaim, ConfigError> {
        let Process { index, of } = self.process;
        if index >= of {
            let reason = format_args!("there is no process {index} of {of}: they are counted from 0");
            return Err(ConfigError::setting(SETTING, self, reason));
        }
        let mut claim = Err(ConfigError::setting(SETTING, "", "it has no source"));
        let mut is_parents = false;
        for choice in &self.choices {
            let next = choice.claim(pool, self.process, variables, parents.map(TaskId::number));
            if parents.is_some() && next.is_ok() && choice.is_one_a_task() {
                is_parents = true;
                continue;
            }
            // Drawn among ordinals and hashes it would be one that other tasks may have.
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
}

impl Choice {
    /// Whether all processes of a task get the same id from it.
    fn is_one_a_task(&self) -> bool {
        matches!(self, Self::Platform | Self::Hashed | Self::HashedByPlatform)
    }

    fn claim(
        &self,
        pool: TaskIdPool,
        process: Process,
        variables: Variables<'_>,
        except: Option<u32>,
    ) -> Result<TaskIdClaim, ConfigError> {
        let refused = |reason: &dyn fmt::Display| ConfigError::setting(SETTING, self, reason);
        match self {
            Self::Random => Ok(TaskIdClaim::new(pool.draw()?)),
            Self::Fixed(number) => pool
                .id(*number)
                .map(TaskIdClaim::new)
                .ok_or_else(|| refused(&format_args!("a task id is a number from 1 to {}", pool.size()))),
            Self::Platform => {
                let ordinal = platform::ordinal(variables);
                let ordinal = ordinal.ok_or_else(|| refused(&"no variable gives an ordinal"))?;
                Ok(TaskIdClaim::new(platform::id_of_ordinal(ordinal, process, pool)))
            }
            Self::Hashed | Self::HashedByPlatform => {
                let host = || if *self == Self::Hashed { platform::host_name(variables) } else { None };
                let identity = platform::identity(variables).or_else(host);
                let identity = identity.ok_or_else(|| refused(&"nothing gives the task a name"))?;
                Ok(TaskIdClaim::new(platform::id_of_identity(&identity, process, pool)))
            }
            Self::Leased(directory) => {
                TaskIdClaim::lease(directory, pool, except).map_err(|reason| refused(&reason))
            }
            Self::LeasedInRuntimeDirectory => {
                let listed = variables(RUNTIME_DIRECTORY)
                    .ok_or_else(|| refused(&format_args!("{RUNTIME_DIRECTORY} is not set")))?;
                // Several are separated by colons.
                let first = listed.split(':').next().unwrap_or_default();
                TaskIdClaim::lease(first.as_ref(), pool, except).map_err(|reason| refused(&reason))
            }
            #[cfg(feature = "redis")]
            Self::LeasedInRedis(place) => {
                let time = format_args!("{:?}", place.lease);
                place.check_lease().map_err(|reason| ConfigError::setting("lease_time", time, reason))?;
                TaskIdClaim::lease_in_redis(place, pool).map_err(|reason| refused(&reason))
            }
        }
    }
}

/// As it is written in errors: `platform or leased(/run/shop)`.
impl fmt::Display for TaskIdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, choice) in self.choices.iter().enumerate() {
            write!(f, "{}{choice}", if place == 0 { "" } else { " or " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Fixed(number) => write!(f, "fixed({number})"),
            Self::Platform => f.write_str("platform"),
            Self::Hashed | Self::HashedByPlatform => f.write_str("hashed"),
            Self::Leased(directory) => write!(f, "leased({})", directory.display()),
            Self::LeasedInRuntimeDirectory => write!(f, "leased({RUNTIME_DIRECTORY})"),
            #[cfg(feature = "redis")]
            Self::LeasedInRedis(place) => write!(f, "leased_in_redis({place})"),
        }
    }
}
