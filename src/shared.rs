//! What handles, the client and the worker have in common.

use crate::clock::Clock;
use crate::config::ClientBuilder;
use crate::encode::Spelling;
use crate::fork::{PerProcess, make_whole};
use crate::index::{Index, Limits};
use crate::keeper::Keepers;
use crate::ledger::{DropReason, Ledger, Stats};
use crate::post::Post;
use crate::probe::{Collect, Heirloom, ProbeThread, Probes, Watched};
use crate::record::Record;
use crate::registry::Registry;
use crate::task_id::{TaskId, TaskIdClaim, TaskIdSourceKind};
use crate::watch::WatchName;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<Ledger>,
    /// Of the other agents: what became of values on the way to them.
    pub(crate) other_ledgers: Vec<Arc<Ledger>>,
    pub(crate) index: Index,
    pub(crate) keepers: Keepers,
    post: PerProcess<Post>,
    // Probes of which a forked child gets its own. Locked while a fork waits, so that no child finds it locked.
    heirlooms: Mutex<Vec<Heirloom>>,
    // From which a forked child builds its own worker.
    settings: ClientBuilder,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        limits: Limits,
        spelling: Spelling,
        claim: &Arc<TaskIdClaim>,
        settings: ClientBuilder,
    ) -> Self {
        let ledger = Arc::<Ledger>::default();
        let other_ledgers: Vec<_> = settings.other_agents().map(|_| Arc::default()).collect();
        let ledgers: Vec<_> = [&ledger].into_iter().chain(&other_ledgers).cloned().collect();
        let probes = ProbeThread::new(clock.clone(), ledgers.clone());
        let post = Post::new(claim, settings.records(), probes);
        Self {
            clock,
            ledger,
            other_ledgers,
            index: Index::new(limits, spelling, ledgers.into()),
            keepers: Keepers::default(),
            post: PerProcess::new(post),
            heirlooms: Mutex::default(),
            settings,
        }
    }

    pub(crate) fn settings(&self) -> &ClientBuilder {
        &self.settings
    }

    /// What leads to this process's worker.
    pub(crate) fn post(&self) -> &Post {
        self.post.get()
    }

    pub(crate) fn task_id(&self) -> TaskId {
        self.post().identity.task_id()
    }

    /// Hands a record to the worker, or says why it was dropped.
    #[inline]
    pub(crate) fn offer(&self, record: Record) -> Option<DropReason> {
        crate::fork::check();
        self.post().channel.offer(record, &self.ledger)
    }

    /// Books values that are dropped before they are anywhere, and says why they were.
    #[cold]
    #[allow(clippy::unnecessary_wraps, reason = "it is what its callers answer")]
    pub(crate) fn refuse(&self, reason: DropReason, values: u64) -> Option<DropReason> {
        crate::fork::check();
        self.ledger.refuse(reason, values);
        Some(reason)
    }

    /// Has a user's probe asked, on a thread of its own, unless something else is watched by the name: then the probe is
    /// refused and counted. After the end it is dropped: nobody would ask it.
    pub(crate) fn watch_as(&self, name: &Arc<WatchName>, probe: Box<dyn Collect>) -> Arc<()> {
        crate::fork::check();
        let (watched, watching) = Watched::new(probe);
        let refused = if self.post().take_watch_name(name, &watching) {
            self.post().probes.watch(watched)
        } else {
            self.ledger.refused_watches.add(1);
            Some(watched)
        };
        // Not under the lock: what it holds may be anything.
        drop(refused);
        watching
    }

    /// Has the worker ask a probe of the client's own, and a forked child's worker too.
    pub(crate) fn watch_in_every_process(&self, probes: impl Probes) -> Arc<()> {
        let watching = probes(false).map(|probe| {
            crate::fork::check();
            let (watched, watching) = Watched::new(probe);
            drop(self.post().watch(watched));
            watching
        });
        let watching = watching.unwrap_or_default();
        let _whole = make_whole();
        let mut heirlooms = self.heirlooms.lock().unwrap_or_else(PoisonError::into_inner);
        heirlooms.retain(Heirloom::is_watched);
        heirlooms.push(Heirloom::new(&watching, Box::new(probes)));
        watching
    }

    pub(crate) fn stats(&self) -> Stats {
        crate::fork::check();
        let post = self.post();
        let late_values = post.with_remains(|registry| {
            // No worker will ever take these, so whoever asks does: a call site need not check for the end.
            registry.welcome(self.index.take_arrivals());
            registry.take_values()
        });
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

    /// Of all agents, the main one's first.
    fn ledgers(&self) -> Vec<Arc<Ledger>> {
        [&self.ledger].into_iter().chain(&self.other_ledgers).cloned().collect()
    }

    /// The books of one agent; 0 is the main one.
    pub(crate) fn stats_of(&self, agent: usize) -> Option<Stats> {
        match agent.checked_sub(1) {
            None => Some(self.stats()),
            Some(other) => self.other_ledgers.get(other).map(|ledger| self.stats_from(ledger, agent)),
        }
    }

    /// Makes a forked child's own out of what it was born with: books, values, worker and task id.
    pub(crate) fn start_over(self: &Arc<Self>) {
        let had_ended = self.post().channel.is_closed();
        self.ledgers().iter().for_each(|ledger| ledger.clear());
        // All contexts are known anew, and what is in their cells is the parent's to report.
        let registry = || Registry::inherited(self.index.take_over(), &self.clock);
        self.post().disclaim();
        // What could be had in the parent may be out of reach here: a full pool, a directory that is gone.
        let claim = self.settings.claimed_task_id();
        let claim = claim.unwrap_or_else(|_| Arc::new(TaskIdClaim::new(TaskId::stand_in())));
        self.note_sharing(&claim);
        let probes = ProbeThread::new(self.clock.clone(), self.ledgers());
        self.post.renew(Post::new(&claim, self.settings.records(), probes));
        let heirlooms = self.heirlooms.lock().unwrap_or_else(PoisonError::into_inner);
        for probe in heirlooms.iter().filter_map(Heirloom::inherit) {
            drop(self.post().watch(probe));
        }
        let worker = self.settings.worker(self, claim, registry()).ok().filter(|_| !had_ended);
        match worker.and_then(|worker| worker.spawn().ok()) {
            Some(thread) => self.post().employ(thread),
            // Out of threads, or there was no worker before: values are booked as those after a shutdown are.
            None => self.end(registry()),
        }
    }

    /// Counts a task id that other tasks may have.
    pub(crate) fn note_sharing(&self, claim: &TaskIdClaim) {
        self.ledger.shared_task_ids.add(u64::from(claim.task_id().source() == TaskIdSourceKind::Shared));
    }

    /// There is no worker.
    fn end(&self, registry: Registry) {
        self.post().channel.close();
        self.post().probes.close(self.clock.now());
        self.post().leave(registry);
        self.post().control.end();
    }
}

/// All contexts are behind it: too much for whoever prints a handle.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("task_id", &self.task_id()).finish_non_exhaustive()
    }
}
