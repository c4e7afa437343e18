//! All holders of one thing.

use super::metrics::{Folded, HOLDER, HolderMetrics, Patterns, Refused, Registration};
use super::report::HoldersReport;
use crate::api::dimension::bounded::OTHER;
use crate::api::dimension::slots::Slots;
use crate::api::handle::Gauge;
use crate::callback::probe::{Collect, Watch};
use crate::callback::watch_name::WatchName;
use crate::ledger::Share;
use crate::process::fork;
use std::fmt;
use std::sync::{Arc, Weak};

/// The maximum number of holders, each of which takes two distributions.
pub(super) const MAX_HOLDERS: usize = 256;

/// All holders of one thing, each in a slot of its own, and what names without a slot become.
pub(super) struct Roster {
    name: String,
    patterns: Patterns,
    slots: Slots<Listed>,
    other: Arc<HolderMetrics>,
    folded: Share,
    // The oldest holds are reported for as long as this lives. It is `None` if another set of holders reports them.
    _oldest_holds: Option<(Watch, Arc<WatchName>)>,
}

/// A holder in the roster.
struct Listed {
    metrics: Arc<HolderMetrics>,
    // It is the roster's, so that it ends with the reports of the oldest holds.
    oldest_hold: Gauge,
}

impl Listed {
    fn register<R: Registration>(patterns: &Patterns, name: &str) -> Result<Self, R::Refusal> {
        let oldest_hold = R::handle(&patterns.oldest_hold, &[(HOLDER, name)])?;
        Ok(Self { metrics: Arc::new(HolderMetrics::register::<R>(patterns, name)?), oldest_hold })
    }

    /// Sets the gauge, which is 0 while nothing is held.
    fn report_oldest_hold(&self) {
        self.oldest_hold.set(self.metrics.oldest_hold().unwrap_or_default().as_secs_f64());
    }
}

impl Roster {
    /// Creates a roster with room for `limit` names, and `kept` ones that are always there. `watch_name` is what no
    /// other set of holders may report under.
    pub(super) fn new(
        name: String,
        patterns: Patterns,
        limit: usize,
        kept: &[&str],
        watch_name: Arc<WatchName>,
    ) -> Arc<Self> {
        let slots = Slots::new(limit, kept.len());
        let Ok(other) = Listed::register::<Folded>(&patterns, OTHER);
        let metrics = Arc::clone(&other.metrics);
        slots.fill(OTHER, other);
        for name in kept {
            let Ok(()) = slots.keep(name, |name| Listed::register::<Folded>(&patterns, name));
        }
        let folded = patterns.client().shared().ledger.folded_values.share();
        Arc::new_cyclic(|roster| {
            let oldest_holds = watch(roster, &patterns, watch_name);
            Self { name, patterns, slots, other: metrics, folded, _oldest_holds: oldest_holds }
        })
    }

    /// Returns the holder of this name, or `other`.
    pub(super) fn of(&self, name: &str) -> &Arc<HolderMetrics> {
        let make = |name: &str| Listed::register::<Refused>(&self.patterns, name).ok();
        match self.slots.at(name, make) {
            Some(listed) => &listed.metrics,
            None => self.fold(),
        }
    }

    #[cold]
    fn fold(&self) -> &Arc<HolderMetrics> {
        self.folded.add_one();
        &self.other
    }

    pub(super) fn folded(&self) -> u64 {
        self.folded.get()
    }

    pub(super) fn report(&self) -> HoldersReport {
        fork::check();
        HoldersReport::new(&self.name, self.slots.iter().map(|listed| &*listed.metrics))
    }
}

/// Watches the oldest holds, in this process and in forked children. Returns `None` if another set of holders has the
/// name, because the two would overwrite each other's gauges.
fn watch(
    roster: &Weak<Roster>,
    patterns: &Patterns,
    name: Arc<WatchName>,
) -> Option<(Watch, Arc<WatchName>)> {
    let shared = patterns.client().shared();
    let roster = Weak::clone(roster);
    let watching = shared.watch_in_every_process(move |_| {
        let probe: Box<dyn Collect> = Box::new(OldestHolds { roster: Weak::clone(&roster) });
        Some(probe)
    });
    if shared.is_disabled || shared.post().take_watch_name(&name, &watching) {
        return Some((Watch::new(watching), name));
    }
    shared.ledger.refused_watches.add(1);
    None
}

/// Reports the oldest hold of each holder, as long as there is a roster.
struct OldestHolds {
    roster: Weak<Roster>,
}

impl Collect for OldestHolds {
    fn collect(&mut self) {
        let Some(roster) = self.roster.upgrade() else { return };
        roster.slots.iter().for_each(Listed::report_oldest_hold);
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster")
            .field("name", &self.name)
            .field("slots", &self.slots)
            .field("folded", &self.folded())
            .finish_non_exhaustive()
    }
}
