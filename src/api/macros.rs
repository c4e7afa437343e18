//! Metrics with constant names and tags, registered once per call site.

use crate::api::client::Client;
use crate::api::handle::{Counter, Distribution, Gauge, Metric, MetricBuilder, Options, OwnedTimer, Timer};
use crate::api::installed::{Current, current};
use crate::process::fork::{self, detour};
use crate::vocabulary::kind::Kind;
use std::sync::OnceLock;
use std::time::Duration;

/// A call site, with its name and tags. It keeps a handle once a client is installed.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site<M> {
    kept: OnceLock<M>,
    kind: Kind,
    name: &'static str,
    tags: &'static [(&'static str, &'static str)],
}

/// The target of a call.
#[allow(clippy::large_enum_variant, reason = "it lives for one call, and is stored nowhere")]
enum Target<'a, M: 'static> {
    /// The handle that the call site keeps.
    Kept(&'static M),
    /// A call by name, to a client of which the call site keeps no handle.
    Named(MetricBuilder<'a, M>),
}

impl<M> Site<M> {
    const fn of(kind: Kind, name: &'static str, tags: &'static [(&'static str, &'static str)]) -> Self {
        Self { kept: OnceLock::new(), kind, name, tags }
    }

    /// Returns the kept handle if it is the one to use, which is nearly always so.
    #[inline]
    fn kept(&'static self) -> Option<&'static M> {
        if detour::is_straight() { self.kept.get() } else { None }
    }
}

#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<M: Metric + 'static> Site<M> {
    /// Looks up the target of a call, and passes it to `act` if there is one.
    fn aim<T>(&'static self, act: impl FnOnce(Target<'_, M>) -> T) -> Option<T> {
        match current() {
            Current::Nobody => None,
            Current::First(client) => self.register(client).map(|kept| act(Target::Kept(kept))),
            Current::Other(client) => Some(act(Target::Named(self.named(&client)))),
        }
    }

    fn named<'a>(&self, client: &'a Client) -> MetricBuilder<'a, M> {
        MetricBuilder::new(client, self.name, self.kind, Options::default()).tags(self.tags)
    }

    /// Returns the handle that is kept from now on.
    fn register(&'static self, client: &'static Client) -> Option<&'static M> {
        if let Some(kept) = self.kept.get() {
            return Some(kept);
        }
        // The thread would wait for itself.
        if fork::is_busy() {
            return None;
        }
        // If another thread forked during the registration, the child would wait for this thread forever.
        let _whole = fork::make_whole();
        Some(self.kept.get_or_init(|| self.named(client).register()))
    }
}

macro_rules! sites {
    ($($handle:ty: $($kind:ident $of:ident)+;)+) => {$(
        impl Site<$handle> {$(
            #[doc(hidden)]
            #[must_use]
            pub const fn $kind(name: &'static str, tags: &'static [(&'static str, &'static str)]) -> Self {
                Self::of(Kind::$of, name, tags)
            }
        )+}
    )+};
}

sites! {
    Gauge: gauge Gauge;
    Counter: counter Counter;
    Distribution: distribution Distribution timing Timing;
}

/// The value of a call site's macro. It has the methods of the handle, which do nothing until a client is installed.
#[doc(hidden)]
#[derive(Debug)]
pub struct Called<M: 'static>(pub &'static Site<M>);

// Everything but the common case is out of line.

impl Called<Gauge> {
    /// As [`Gauge::set`].
    #[inline]
    pub fn set(self, value: f64) {
        match self.0.kept() {
            Some(gauge) => gauge.set_here(value),
            None => self.set_elsewhere(value),
        }
    }

    #[cold]
    #[inline(never)]
    fn set_elsewhere(self, value: f64) {
        self.0.aim(|target| match target {
            Target::Kept(gauge) => gauge.set(value),
            Target::Named(gauge) => gauge.set(value),
        });
    }

    /// As [`Gauge::add`].
    #[inline]
    pub fn add(self, delta: f64) {
        match self.0.kept() {
            Some(gauge) => gauge.add_here(delta),
            None => self.add_elsewhere(delta),
        }
    }

    #[cold]
    #[inline(never)]
    fn add_elsewhere(self, delta: f64) {
        self.0.aim(|target| match target {
            Target::Kept(gauge) => gauge.add(delta),
            Target::Named(gauge) => gauge.add(delta),
        });
    }

    /// As [`Gauge::sub`].
    #[inline]
    pub fn sub(self, delta: f64) {
        self.add(-delta);
    }
}

impl Called<Counter> {
    /// As [`Counter::increment`].
    #[inline]
    pub fn increment(self, n: u64) {
        match self.0.kept() {
            Some(counter) => counter.increment(n),
            None => self.increment_elsewhere(n),
        }
    }

    #[cold]
    #[inline(never)]
    fn increment_elsewhere(self, n: u64) {
        self.0.aim(|target| match target {
            Target::Kept(counter) => counter.increment(n),
            Target::Named(counter) => counter.increment(n),
        });
    }
}

impl Called<Distribution> {
    /// As [`Distribution::record`].
    #[inline]
    pub fn record(self, value: f64) {
        match self.0.kept() {
            Some(distribution) => distribution.record_here(value),
            None => self.record_elsewhere(value),
        }
    }

    #[cold]
    #[inline(never)]
    fn record_elsewhere(self, value: f64) {
        self.0.aim(|target| match target {
            Target::Kept(distribution) => distribution.record(value),
            Target::Named(distribution) => distribution.record(value),
        });
    }

    /// As [`Distribution::record_duration`].
    #[inline]
    pub fn record_duration(self, duration: Duration) {
        match self.0.kept() {
            Some(distribution) => distribution.record_duration(duration),
            None => self.record_duration_elsewhere(duration),
        }
    }

    #[cold]
    #[inline(never)]
    fn record_duration_elsewhere(self, duration: Duration) {
        self.0.aim(|target| match target {
            Target::Kept(distribution) => distribution.record_duration(duration),
            Target::Named(distribution) => distribution.record_duration(duration),
        });
    }

    /// As [`Distribution::start`].
    #[inline]
    #[must_use = "a timer records when it is dropped: `let _timer`, not `let _`"]
    pub fn start(self) -> Option<CalledTimer> {
        match self.0.kept() {
            Some(distribution) => Some(CalledTimer(Running::Kept(distribution.start()))),
            None => self.start_elsewhere(),
        }
    }

    #[cold]
    #[inline(never)]
    fn start_elsewhere(self) -> Option<CalledTimer> {
        self.0.aim(|target| {
            CalledTimer(match target {
                Target::Kept(distribution) => Running::Kept(distribution.start()),
                Target::Named(distribution) => Running::Named(distribution.register().start_owned()),
            })
        })
    }
}

/// The value of a macro's `start`: a [`Timer`].
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "a timer records when it is dropped: `let _timer`, not `let _`"]
pub struct CalledTimer(Running);

#[derive(Debug)]
enum Running {
    Kept(Timer<'static>),
    Named(OwnedTimer),
}

impl CalledTimer {
    /// As [`Timer::stop`].
    #[allow(clippy::must_use_candidate, reason = "it records, whatever becomes of the answer")]
    pub fn stop(self) -> Duration {
        match self.0 {
            Running::Kept(timer) => timer.stop(),
            Running::Named(timer) => timer.stop(),
        }
    }

    /// As [`Timer::discard`].
    pub fn discard(self) {
        match self.0 {
            Running::Kept(timer) => timer.discard(),
            Running::Named(timer) => timer.discard(),
        }
    }
}

/// Updates a gauge with a constant name and constant tags. Each call site registers the gauge once with the
/// [installed](crate::ClientBuilder::install) client, and keeps it for the rest of the process. It does nothing until a
/// client is installed. The methods are `set`, `add` and `sub`.
///
/// A call site keeps no handle of a client that was installed after the first one ended. It calls that client by name,
/// and does the same with a client of [`with_local_client`](crate::with_local_client).
///
/// Histograms, sets and occupancies have no macro. Get the client with [`client()`](crate::client), or pass it along.
///
/// ```
/// const CACHE: &str = "sessions";
/// tasktag::gauge!("cache.entries", "cache" => CACHE).set(512.0);
/// ```
///
/// A tag that is only known at run time is a compile error. Use a [`MetricBuilder`](crate::MetricBuilder) for it.
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

/// Updates a counter with a constant name and constant tags, in the same way as [`gauge!`](crate::gauge). The method is
/// `increment`.
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

/// Updates a distribution with a constant name and constant tags, in the same way as [`gauge!`](crate::gauge). The
/// methods are `record`, `record_duration` and `start`.
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

/// Updates a timing with a constant name and constant tags, in the same way as [`gauge!`](crate::gauge). It has the
/// methods of [`distribution!`](crate::distribution), and values are in milliseconds.
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
        // These are constants, so that a name or a tag that differs from call to call is a compile error.
        const NAME: &str = $name;
        const TAGS: &[(&str, &str)] = &[$(($key, $value)),*];
        static SITE: $crate::__macros::Site<$crate::$handle> =
            $crate::__macros::Site::<$crate::$handle>::$kind(NAME, TAGS);
        $crate::__macros::Called(&SITE)
    }};
}
