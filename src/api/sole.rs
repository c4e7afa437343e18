//! One task that reports what belongs to all of them.

use crate::api::client::Client;
use crate::callback::probe::{Collect, Watch};
use crate::process::clock::Clock;
use crate::process::fork::{self, PerProcess};
use crate::task_id::{TaskIdClaim, TaskIdSource, TaskIdSourceKind};
use crate::vocabulary::error::ConfigError;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The nanoseconds between two looks at the lease.
const LOOK_NANOS: u64 = 1_000_000_000;
/// The nanoseconds after which a holder shows again that it is running.
const SHOW_NANOS: u64 = 10 * LOOK_NANOS;

/// A lease that one task of a service has, so that it alone reports what belongs to all of them: the connections of a
/// database, or a queue in Redis. [`Client::sole_reporter`] creates one.
///
/// Give it to a watch with [`WatchBuilder::by`](crate::WatchBuilder::by). All tasks make the watch. Only the task that
/// has the lease polls it and sends its gauges, without a task id. In all other tasks the gauges are absent.
///
/// The lease is taken over when its holder ends:
///
/// | lease | the holder shuts down, or drops the reporter | the holder is killed | the holder is stopped or cut off |
/// |---|---|---|---|
/// | [`leased`](TaskIdSource::leased), on one host | within 1 s | within 1 s | never, as the system keeps the lock |
/// | `leased_in_redis`, on all hosts | within a sixth of the lease time | after the lease time and a sixth of it | the same |
///
/// A collection, up to 250 ms by default, and a flush come on top of this. The lease time is 30 s by default, so nobody
/// reports for up to 35 s after a holder in Redis was killed. Two tasks never report at the same time: a holder that
/// can't renew its lease in Redis stops after two thirds of the lease time. An exception is a lease file that is
/// deleted while its holder is running, which a holder notices within 1 s. The gauges of a holder that stops are sent
/// no more, so that no stale value stays beside the next holder's.
///
/// If the Datadog Agent adds the tag `host`, the series changes with the holder. Take the maximum over hosts, never the
/// sum, since the Agent and the server fill in gaps with the last value.
///
/// A forked child takes part with a lease of its own. A child that uses no metric keeps its parent's lock of a file for
/// as long as it lives, so nobody takes over from the parent until then. After [`after_restore`](crate::after_restore),
/// the process starts without the lease.
///
/// ```no_run
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::{QueueStatus, TaskIdSource};
///
/// # fn waiting_in_database() -> u64 { 0 }
/// let sole = client.sole_reporter(TaskIdSource::leased("/run/shop/mail-queue"))?;
/// client.queue("mail").by(&sole).watch(|| QueueStatus::new().depth(waiting_in_database())).detach();
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "the lease is given back when all clones of this are dropped"]
pub struct SoleReporter {
    lease: Arc<Lease>,
    _watch: Arc<Watch>,
}

/// The lease, of which each process has its own.
struct Lease {
    source: TaskIdSource,
    // Empty in a forked child that can't lease yet.
    claimed: PerProcess<OnceLock<Claimed>>,
}

/// A claim, and the process that made it.
struct Claimed {
    claim: TaskIdClaim,
    generation: u32,
}

impl SoleReporter {
    /// Returns whether this task has the lease, and may report. A [watch](crate::WatchBuilder::by) asks by itself; use
    /// this for what is reported in another way.
    ///
    /// It makes no system call but that of the clock.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("tasktag-doc-sole-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// let sole = guard.client().sole_reporter(tasktag::TaskIdSource::leased(&folder))?;
    /// assert!(sole.is_held(), "nobody else asked for it");
    /// # drop(sole);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_held(&self) -> bool {
        fork::check();
        self.lease.is_held()
    }
}

impl fmt::Debug for SoleReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoleReporter").field("is_held", &self.lease.is_held()).finish_non_exhaustive()
    }
}

impl Lease {
    fn is_held(&self) -> bool {
        self.claimed.get().get().is_some_and(Claimed::is_held)
    }

    /// Takes the lease if it is free, and shows that this process is running if `shows` and if it has the lease.
    fn look(&self, shows: bool) {
        match self.claimed.get().get() {
            Some(claimed) if claimed.is_of_this_process() => claimed.look(shows),
            Some(originals) => {
                // The process was restored from a snapshot.
                originals.claim.abandon();
                self.start_over();
            }
            None if shows => self.claim(),
            None => {}
        }
    }

    /// Runs in a process that has the memory of another one.
    fn start_over(&self) {
        if let Some(parents) = self.claimed.get().get() {
            parents.claim.disclaim();
        }
        self.claimed.renew(OnceLock::new());
        self.claim();
    }

    /// What can't be claimed now is tried again later: a child may lack the right to use the directory for a while.
    fn claim(&self) {
        if let Ok(claimed) = Claimed::new(&self.source) {
            let _ = self.claimed.get().set(claimed);
        }
    }

    fn give_back(&self) {
        if let Some(claimed) = self.claimed.get().get().filter(|claimed| claimed.is_of_this_process()) {
            claimed.claim.give_back();
        }
    }
}

impl Claimed {
    fn new(source: &TaskIdSource) -> Result<Self, ConfigError> {
        Ok(Self { claim: source.claim_alone()?, generation: fork::generation() })
    }

    fn is_of_this_process(&self) -> bool {
        self.generation == fork::generation()
    }

    fn is_held(&self) -> bool {
        self.is_of_this_process() && self.claim.known_task_id().source() == TaskIdSourceKind::Leased
    }

    fn look(&self, shows: bool) {
        if shows {
            self.claim.show();
        } else {
            let _ = self.claim.task_id();
        }
    }
}

/// Looks at the lease, on the client's worker, for as long as there is a reporter.
struct LeaseProbe {
    lease: Arc<Lease>,
    clock: Clock,
    look_at: u64,
    show_at: u64,
}

impl Collect for LeaseProbe {
    fn collect(&mut self) {
        let now = self.clock.now();
        if now < self.look_at {
            return;
        }
        let shows = now >= self.show_at;
        self.look_at = now + LOOK_NANOS;
        if shows {
            self.show_at = now + SHOW_NANOS;
        }
        self.lease.look(shows);
    }
}

impl Drop for LeaseProbe {
    fn drop(&mut self) {
        self.lease.give_back();
    }
}

/// Lease of a sole reporter.
impl Client {
    /// Takes part in the choice of the one task that reports what belongs to all tasks of the service. The lease is
    /// [`leased`](TaskIdSource::leased) in a directory that exists and is used for this purpose alone, or
    /// `leased_in_redis` under a key of its own.
    ///
    /// The lease is given back when the client shuts down, and when all clones of the reporter are dropped. The
    /// client's worker looks at it every second.
    ///
    /// # Errors
    ///
    /// Fails if the source is no lease, if the directory can't be used, or if Redis does not answer within 3 s.
    pub fn sole_reporter(&self, source: TaskIdSource) -> Result<SoleReporter, ConfigError> {
        fork::check();
        let shared = self.shared();
        // A disabled client reports nothing, so it must not have what another task could report by.
        let claimed =
            if shared.is_disabled { OnceLock::new() } else { OnceLock::from(Claimed::new(&source)?) };
        let lease = Arc::new(Lease { source, claimed: PerProcess::new(claimed) });
        let (inherited, clock) = (Arc::downgrade(&lease), shared.clock.clone());
        let probe = move |is_child: bool| {
            let lease = inherited.upgrade()?;
            if is_child {
                lease.start_over();
            }
            let probe = LeaseProbe { lease, clock: clock.clone(), look_at: 0, show_at: 0 };
            Some(Box::new(probe) as Box<dyn Collect>)
        };
        let watch = Watch::new(shared.watch_in_every_process(probe));
        Ok(SoleReporter { lease, _watch: Arc::new(watch) })
    }
}
