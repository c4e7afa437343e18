//! Metrics with constant names and tags, registered once per call site.

use crate::api::client::{Client, client};
use crate::api::handle::{Counter, Distribution, Gauge};
use crate::process::fork::make_whole;
use std::sync::OnceLock;

/// A call site's handle, once there is a client.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site<M>(OnceLock<M>);

impl<M> Site<M> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The handle; `None` until a client is installed.
    #[doc(hidden)]
    #[inline]
    pub fn get(&'static self, register: impl FnOnce(&'static Client) -> M) -> Option<&'static M> {
        match self.0.get() {
            Some(handle) => Some(handle),
            None => self.register(register),
        }
    }

    #[cold]
    fn register(&'static self, register: impl FnOnce(&'static Client) -> M) -> Option<&'static M> {
        let client = client()?;
        // A thread that is at it when another one forks would be waited for in the child, for ever.
        let _whole = make_whole();
        Some(self.0.get_or_init(|| register(client)))
    }
}

impl<M> Default for Site<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a call site's macro gives: the verbs of the handle, which do nothing until a client is installed.
#[doc(hidden)]
#[derive(Debug)]
pub struct Called<M: 'static>(pub Option<&'static M>);

impl Called<Gauge> {
    /// As [`Gauge::set`].
    #[inline]
    pub fn set(self, value: f64) {
        if let Some(gauge) = self.0 {
            gauge.set(value);
        }
    }

    /// As [`Gauge::add`].
    #[inline]
    pub fn add(self, delta: f64) {
        if let Some(gauge) = self.0 {
            gauge.add(delta);
        }
    }

    /// As [`Gauge::sub`].
    #[inline]
    pub fn sub(self, delta: f64) {
        if let Some(gauge) = self.0 {
            gauge.sub(delta);
        }
    }
}

impl Called<Counter> {
    /// As [`Counter::increment`].
    #[inline]
    pub fn increment(self, n: u64) {
        if let Some(counter) = self.0 {
            counter.increment(n);
        }
    }
}

impl Called<Distribution> {
    /// As [`Distribution::record`].
    #[inline]
    pub fn record(self, value: f64) {
        if let Some(distribution) = self.0 {
            distribution.record(value);
        }
    }

    /// As [`Distribution::record_duration`].
    #[inline]
    pub fn record_duration(self, duration: std::time::Duration) {
        if let Some(distribution) = self.0 {
            distribution.record_duration(duration);
        }
    }

    /// As [`Distribution::start`].
    #[inline]
    #[must_use = "a timer records when it is dropped: `let _timer`, not `let _`"]
    pub fn start(self) -> Option<crate::api::handle::Timer<'static>> {
        self.0.map(Distribution::start)
    }
}

/// A gauge with a constant name and constant tags, registered once per call site with the
/// [installed](crate::ClientBuilder::install) client, and kept for the rest of the process. Does nothing until there
/// is one. Verbs: `set`, `add`, `sub`.
///
/// ```
/// const CACHE: &str = "sessions";
/// tasktag::gauge!("cache.entries", "cache" => CACHE).set(512.0);
/// ```
///
/// A tag that is known at run time is a compile error; a [`MetricBuilder`](crate::MetricBuilder) takes it.
///
/// ```compile_fail
/// let cache = std::env::args().next().unwrap();
/// tasktag::gauge!("cache.entries", "cache" => &cache).set(512.0);
/// ```
#[macro_export]
macro_rules! gauge {
    ($name:expr $(, $key:expr => $value:expr)* $(,)?) => {
        $crate::__call_site!(Gauge, gauge, $name $(, $key => $value)*)
    };
}

/// A counter with a constant name and constant tags, as [`gauge!`](crate::gauge). Verb: `increment`.
///
/// ```
/// tasktag::counter!("jobs.done", "queue" => "within_1_minute").increment(1);
/// ```
#[macro_export]
macro_rules! counter {
    ($name:expr $(, $key:expr => $value:expr)* $(,)?) => {
        $crate::__call_site!(Counter, counter, $name $(, $key => $value)*)
    };
}

/// A distribution with a constant name and constant tags, as [`gauge!`](crate::gauge). Verbs: `record`,
/// `record_duration`, `start`.
///
/// ```
/// tasktag::distribution!("export.rows").record(1234.0);
/// ```
#[macro_export]
macro_rules! distribution {
    ($name:expr $(, $key:expr => $value:expr)* $(,)?) => {
        $crate::__call_site!(Distribution, distribution, $name $(, $key => $value)*)
    };
}

/// A timing with a constant name and constant tags, as [`gauge!`](crate::gauge). Verbs: those of
/// [`distribution!`](crate::distribution); values are milliseconds.
///
/// ```
/// let timer = tasktag::timing!("export.took", "format" => "csv").start();
/// // … recorded when the timer is dropped
/// # drop(timer);
/// ```
#[macro_export]
macro_rules! timing {
    ($name:expr $(, $key:expr => $value:expr)* $(,)?) => {
        $crate::__call_site!(Distribution, timing, $name $(, $key => $value)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __call_site {
    ($handle:ident, $kind:ident, $name:expr $(, $key:expr => $value:expr)*) => {{
        // A constant, so that a name or a tag that differs from call to call is a compile error.
        const NAME: &str = $name;
        const TAGS: &[(&str, &str)] = &[$(($key, $value)),*];
        static SITE: $crate::__macros::Site<$crate::$handle> = $crate::__macros::Site::new();
        $crate::__macros::Called(SITE.get(|client| client.$kind(NAME).tags(TAGS).register()))
    }};
}
