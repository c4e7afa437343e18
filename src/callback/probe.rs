//! Probes: states that are polled at every collection rather than recorded.

mod state;
mod thread;

pub(crate) use self::thread::ProbeThread;

use crate::ledger::Ledger;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

/// The number of consecutive panics after which a probe is removed.
const MAX_PANICS: u32 = 3;

/// Polls a state, and sets the gauges that report it.
pub(crate) trait Collect: Send {
    fn collect(&mut self);

    /// Returns whether the polled object is gone for good.
    fn is_over(&self) -> bool {
        false
    }

    /// The probe's name in reports of late probes: the tag of its gauges, for example `pool:primary`.
    fn name(&self) -> String {
        String::new()
    }

    /// The probe's gauges, which are absent while it is late.
    fn levels(&self) -> Option<Arc<dyn Levels>> {
        None
    }
}

/// The gauges of a probe.
pub(crate) trait Levels: fmt::Debug + Send + Sync {
    /// Makes the gauges absent until the probe sets them again.
    fn make_absent(&self);
}

/// Keeps a pool or a queue watched. Dropping it ends the watch: what was already collected is sent, and then the gauges
/// are no longer sent.
///
/// A watch that is declared after the [`Guard`](crate::Guard) is dropped before it. To have the final state in the last
/// flush, call [`shutdown`](crate::Guard::shutdown) while the watch is alive.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::QueueStatus;
///
/// let watch = client.watch_queue("mail", || QueueStatus::new().depth(3));
/// drop(watch); // queue.depth is no longer sent
/// client.watch_queue("mail", || QueueStatus::new().depth(3)).detach(); // sent until the client shuts down
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use = "the watching ends when this is dropped: `let _watch`, not `let _`"]
pub struct Watch {
    _watching: Arc<()>,
}

impl Watch {
    /// Keeps the watch active until the worker stops.
    pub fn detach(self) {
        mem::forget(self);
    }

    pub(crate) fn new(watching: Arc<()>) -> Self {
        Self { _watching: watching }
    }
}

/// Makes the probe for a process's worker. The argument says whether it is for a forked child rather than for this
/// process.
pub(crate) trait Probes: Fn(bool) -> Option<Box<dyn Collect>> + Send + 'static {}

impl<F: Fn(bool) -> Option<Box<dyn Collect>> + Send + 'static> Probes for F {}

/// A probe that a forked child inherits.
pub(crate) struct InheritedProbe {
    watching: Weak<()>,
    probes: Box<dyn Probes>,
}

impl InheritedProbe {
    pub(crate) fn new(watching: &Arc<()>, probes: Box<dyn Probes>) -> Self {
        Self { watching: Arc::downgrade(watching), probes }
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watching.strong_count() > 0
    }

    /// Runs in a forked child, and returns the child's own probe.
    pub(crate) fn inherit(&self) -> Option<Watched> {
        let probe = (self.probes)(true).filter(|_| self.is_watched())?;
        Some(Watched::for_as_long_as(Weak::clone(&self.watching), probe))
    }
}

impl fmt::Debug for InheritedProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InheritedProbe").field("is_watched", &self.is_watched()).finish_non_exhaustive()
    }
}

/// A probe, for the thread that polls it.
pub(crate) struct Watched {
    // `None` only while this is being dropped.
    probe: Option<Box<dyn Collect>>,
    watching: Weak<()>,
    panics_in_a_row: u32,
}

impl Watched {
    pub(crate) fn new(probe: Box<dyn Collect>) -> (Self, Arc<()>) {
        let watching = Arc::new(());
        (Self::for_as_long_as(Arc::downgrade(&watching), probe), watching)
    }

    pub(crate) fn for_as_long_as(watching: Weak<()>, probe: Box<dyn Collect>) -> Self {
        Self { probe: Some(probe), watching, panics_in_a_row: 0 }
    }

    pub(crate) fn name(&self) -> String {
        self.probe.as_ref().map(|probe| probe.name()).unwrap_or_default()
    }

    pub(crate) fn levels(&self) -> Option<Arc<dyn Levels>> {
        self.probe.as_ref()?.levels()
    }

    /// Polls the probe. Returns `false` if the probe is to be removed.
    pub(crate) fn collect(&mut self, ledger: &Ledger) -> bool {
        if self.watching.strong_count() == 0 {
            return false;
        }
        // After a panic halfway, a probe may report a mixed state at its next turn. Nothing else is affected.
        let probe = self.probe.iter_mut();
        if catch_unwind(AssertUnwindSafe(|| probe.for_each(|probe| probe.collect()))).is_ok() {
            self.panics_in_a_row = 0;
            return !self.probe.iter().any(|probe| probe.is_over());
        }
        ledger.probe_panics.add(1);
        self.panics_in_a_row += 1;
        let removed = self.panics_in_a_row >= MAX_PANICS;
        ledger.probes_removed.add(u64::from(removed));
        !removed
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // What a closure captured may panic when it is dropped. A second panic during unwinding would abort the
        // process.
        let probe = self.probe.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(probe)));
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("panics_in_a_row", &self.panics_in_a_row).finish_non_exhaustive()
    }
}
