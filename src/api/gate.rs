//! A gate that admits work while the load allows it.

mod admission;
mod builder;
mod class;
mod control;
mod later;
mod load;
mod postgres;
mod sampler;
mod status;
mod turns;
mod verdict;

pub use self::admission::Admission;
pub use self::builder::GateBuilder;
pub use self::class::{Decision, GateClass};
pub use self::later::Later;
pub use self::load::Load;
pub use self::postgres::{PostgresLoad, SessionWait};
pub use self::status::GateStatus;
pub use self::verdict::GateState;

use self::control::Control;
use crate::api::client::Client;
use crate::callback::probe::Watch;
use std::sync::Arc;
use std::time::Duration;

/// Admits work by class while the load allows it, and sheds the rest: jobs that may run later are not started while the
/// database is at its limit.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// # fn share_of_the_disk_in_use() -> f64 { 0.4 }
/// use tasktag::{Admission, Load};
///
/// let gate = client
///     .gate("orders")
///     .class("within_5_minutes", Admission::below(1.5))
///     .class("within_24_hours", Admission::below(0.8).reopen_below(0.6).when_unknown(0.1))
///     .measure(|| Load::of(share_of_the_disk_in_use()))?;
///
/// if gate.admits("within_24_hours") {
///     // run the job
/// } else {
///     // put it back for later
/// }
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// # The load
///
/// A [`Load`] is a number from 0 up that somebody measures: the active sessions of a database over its processors
/// ([`PostgresLoad`]), the use of a pool, the part of its promise that a queue has used, or any other. It is sampled
/// once a second, and smoothed, so that a single busy second sheds nothing.
///
/// # Three states
///
/// | `state` | when | what is admitted |
/// |---|---|---|
/// | `open` | the smoothed load is not above the class's threshold | everything |
/// | `shedding` | it rose above that, and has not fallen to the lower threshold yet | a [share](Admission::passing), 5 % by default: the queue drains, and the recovery is seen |
/// | `unknown` | nothing was measured for two samples, or a measurement failed | what the class [says](Admission::when_unknown): everything by default |
///
/// A health query that fails looks neither like overload nor like calm: each class says what it wants to happen then. A
/// load that nobody measured again is not believed, whatever is the reason: the closure hangs or panics, the runtime is
/// shut down, the client has stopped, or the process is a forked child, which has no measurements of its own.
///
/// Whether the classes differ in their thresholds is up to you. A class with [`Admission::always`] is never shed, and
/// nor is one that was not registered: those calls are counted under the class `other`.
///
/// # What is reported
///
/// With the tag `gate:<name>`:
///
/// | metric | kind | meaning |
/// |---|---|---|
/// | `gate.load`, `gate.load.max` | gauge | the load as it was measured last |
/// | `gate.load_smoothed` | gauge | the load that decides |
/// | `gate.load_known` | gauge | 1 if the load is known, or 0: alarm below 1 |
/// | `gate.load_part`, tag `waits_for` | gauge | the [parts](Load::part) of the load |
/// | `gate.shedding`, tag `class` | gauge | 1 if the class is being shed, or 0; absent if the load is unknown |
/// | `gate.decisions`, tags `class`, `decision`, `state` | counter | how often a class was `admitted` or `shed`, in which state |
///
/// What was shed is `decision:shed`. Observe the load for some days before a gate decides by it: register the classes
/// with [`Admission::always`], and choose thresholds from what was seen.
///
/// # Cost
///
/// A decision is one atomic load and a comparison, and nothing that other threads read is written. It is counted in a
/// word of the thread's own, like any [counter](crate::Counter). While the class is shed, a step of a sequence of the
/// thread's own is added. A look-up by name compares the names of the classes: [`class`](Self::class) returns a handle
/// that needs none.
///
/// Clones are the same gate, which measures while one of them is alive. A handle of a class does not keep it measuring.
/// By `Default`, and with a [disabled client](Client::disabled), a gate admits everything.
#[derive(Clone, Debug)]
#[must_use = "a gate measures while it is alive"]
pub struct Gate {
    control: Arc<Control>,
    // What samples, what notices that nobody does, and what reports.
    _watches: Arc<[Watch]>,
}

impl Gate {
    fn new(control: Arc<Control>, watches: impl Into<Arc<[Watch]>>) -> Self {
        Self { control, _watches: watches.into() }
    }

    /// Returns whether work of a class may start now, and counts the answer. A class that was not registered is
    /// admitted, because nothing says that it may wait.
    #[must_use = "the work is admitted or not"]
    pub fn admits(&self, class: &str) -> bool {
        self.control.class(class).admits()
    }

    /// Returns the handle of a class, which needs no look-up. For a class that was not registered, it is that of
    /// `other`, which admits everything.
    pub fn class(&self, class: &str) -> GateClass {
        self.control.class(class).clone()
    }

    /// Waits until work of a class may start, for at most `patience`: see [`GateClass::wait_or_later`].
    ///
    /// # Errors
    ///
    /// Fails if the class is still being shed then.
    pub fn wait_or_later(&self, class: &str, patience: Duration) -> Result<(), Later> {
        self.control.class(class).wait_or_later(patience)
    }

    /// Sets the load, as it was measured now, of a gate that was [registered](GateBuilder::register) without a measure.
    /// Any other gate takes it as another sample.
    pub fn set_load(&self, load: Load) {
        self.control.observe(load);
    }

    /// The load as it was measured last. `None` if it is unknown.
    #[must_use]
    pub fn load(&self) -> Option<f64> {
        self.control.status().load()
    }

    /// What is known of the load, and which classes are being shed.
    #[must_use]
    pub fn status(&self) -> GateStatus {
        self.control.status()
    }

    /// The time after which work that was shed may be tried again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.control.retry_after()
    }
}

impl Default for Gate {
    /// Returns a gate that admits everything.
    fn default() -> Self {
        Self::new(Control::open(), [])
    }
}

/// Gates.
impl Client {
    /// Returns a builder for a gate that admits work while the load allows it: see [`Gate`].
    pub fn gate(&self, name: &str) -> GateBuilder<'_> {
        GateBuilder::new(self, name)
    }
}
