//! What handles, the client and the worker have in common.

use crate::clock::Clock;
use crate::config::ClientBuilder;
use crate::fork::{PerProcess, make_whole};
use crate::index::{Index, Limits};
use crate::keeper::Keepers;
use crate::ledger::{DropReason, Ledger, Stats};
use crate::post::Post;
use crate::probe::{Collect, Heirloom, Probes, Watched};
use crate::record::Record;
use crate::registry::Registry;
use crate::task_id::{TaskId, TaskIdClaim, TaskIdSourceKind};
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
    pub(crate) fn new(clock: Clock, limits: Limits, post: Post, settings: ClientBuilder) -> Self {
        Self {
            clock,
            ledger: Arc::default(),
            other_ledgers: settings.other_agents().map(|_| Arc::default()).collect(),
            index: Index::new(limits),
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

    /// Hands a probe to the worker. Where there is none any more it is dropped: nobody would ask it.
    pub(crate) fn watch(&self, probe: Box<dyn Collect>) -> Arc<()> {
        crate::fork::check();
        let (watched, watching) = Watched::new(probe);
        let refused = self.post().watch(watched);
        // Not under the lock: what it holds may be anything.
        drop(refused);
        watching
    }

    /// As [`watch`](Self::watch), for what a forked child's worker is to ask too.
    pub(crate) fn watch_in_every_process(&self, probes: impl Probes) -> Arc<()> {
        let watching = probes(false).map(|probe| self.watch(probe)).unwrap_or_default();
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
        self.ledger.stats(self.index.len())
    }

    /// The books of one agent; 0 is the main one.
    pub(crate) fn stats_of(&self, agent: usize) -> Option<Stats> {
        match agent.checked_sub(1) {
            None => Some(self.stats()),
            Some(other) => self.other_ledgers.get(other).map(|ledger| ledger.stats(self.index.len())),
        }
    }

    /// Makes a forked child's own out of what it was born with: books, values, worker and task id.
    pub(crate) fn start_over(self: &Arc<Self>) {
        let had_ended = self.post().channel.is_closed();
        let ledgers = self.other_ledgers.iter().chain([&self.ledger]);
        ledgers.for_each(|ledger| ledger.clear());
        // All contexts are known anew, and what is in their cells is the parent's to report.
        let registry = || Registry::inherited(self.index.take_over(), &self.clock);
        let parents = self.task_id();
        self.post().disclaim();
        let claim = self.settings.childs_task_id(parents);
        self.note_sharing(&claim);
        self.post.renew(Post::new(&claim, self.settings.records()));
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
        self.ledger.shared_task_ids.add(u64::from(claim.known_task_id().source() == TaskIdSourceKind::Shared));
    }

    /// There is no worker.
    fn end(&self, registry: Registry) {
        self.post().channel.close();
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
