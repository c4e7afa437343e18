//! All holders of one thing.

use super::holder::Holder;
use super::metrics::{Folded, HolderMetrics, Patterns, Refused};
use super::report::HoldersReport;
use crate::api::dimension::bounded::OTHER;
use crate::api::dimension::places::Places;
use crate::callback::probe::{Collect, Watch};
use crate::callback::watch_name::WatchName;
use crate::ledger::Share;
use crate::process::fork;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Weak};

/// The maximum number of holders, each of which takes two distributions.
pub(super) const MAX_HOLDERS: usize = 256;

/// All holders of one thing, each in a place of its own, and what names without a place become.
pub(super) struct Roster {
    name: String,
    patterns: Patterns,
    places: Places<Holder>,
    other: Holder,
    folded: Share,
    // The oldest holds are reported for as long as this lives. It is `None` if another set of holders reports them.
    _oldest_holds: Option<(Watch, Arc<WatchName>)>,
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
        let always = |name: &str| {
            let Ok(metrics) = HolderMetrics::register::<Folded>(&patterns, name);
            Holder::new(metrics)
        };
        let places = Places::new(limit, kept.len());
        let other = always(OTHER);
        places.fill(OTHER, other.clone());
        for name in kept {
            let Ok(()) = places.keep(name, |name| Ok::<_, Infallible>(always(name)));
        }
        let folded = patterns.client().shared().ledger.folded_values.share();
        Arc::new_cyclic(|roster| {
            let oldest_holds = watch(roster, &patterns, watch_name);
            Self { name, patterns, places, other, folded, _oldest_holds: oldest_holds }
        })
    }

    /// Returns the holder of this name, or `other`.
    pub(super) fn of(&self, name: &str) -> &Holder {
        let make =
            |name: &str| HolderMetrics::register::<Refused>(&self.patterns, name).ok().map(Holder::new);
        self.places.at(name, make).unwrap_or_else(|| self.fold())
    }

    #[cold]
    fn fold(&self) -> &Holder {
        self.folded.add_one();
        &self.other
    }

    pub(super) fn other(&self) -> &Holder {
        &self.other
    }

    pub(super) fn folded(&self) -> u64 {
        self.folded.get()
    }

    pub(super) fn report(&self) -> HoldersReport {
        fork::check();
        HoldersReport::new(&self.name, self.places.iter().map(Holder::metrics))
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

/// Reports the oldest hold of each holder. The roster need not stay for it.
struct OldestHolds {
    roster: Weak<Roster>,
}

impl Collect for OldestHolds {
    fn collect(&mut self) {
        let Some(roster) = self.roster.upgrade() else { return };
        roster.places.iter().for_each(|holder| holder.metrics().report_oldest_hold());
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster")
            .field("name", &self.name)
            .field("places", &self.places)
            .field("folded", &self.folded())
            .finish_non_exhaustive()
    }
}
