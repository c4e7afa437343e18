//! What handles, the client and the worker share.

use crate::callback::probe::{Collect, InheritedProbe, ProbeThread, Probes, Watched};
use crate::callback::watch_name::WatchName;
use crate::cell::Stock;
use crate::context::handle_cache::{self, HandleCaches};
use crate::context::index::{Index, Limits};
use crate::ledger::{DropReason, Ledger, Stats};
use crate::mailbox::post::Post;
use crate::mailbox::record::Record;
use crate::mailbox::workforce::{Unstarted, Workforce};
use crate::process::clock::Clock;
#[cfg(feature = "testing")]
use crate::process::clock::Driven;
use crate::process::fork::{self, Freeze, Held, PerProcess, Resident, make_whole};
use crate::task_id::{TaskId, TaskIdClaim, TaskIdOn, TaskIdSourceKind};
use crate::wire::encode::Spelling;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, mem};

/// How long a restored process waits until the worker of the original has stopped.
const OUTLIVING_TIMEOUT: Duration = Duration::from_secs(1);

/// The capacities of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) agents: usize,
    /// The number of records.
    pub(crate) channel_capacity: usize,
}

/// The rules that determine how many time series a context creates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesRules {
    pub(crate) task_id_on: TaskIdOn,
    /// Whether the main agent gets distributions as summaries.
    pub(crate) sends_summaries: bool,
}

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<Ledger>,
    /// The ledgers of the other agents.
    pub(crate) other_ledgers: Vec<Arc<Ledger>>,
    pub(crate) index: Index,
    pub(crate) handle_caches: HandleCaches,
    post: PerProcess<Post>,
    // Probes that a forked child inherits. The lock is held during a fork, so that no child finds it locked by another
    // thread.
    inherited_probes: Mutex<Vec<InheritedProbe>>,
    // The worker of a child that was refused a thread.
    unstarted: Mutex<Option<Box<dyn Unstarted>>>,
    workforce: Arc<dyn Workforce<Self>>,
    channel_capacity: usize,
    pub(crate) series: SeriesRules,
    /// Whether this belongs to a disabled client. Its ledger is never read.
    pub(crate) is_disabled: bool,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        limits: Limits,
        spelling: Spelling,
        claim: &Arc<TaskIdClaim>,
        sizes: Sizes,
        series: SeriesRules,
        workforce: Arc<dyn Workforce<Self>>,
    ) -> Self {
        let ledger = Arc::<Ledger>::default();
        let other_ledgers: Vec<_> = (1..sizes.agents).map(|_| Arc::default()).collect();
        let ledgers: Vec<_> = [&ledger].into_iter().chain(&other_ledgers).cloned().collect();
        let probes = ProbeThread::new(clock.clone(), ledgers.clone());
        let post = Post::new(claim, sizes.channel_capacity, 0, probes);
        Self {
            clock,
            ledger,
            other_ledgers,
            index: Index::new(limits, spelling, ledgers.into()),
            handle_caches: HandleCaches::default(),
            post: PerProcess::new(post),
            inherited_probes: Mutex::default(),
            unstarted: Mutex::default(),
            workforce,
            channel_capacity: sizes.channel_capacity,
            series,
            is_disabled: false,
        }
    }

    /// Returns the way to this process's worker.
    pub(crate) fn post(&self) -> &Post {
        self.post.get()
    }

    /// Returns the same for the worker, which keeps its own one if the process starts over.
    pub(crate) fn share_post(&self) -> Arc<Post> {
        self.post.share()
    }

    pub(crate) fn task_id(&self) -> TaskId {
        self.post().identity.task_id()
    }

    /// Sends a record to the worker, or returns the reason why it was dropped.
    #[inline]
    pub(crate) fn offer(&self, record: Record) -> Option<DropReason> {
        if fork::check() {
            return Some(self.refuse_reentrant(&record));
        }
        self.post().channel.offer(record, &self.ledger)
    }

    /// Returns the tables for distributions that have no room. There are none in a forked child while this very thread
    /// is starting the worker: the stock is then still the parent's, possibly in the middle of a change.
    pub(crate) fn stock(&self) -> Option<&Stock> {
        if fork::check() { None } else { Some(&self.post().stock) }
    }

    /// Prepares the stock for one more distribution. The caller holds the index's lock, for which a forked child that
    /// starts over would wait: until then the stock is the parent's, and is left alone.
    pub(crate) fn expect_distribution(&self) {
        if !fork::is_growing() {
            self.post().stock.expect_another();
        }
    }

    /// An allocator that counts may call this in a forked child while this very thread is starting the worker. The
    /// channel is then still the parent's, possibly in the middle of a change.
    #[cold]
    fn refuse_reentrant(&self, record: &Record) -> DropReason {
        self.ledger.refuse(DropReason::AfterShutdown, record.values());
        DropReason::AfterShutdown
    }

    /// Counts values as dropped that were not stored anywhere, and returns the reason.
    #[cold]
    #[allow(clippy::unnecessary_wraps, reason = "it is what its callers answer")]
    pub(crate) fn refuse(&self, reason: DropReason, values: u64) -> Option<DropReason> {
        fork::check();
        self.ledger.refuse(reason, values);
        Some(reason)
    }

    /// Polls a user's probe on a separate thread. If another watch has the name, the probe is refused and counted.
    /// After the shutdown it is dropped, because nothing would poll it.
    pub(crate) fn watch_as(&self, name: &Arc<WatchName>, probe: Box<dyn Collect>) -> Arc<()> {
        self.try_watch_as(name, probe).unwrap_or_default()
    }

    fn try_watch_as(&self, name: &Arc<WatchName>, probe: Box<dyn Collect>) -> Option<Arc<()>> {
        fork::check();
        if self.is_disabled {
            return None;
        }
        let (watched, watching) = Watched::new(probe);
        let refused = if self.post().take_watch_name(name, &watching) {
            self.post().watch_on_thread(watched)
        } else {
            self.ledger.refused_watches.add(1);
            Some(watched)
        };
        // The probe is dropped without holding the lock, because it may hold anything.
        refused.is_none().then_some(watching)
    }

    /// Does the same as [`watch_as`](Self::watch_as), and has the worker of a forked child poll a probe of its own.
    pub(crate) fn watch_as_in_every_process(&self, name: &Arc<WatchName>, probes: impl Probes) -> Arc<()> {
        let Some(watching) = probes(false).and_then(|probe| self.try_watch_as(name, probe)) else {
            return Arc::default();
        };
        self.bequeath(&watching, probes);
        watching
    }

    /// Makes the worker poll one of the client's own probes, and likewise the worker of a forked child.
    pub(crate) fn watch_in_every_process(&self, probes: impl Probes) -> Arc<()> {
        if self.is_disabled {
            return Arc::default();
        }
        let watching = probes(false).map(|probe| {
            fork::check();
            let (watched, watching) = Watched::new(probe);
            drop(self.post().watch(watched));
            watching
        });
        let watching = watching.unwrap_or_default();
        self.bequeath(&watching, probes);
        watching
    }

    /// Leaves a probe to forked children.
    fn bequeath(&self, watching: &Arc<()>, probes: impl Probes) {
        let _whole = make_whole();
        let mut inherited_probes = self.inherited_probes.lock().unwrap_or_else(PoisonError::into_inner);
        inherited_probes.retain(InheritedProbe::is_watched);
        inherited_probes.push(InheritedProbe::new(watching, Box::new(probes)));
    }

    pub(crate) fn stats(&self) -> Stats {
        fork::check();
        if self.is_disabled {
            return Stats::default();
        }
        let post = self.post();
        // No worker will take these values, so reading the statistics does. In this way a call site need not check for
        // the shutdown.
        let late_values = post.take_late_values(&self.index);
        if let Some(values) = late_values {
            self.ledger.refuse(DropReason::AfterShutdown, values.wrapping_add(post.take_late_records()));
        }
        let mut stats = self.stats_from(&self.ledger, 0);
        stats.late_probes = post.probes.late();
        stats
    }

    fn stats_from(&self, ledger: &Ledger, agent: usize) -> Stats {
        let mut stats = ledger.stats(self.index.len());
        stats.clashing_contexts = self.index.clashing(agent) as u64;
        stats
    }

    /// Returns the ledgers of all agents, of which the main one's is first.
    fn ledgers(&self) -> Vec<Arc<Ledger>> {
        [&self.ledger].into_iter().chain(&self.other_ledgers).cloned().collect()
    }

    /// Returns the statistics of one agent. The main one has index 0.
    pub(crate) fn stats_of(&self, agent: usize) -> Option<Stats> {
        match agent.checked_sub(1) {
            None => Some(self.stats()),
            Some(other) => self.other_ledgers.get(other).map(|ledger| self.stats_from(ledger, agent)),
        }
    }

    /// Replaces a forked child's inherited statistics, values, worker and task id with its own. Returns `false` if the
    /// system refused a thread: [`start_worker`](Self::start_worker) then tries again.
    pub(crate) fn start_over(self: &Arc<Self>) -> bool {
        let had_ended = self.post().channel.is_closed();
        let probes = ProbeThread::new(self.clock.clone(), self.ledgers());
        let claim = self.renew_post(probes);
        let inherited_probes = self.inherited_probes.lock().unwrap_or_else(PoisonError::into_inner);
        for probe in inherited_probes.iter().filter_map(InheritedProbe::inherit) {
            drop(self.post().watch(probe));
        }
        drop(inherited_probes);
        self.employ(claim, had_ended)
    }

    /// Does the same as [`start_over`](Self::start_over) in a process that was restored from a snapshot. Its threads
    /// still exist, and so do its watches.
    pub(crate) fn start_over_restored(self: &Arc<Self>) -> bool {
        let before = self.post.share();
        let had_ended = before.channel.is_closed();
        // The probes' threads still exist.
        let claim = self.renew_post(Arc::clone(&before.probes));
        self.post().take_over_watch_names(&before);
        for probe in before.take_arriving_probes() {
            drop(self.post().watch(probe));
        }
        self.employ(claim, had_ended)
    }

    /// Called in a restored process. Stops the worker of the original, which must not send anything here, and keeps its
    /// probes.
    pub(crate) fn outlive_worker(&self) {
        self.post().abandon_claim();
        self.post().control.outlive(OUTLIVING_TIMEOUT);
    }

    /// Resets the statistics to 0, and creates a new task id and post.
    fn renew_post(&self, probes: Arc<ProbeThread>) -> Arc<TaskIdClaim> {
        self.ledgers().iter().for_each(|ledger| ledger.clear());
        let parents = self.task_id();
        self.post().disclaim();
        let claim = self.workforce.childs_task_id(parents);
        self.note_sharing(&claim);
        let distributions = self.post().stock.distributions();
        self.post.renew(Post::new(&claim, self.channel_capacity, distributions, probes));
        claim
    }

    /// Starts the worker of a process that starts over, unless its predecessor had already been shut down.
    fn employ(self: &Arc<Self>, claim: Arc<TaskIdClaim>, had_ended: bool) -> bool {
        // A child of a child that was refused a thread has inherited that child's worker.
        mem::forget(self.unstarted().take());
        match self.workforce.worker(self, claim) {
            Some(worker) if !had_ended => {
                *self.unstarted() = Some(worker);
                self.start_worker()
            }
            // Values are counted as if they came after a shutdown.
            _ => {
                self.end();
                true
            }
        }
    }

    /// Starts the worker that has no thread yet. Returns `false` if the system refuses a thread.
    pub(crate) fn start_worker(&self) -> bool {
        let mut unstarted = self.unstarted();
        match unstarted.take().map(Unstarted::start) {
            None => true,
            Some(Ok(thread)) => {
                self.post().employ(thread);
                true
            }
            Some(Err(worker)) => {
                *unstarted = Some(worker);
                false
            }
        }
    }

    /// Returns whether there is a worker to wait for. With `for_good`, a worker without a thread is given up, and its
    /// values are counted as if they came after a shutdown.
    pub(crate) fn has_worker(&self, for_good: bool) -> bool {
        if !fork::is_growing() {
            return true;
        }
        // While this is held, no other thread forks.
        let whole = make_whole();
        let mut unstarted = self.unstarted();
        if unstarted.is_none() {
            return true;
        }
        let given_up = if for_good { unstarted.take() } else { None };
        drop((unstarted, whole));
        if let Some(worker) = given_up {
            worker.end_unstarted();
        }
        false
    }

    fn unstarted(&self) -> MutexGuard<'_, Option<Box<dyn Unstarted>>> {
        self.unstarted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a task id that other tasks may share.
    pub(crate) fn note_sharing(&self, claim: &TaskIdClaim) {
        self.ledger
            .shared_task_ids
            .add(u64::from(claim.known_task_id().source() == TaskIdSourceKind::Shared));
    }

    /// There is no worker any more.
    pub(super) fn end(&self) {
        self.post().channel.close();
        self.post().probes.close(self.clock.now());
        self.post().leave(self.workforce.remains(self));
        self.post().control.end();
    }
}

impl Resident for Shared {
    fn freeze(&self, further: &mut Vec<Arc<dyn Freeze>>) -> Vec<Box<dyn Held + '_>> {
        let known = self.handle_caches.freeze();
        further.extend(handle_cache::present(&known).map(|handle_cache| handle_cache as Arc<dyn Freeze>));
        vec![Box::new(known), Box::new(self.index.freeze())]
    }

    fn start_over(self: Arc<Self>) -> bool {
        Self::start_over(&self)
    }

    fn start_over_restored(self: Arc<Self>) -> bool {
        Self::start_over_restored(&self)
    }

    fn start_worker(&self) -> bool {
        self.start_worker()
    }

    fn outlive_worker(&self) {
        self.outlive_worker();
    }
}

#[cfg(feature = "testing")]
impl Driven for Shared {
    fn look_at_clock(&self, timeout: Duration) {
        self.post().look_at_clock(timeout);
    }
}

/// The output leaves out the contexts, which are too many for printing a handle.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("task_id", &self.task_id()).finish_non_exhaustive()
    }
}
