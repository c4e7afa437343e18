//! Handles that are kept for macros, which look them up by name at every call.

use super::absolute::Absolute;
use super::forgotten::Trace;
use crate::api::client::Client;
use crate::api::handle::{CellHandle, Counter, Distribution, Gauge, Metric};
use crate::context::handle_cache::{FlushInfo, GaugeId};
use crate::ledger::DropReason;
use crate::process::sync::wide::AtomicU64;
use crate::vocabulary::unit::Scale;
use crate::worker::registry::{IDLE_FLUSHES, IDLE_FLUSHES_IN_A_CROWD};
use metrics::{CounterFn, GaugeFn, HistogramFn, Key};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// One of this crate's handles in the form that the facade needs.
pub(super) trait Handle: Send + Sync + Sized + 'static {
    type Of: Metric;

    /// Whether it is released at a flush, after being idle for so long.
    fn ends(&self, idle: Idle, flush: FlushInfo<'_>) -> bool;

    /// The trace that the next handle of its key needs once this one is released.
    fn trace(&self) -> Option<Trace> {
        None
    }

    /// Restores a trace, before the handle is first used.
    fn go_on_from(&mut self, _: Trace) {}
}

/// How long a handle was neither held nor looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    pub(super) flushes: u32,
    /// The time of the flush that last found it in use, in the clock's nanoseconds.
    pub(super) used_at: u64,
    /// Whether other metrics need the room.
    pub(super) is_crowded: bool,
}

impl Idle {
    /// Whether a handle that sends nothing while idle is to be released.
    fn ends_silent(self) -> bool {
        self.flushes >= if self.is_crowded { IDLE_FLUSHES_IN_A_CROWD } else { IDLE_FLUSHES }
    }
}

/// A handle with its key.
///
/// The table and everybody who registered it hold it; threads that found it recently remember it weakly. Once nobody
/// holds it, its metric can be removed, even if a thread still remembers it.
#[derive(Debug)]
pub(super) struct Kept<H> {
    // Tells one recorder's handles from another's in threads' tables.
    recorder: u64,
    pub(super) key: Key,
    // Looked up since the last flush.
    called: AtomicBool,
    idle_flushes: AtomicU32,
    used_at: AtomicU64,
    handle: H,
}

impl<H: Handle> Kept<H> {
    pub(super) fn new(recorder: u64, key: &Key, handle: H) -> Self {
        let (called, idle_flushes, used_at) = (AtomicBool::new(true), AtomicU32::new(0), AtomicU64::new(0));
        Self { recorder, key: key.to_retained(), called, idle_flushes, used_at, handle }
    }

    #[inline]
    pub(super) fn is(&self, recorder: u64, key: &Key) -> bool {
        self.recorder == recorder && super::labels::same(&self.key, key)
    }

    /// Notes a look-up. Written once a flush interval, so that callers share no cache line that is written.
    #[inline]
    pub(super) fn call(&self) {
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Relaxed);
        }
    }

    /// Called at a flush. Returns whether the handle was idle for so long that it is to be released.
    pub(super) fn grows_old(self: &Arc<Self>, flush: FlushInfo<'_>) -> bool {
        let called = self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::Relaxed);
        if called || Arc::strong_count(self) > 1 {
            self.idle_flushes.store(0, Ordering::Relaxed);
            self.used_at.store(flush.now, Ordering::Relaxed);
            return false;
        }
        self.idle_flushes.store(self.idle_flushes().saturating_add(1), Ordering::Relaxed);
        self.is_old(flush)
    }

    pub(super) fn is_old(&self, flush: FlushInfo<'_>) -> bool {
        let idle = Idle {
            flushes: self.idle_flushes(),
            used_at: self.used_at.load(Ordering::Relaxed),
            is_crowded: flush.is_crowded(self.key.name()),
        };
        self.handle.ends(idle, flush)
    }

    /// Flushes since it was last held or looked up.
    pub(super) fn idle_flushes(&self) -> u32 {
        self.idle_flushes.load(Ordering::Relaxed)
    }

    pub(super) fn trace(&self) -> Option<(Key, Trace)> {
        self.handle.trace().map(|trace| (self.key.clone(), trace))
    }

    pub(super) fn go_on_from(&mut self, trace: Trace) {
        self.handle.go_on_from(trace);
    }

    /// Whether it was looked up since the last flush.
    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }
}

/// A counter that is added to or set.
#[derive(Debug)]
pub(super) struct CounterHandle {
    counter: Counter,
    // `None` for an overflow counter: several keys share it, so the last value of one says nothing about another.
    absolute: Option<Absolute>,
    client: Client,
}

impl CounterHandle {
    pub(super) fn new(client: &Client, counter: Counter, is_overflow: bool) -> Self {
        let absolute = (!is_overflow).then(Absolute::new);
        Self { counter, absolute, client: client.clone() }
    }
}

impl Handle for CounterHandle {
    type Of = Counter;

    fn ends(&self, idle: Idle, _: FlushInfo<'_>) -> bool {
        // Releasing it would lose the last absolute value, and with it the next growth.
        let is_told = self.absolute.as_ref().is_some_and(Absolute::is_in_use);
        Idle { is_crowded: idle.is_crowded && !is_told, ..idle }.ends_silent()
    }

    fn trace(&self) -> Option<Trace> {
        self.absolute.as_ref()?.last().map(Trace::new)
    }

    fn go_on_from(&mut self, trace: Trace) {
        self.absolute = self.absolute.take().map(|_| Absolute::after(trace.bits));
    }
}

impl CounterFn for Kept<CounterHandle> {
    #[inline]
    fn increment(&self, value: u64) {
        self.handle.counter.increment(value);
    }

    fn absolute(&self, value: u64) {
        match &self.handle.absolute {
            Some(absolute) => self.handle.counter.increment(absolute.growth(value)),
            None => self.handle.client.shared().ledger.refuse(DropReason::ContextLimit, 1),
        }
    }
}

/// A gauge that is set, incremented or decremented.
#[derive(Debug)]
pub(super) struct GaugeHandle {
    gauge: Gauge,
    // It stands for many keys, and possibly none of them is ever set again.
    is_overflow: bool,
    // The level at which the previous handle of its key was released.
    before: Option<Trace>,
}

impl GaugeHandle {
    pub(super) fn new(gauge: Gauge, is_overflow: bool) -> Self {
        Self { gauge, is_overflow, before: None }
    }

    /// The level from which `increment` and `decrement` start if nothing was set.
    fn start(&self) -> f64 {
        self.before
            .filter(|before| before.is_of_this_process())
            .map_or(0.0, |before| f64::from_bits(before.bits))
    }

    fn add(&self, delta: f64) {
        self.gauge.add_from(self.start(), delta);
    }
}

impl Kept<GaugeHandle> {
    pub(super) fn gauge(&self) -> GaugeId {
        GaugeId::of(self.handle.gauge.cell())
    }
}

impl Handle for GaugeHandle {
    type Of = Gauge;

    /// When room is short, the worker chooses which gauges with a level leave: see
    /// [`HandleCache`](crate::context::handle_cache::HandleCache).
    fn ends(&self, idle: Idle, flush: FlushInfo<'_>) -> bool {
        if self.is_overflow {
            return idle.flushes >= IDLE_FLUSHES;
        }
        match self.gauge.level() {
            Some(_) => flush.idle_gauges.end(idle.used_at, flush.now),
            None => idle.ends_silent(),
        }
    }

    fn trace(&self) -> Option<Trace> {
        let level = self.gauge.level_or(self.start());
        (level != 0.0).then(|| Trace::new(level.to_bits()))
    }

    fn go_on_from(&mut self, trace: Trace) {
        self.before = Some(trace);
    }
}

impl GaugeFn for Kept<GaugeHandle> {
    fn increment(&self, value: f64) {
        self.handle.add(value);
    }

    fn decrement(&self, value: f64) {
        self.handle.add(-value);
    }

    #[inline]
    fn set(&self, value: f64) {
        self.handle.gauge.set(value);
    }
}

/// A histogram of any of this crate's kinds.
#[derive(Debug)]
pub(super) struct HistogramHandle {
    distribution: Distribution,
    scale: Option<Scale>,
}

impl HistogramHandle {
    pub(super) fn new(distribution: Distribution, scale: Option<Scale>) -> Self {
        Self { distribution, scale }
    }

    #[inline]
    fn scaled(&self, value: f64) -> f64 {
        match self.scale {
            None => value,
            Some(scale) => scale.apply(value),
        }
    }
}

impl Handle for HistogramHandle {
    type Of = Distribution;

    fn ends(&self, idle: Idle, _: FlushInfo<'_>) -> bool {
        idle.ends_silent()
    }
}

impl HistogramFn for Kept<HistogramHandle> {
    #[inline]
    fn record(&self, value: f64) {
        self.handle.distribution.record(self.handle.scaled(value));
    }

    fn record_many(&self, value: f64, count: usize) {
        self.handle.distribution.record_many(self.handle.scaled(value), count as u64);
    }
}
