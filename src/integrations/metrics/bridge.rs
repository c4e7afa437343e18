//! Connects the facade to the client: finds a handle, or registers one.

use super::kept::{CounterHandle, GaugeHandle, HistogramHandle, Kept};
use super::recent::Remembered;
use super::refused::Refused;
use super::table::Table;
use super::{HistogramKind, labels};
use crate::api::client::Client;
use crate::api::handle::{Distribution, MetricBuilder};
use crate::context::handle_cache::{FlushInfo, GaugeId, HandleCache, SpareGauges};
use crate::ledger::DropReason;
use crate::process::fork::{self, Freeze, Held};
use crate::process::sync::wide::AtomicU64;
use crate::task_id::TaskId;
use crate::vocabulary::unit::{Scale, TimeUnit};
use metrics::{Key, Unit};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

/// The state of a recorder.
#[derive(Debug)]
pub(super) struct Bridge {
    // Tells this recorder's handles from another's in threads' tables.
    id: u64,
    pub(super) client: Client,
    settings: Settings,
    counters: Table<CounterHandle>,
    gauges: Table<GaugeHandle>,
    histograms: Table<HistogramHandle>,
    // Units of time, by the names of histograms.
    units: RwLock<HashMap<Box<str>, Unit>>,
    pub(super) invalid: Arc<Refused>,
    pub(super) crowded_out: Arc<Refused>,
}

/// The settings of a recorder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    pub(super) histograms: HistogramKind,
    pub(super) timings_by_unit: bool,
}

/// A kind of handle, and how a bridge makes it.
pub(super) trait Made: Remembered {
    fn table(bridge: &Bridge) -> &Table<Self>;
    fn builder<'a>(bridge: &'a Bridge, name: &'a str) -> MetricBuilder<'a, Self::Of>;
    fn make(bridge: &Bridge, name: &str, handle: Self::Of, is_overflow: bool) -> Self;
}

impl Bridge {
    pub(super) fn new(client: &Client, settings: Settings) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let refused = |reason| Arc::new(Refused { client: client.clone(), reason });
        let bridge = Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            client: client.clone(),
            settings,
            counters: Table::new(),
            gauges: Table::new(),
            histograms: Table::new(),
            units: RwLock::default(),
            invalid: refused(DropReason::Invalid),
            crowded_out: refused(DropReason::ContextLimit),
        });
        fork::check();
        let weak = Arc::downgrade(&bridge);
        client.shared().handle_caches.add(weak);
        bridge
    }

    /// How many counters, gauges and histograms are kept.
    pub(super) fn lens(&self) -> (usize, usize, usize) {
        (self.counters.len(), self.gauges.len(), self.histograms.len())
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// The handle of a key, or the reason why there is none.
    #[inline]
    pub(super) fn handle<H: Made>(&self, key: &Key) -> Result<Arc<Kept<H>>, DropReason> {
        match H::recent(|recent| recent.find(self.id, key)).flatten() {
            Some(kept) => Ok(kept),
            None => self.handle_slowly(key),
        }
    }

    #[cold]
    #[inline(never)]
    fn handle_slowly<H: Made>(&self, key: &Key) -> Result<Arc<Kept<H>>, DropReason> {
        // Must come before anything that a forked child would find locked.
        fork::check();
        if let Some(kept) = H::table(self).find(key) {
            H::recent(|recent| recent.remember(self.id, &kept));
            return Ok(kept);
        }
        let is = |id: TaskId, value: &str| id.as_str() == value;
        let is_own = |value: &str| {
            is(self.client.task_id(), value) || TaskId::decided().is_some_and(|id| is(id, value))
        };
        let Some((plain, task_ids)) = labels::plain(key, is_own) else { return self.place(key) };
        self.client.shared().ledger.refused_tags.add(task_ids);
        let kept = self.handle(&plain)?;
        H::table(self).alias(key, &kept, self.client.shared().index.limit());
        Ok(kept)
    }

    /// Registers a metric and keeps its handle, or the handle of its name's overflow context if there is no room.
    fn place<H: Made>(&self, key: &Key) -> Result<Arc<Kept<H>>, DropReason> {
        let placed = labels::with_tags(key, |tags| H::builder(self, key.name()).tags(tags).beside().place())?;
        let make = || Kept::new(self.id, key, H::make(self, key.name(), placed.handle, placed.is_overflow));
        if placed.is_overflow {
            return Ok(H::table(self).overflow(key.name(), make));
        }
        let kept = H::table(self).keep(make());
        H::recent(|recent| recent.remember(self.id, &kept));
        Ok(kept)
    }

    pub(super) fn stand_in(&self, reason: DropReason) -> &Arc<Refused> {
        if reason == DropReason::ContextLimit { &self.crowded_out } else { &self.invalid }
    }

    /// Stores the unit of a histogram's values, if it makes a difference.
    pub(super) fn describe(&self, name: &str, unit: Option<Unit>) {
        let Some(unit) = unit.filter(|unit| unit.is_time_based() || is_named_in_seconds(name)) else {
            return;
        };
        fork::check();
        // The describing macros may run at every call.
        if self.described(name) == Some(unit) {
            return;
        }
        let mut units = self.units();
        if units.len() < self.client.shared().index.limit() || units.contains_key(name) {
            units.insert(name.into(), unit);
        }
    }

    fn described(&self, name: &str) -> Option<Unit> {
        self.units.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    fn units(&self) -> RwLockWriteGuard<'_, HashMap<Box<str>, Unit>> {
        self.units.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The unit of a histogram's values if they are times: from its description, or else from its name.
    fn unit(&self, name: &str) -> Option<TimeUnit> {
        match self.described(name) {
            Some(Unit::Seconds) => Some(TimeUnit::Seconds),
            Some(Unit::Milliseconds) => Some(TimeUnit::Milliseconds),
            Some(Unit::Microseconds) => Some(TimeUnit::Microseconds),
            Some(Unit::Nanoseconds) => Some(TimeUnit::Nanoseconds),
            Some(_) => None,
            None => is_named_in_seconds(name).then_some(TimeUnit::Seconds),
        }
    }

    /// The factor that converts a histogram's values to milliseconds when they are recorded, if the recorder does so.
    fn scale(&self, name: &str) -> Option<Scale> {
        if self.settings.timings_by_unit { self.unit(name).map(TimeUnit::scale) } else { None }
    }

    /// The unit that a histogram's values keep until they are written.
    fn kept_unit(&self, name: &str) -> Option<TimeUnit> {
        // `HistogramKind::Timing` declares that the program records milliseconds.
        let as_it_is = self.settings.timings_by_unit || self.settings.histograms == HistogramKind::Timing;
        if as_it_is { None } else { self.unit(name) }
    }
}

/// Whether a name follows the Prometheus convention for seconds.
fn is_named_in_seconds(name: &str) -> bool {
    name.ends_with("_seconds")
}

impl Freeze for Bridge {
    fn freeze(&self) -> Box<dyn Held + '_> {
        Box::new((self.counters.freeze(), self.gauges.freeze(), self.histograms.freeze(), self.units()))
    }
}

impl HandleCache for Bridge {
    fn on_flush(&self, flush: FlushInfo<'_>) {
        let limit = self.client.shared().index.limit();
        self.counters.on_flush(flush, limit);
        self.gauges.on_flush(flush, limit);
        self.histograms.on_flush(flush, limit);
    }

    fn find_spare_gauges(&self, spare: &mut SpareGauges) {
        self.gauges.find_spare(spare);
    }

    fn release_gauges(&self, gauges: &HashSet<GaugeId>) {
        self.gauges.release(gauges, self.client.shared().index.limit());
    }
}

impl Made for CounterHandle {
    fn table(bridge: &Bridge) -> &Table<Self> {
        &bridge.counters
    }

    fn builder<'a>(bridge: &'a Bridge, name: &'a str) -> MetricBuilder<'a, Self::Of> {
        bridge.client.counter(name)
    }

    fn make(bridge: &Bridge, _: &str, handle: Self::Of, is_overflow: bool) -> Self {
        Self::new(&bridge.client, handle, is_overflow)
    }
}

impl Made for GaugeHandle {
    fn table(bridge: &Bridge) -> &Table<Self> {
        &bridge.gauges
    }

    fn builder<'a>(bridge: &'a Bridge, name: &'a str) -> MetricBuilder<'a, Self::Of> {
        bridge.client.gauge(name)
    }

    fn make(_: &Bridge, _: &str, handle: Self::Of, is_overflow: bool) -> Self {
        Self::new(handle, is_overflow)
    }
}

impl Made for HistogramHandle {
    fn table(bridge: &Bridge) -> &Table<Self> {
        &bridge.histograms
    }

    fn builder<'a>(bridge: &'a Bridge, name: &'a str) -> MetricBuilder<'a, Distribution> {
        let client = &bridge.client;
        match bridge.settings.histograms {
            _ if bridge.scale(name).is_some() => client.timing(name),
            HistogramKind::Distribution => client.distribution(name),
            HistogramKind::Histogram => client.histogram(name),
            HistogramKind::Timing => client.timing(name),
        }
    }

    fn make(bridge: &Bridge, name: &str, handle: Self::Of, _: bool) -> Self {
        if let Some(unit) = bridge.kept_unit(name) {
            handle.note_unit(unit);
        }
        Self::new(handle, bridge.scale(name))
    }
}
