//! The probes of a gate: what samples the load, and what notices that nobody does.

use super::control::Control;
use super::load::Load;
use crate::callback::probe::{Collect, Levels};
use crate::callback::watch_name::WatchName;
use std::sync::{Arc, Weak};

/// Where measurements go. They keep no gate alive.
#[derive(Clone, Debug)]
pub(crate) struct LoadSetter {
    control: Weak<Control>,
}

impl LoadSetter {
    pub(super) fn of(control: &Arc<Control>) -> Self {
        Self { control: Arc::downgrade(control) }
    }

    /// Takes a load that was measured now. Returns `false` once the gate is gone.
    pub(crate) fn observe(&self, load: Load) -> bool {
        self.control.upgrade().map(|control| control.observe(load)).is_some()
    }
}

/// Samples the load, on the thread of watched closures.
pub(super) struct Sampler<F> {
    // Each gate has one of its own, whatever it is called.
    _name: Arc<WatchName>,
    shown: String,
    control: Arc<Control>,
    sample: F,
    over: bool,
}

impl<F> Sampler<F> {
    pub(super) fn new(name: &Arc<WatchName>, shown: String, control: &Arc<Control>, sample: F) -> Self {
        Self { _name: Arc::clone(name), shown, control: Arc::clone(control), sample, over: false }
    }
}

impl<F: FnMut() -> bool + Send> Collect for Sampler<F> {
    fn collect(&mut self) {
        self.over = !(self.sample)();
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn name(&self) -> String {
        self.shown.clone()
    }

    fn levels(&self) -> Option<Arc<dyn Levels>> {
        Some(Arc::clone(&self.control) as Arc<dyn Levels>)
    }
}

/// Nobody samples any more: the client has stopped, or the closure panicked too often.
impl<F> Drop for Sampler<F> {
    fn drop(&mut self) {
        self.control.forget();
    }
}

/// Notices that a load was not measured again, on the worker, which waits for no closure. Once the client has stopped,
/// nobody notices, so the load is forgotten.
pub(super) struct Expiry {
    control: Weak<Control>,
}

impl Expiry {
    pub(super) fn new(control: &Weak<Control>) -> Self {
        Self { control: Weak::clone(control) }
    }
}

impl Collect for Expiry {
    fn collect(&mut self) {
        if let Some(control) = self.control.upgrade() {
            control.expire();
        }
    }

    fn is_over(&self) -> bool {
        self.control.strong_count() == 0
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        if let Some(control) = self.control.upgrade() {
            control.forget();
        }
    }
}
