//! Handles that are kept for macros, which come by name at every call.

use super::absolute::Absolute;
use super::forgotten::Trace;
use super::recent::Recent;
use crate::client::Client;
use crate::handle::{Counter, Distribution, Gauge, Metric};
use crate::ledger::DropReason;
use crate::registry::{IDLE_FLUSHES, IDLE_FLUSHES_IN_A_CROWD};
use metrics::{CounterFn, GaugeFn, HistogramFn, Key};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// One of our handles as the facade wants it.
pub(super) trait Handle: Send + Sync + Sized + 'static {
    type Of: Metric;

    /// What the calling thread found lately.
    fn recent<T>(act: impl FnOnce(&Recent<Self>) -> T) -> Option<T>;

    /// Flushes without a call after which it is let go; `None` is never.
    fn patience(&self, crowded: bool) -> Option<u32>;

    /// What the next one of its key has to know, when this one is let go.
    fn trace(&self) -> Option<Trace> {
        None
    }

    /// Before it is used first.
    fn go_on_from(&mut self, _: Trace) {}
}

/// A handle with its key.
///
/// It is held by the table and by whoever registered it, and known to threads that found it lately. As soon as nobody holds
/// it its metric is free, whoever still knows it.
#[derive(Debug)]
pub(super) struct Kept<H> {
    // Tells one recorder's from another's where threads remember them.
    recorder: u64,
    pub(super) key: Key,
    // Looked for since the last flush.
    called: AtomicBool,
    idle_flushes: AtomicU32,
    handle: H,
}

impl<H: Handle> Kept<H> {
    pub(super) fn new(recorder: u64, key: &Key, handle: H) -> Self {
        let (called, idle_flushes) = (AtomicBool::new(true), AtomicU32::new(0));
        Self { recorder, key: key.to_retained(), called, idle_flushes, handle }
    }

    #[inline]
    pub(super) fn is(&self, recorder: u64, key: &Key) -> bool {
        self.recorder == recorder && super::labels::same(&self.key, key)
    }

    /// Notes that somebody looked for it. Written once an interval, so that callers share no line that is written.
    #[inline]
    pub(super) fn call(&self) {
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Relaxed);
        }
    }

    /// At a flush: whether nobody held it or looked for it for so long that it is to go.
    pub(super) fn grows_old(self: &Arc<Self>, crowded: bool) -> bool {
        let called = self.called.load(Ordering::Relaxed) && self.called.swap(false, Ordering::Relaxed);
        if called || Arc::strong_count(self) > 1 {
            self.idle_flushes.store(0, Ordering::Relaxed);
            return false;
        }
        self.idle_flushes.fetch_add(1, Ordering::Relaxed);
        self.is_old(crowded)
    }

    pub(super) fn is_old(&self, crowded: bool) -> bool {
        let idle = self.idle_flushes.load(Ordering::Relaxed);
        self.handle.patience(crowded).is_some_and(|patience| idle >= patience)
    }

    pub(super) fn trace(&self) -> Option<(Key, Trace)> {
        self.handle.trace().map(|trace| (self.key.clone(), trace))
    }

    pub(super) fn go_on_from(&mut self, trace: Trace) {
        self.handle.go_on_from(trace);
    }

    /// Whether somebody looked for it since the last flush.
    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }
}

/// A counter, added to or set.
#[derive(Debug)]
pub(super) struct CounterHandle {
    counter: Counter,
    // `None` where counters of many keys are one: what another told last says nothing.
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

    fn recent<T>(act: impl FnOnce(&Recent<Self>) -> T) -> Option<T> {
        thread_local!(static RECENT: Recent<CounterHandle> = const { Recent::new() });
        RECENT.try_with(act).ok()
    }

    fn patience(&self, crowded: bool) -> Option<u32> {
        // What was told last would be lost, and with it what is told next.
        let is_told = self.absolute.as_ref().is_some_and(Absolute::is_in_use);
        Some(if crowded && !is_told { IDLE_FLUSHES_IN_A_CROWD } else { IDLE_FLUSHES })
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

/// A gauge, set or moved.
#[derive(Debug)]
pub(super) struct GaugeHandle {
    gauge: Gauge,
    // What was added is somebody's to take away again.
    moved: AtomicBool,
    // The level at which the last one of its key was let go.
    before: Option<Trace>,
}

impl GaugeHandle {
    pub(super) fn new(gauge: Gauge) -> Self {
        Self { gauge, moved: AtomicBool::new(false), before: None }
    }

    /// What a move begins with where nothing was set.
    fn start(&self) -> f64 {
        self.before
            .filter(|before| before.is_of_this_process())
            .map_or(0.0, |before| f64::from_bits(before.bits))
    }

    fn add(&self, delta: f64) {
        self.gauge.add_from(self.start(), delta);
        self.note(true);
    }

    #[inline]
    fn note(&self, moved: bool) {
        if self.moved.load(Ordering::Relaxed) != moved {
            self.moved.store(moved, Ordering::Relaxed);
        }
    }
}

impl Handle for GaugeHandle {
    type Of = Gauge;

    fn recent<T>(act: impl FnOnce(&Recent<Self>) -> T) -> Option<T> {
        thread_local!(static RECENT: Recent<GaugeHandle> = const { Recent::new() });
        RECENT.try_with(act).ok()
    }

    fn patience(&self, crowded: bool) -> Option<u32> {
        let is_owed =
            self.moved.load(Ordering::Relaxed) && self.gauge.level().is_some_and(|level| level != 0.0);
        (crowded || !is_owed).then_some(IDLE_FLUSHES)
    }

    fn trace(&self) -> Option<Trace> {
        let level = self.gauge.level().unwrap_or_else(|| self.start());
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
        self.handle.note(false);
    }
}

/// What values are multiplied with, and then divided by, so that `1234` microseconds are `1.234` and no neighbour of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) times: f64,
    pub(super) per: f64,
}

/// A histogram of one of our kinds.
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
            Some(Scale { times, per }) => value * times / per,
        }
    }
}

impl Handle for HistogramHandle {
    type Of = Distribution;

    fn recent<T>(act: impl FnOnce(&Recent<Self>) -> T) -> Option<T> {
        thread_local!(static RECENT: Recent<HistogramHandle> = const { Recent::new() });
        RECENT.try_with(act).ok()
    }

    fn patience(&self, crowded: bool) -> Option<u32> {
        Some(if crowded { IDLE_FLUSHES_IN_A_CROWD } else { IDLE_FLUSHES })
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
