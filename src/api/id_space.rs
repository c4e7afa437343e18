//! A space of ids that are drawn at random: how full it is, and what that costs.

mod draw;
mod growth;
mod status;

pub use self::draw::{Draw, IdCandidates, NoneFree};
pub use self::status::{DaysLeft, IdSpaceStatus};

use self::growth::Growth;
use crate::api::client::Client;
use crate::api::watch::WatchBuilder;
use crate::callback::probe::Watch;
use crate::process::clock::Clock;
use crate::process::fork::make_whole;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A space of ids that are drawn at random until a free one is found: short links, invitation codes, vanity ids.
///
/// # The story of the vanity ids
///
/// A service gives each customer a number of six digits. It draws one, looks whether it is taken, and draws again if it
/// is. For years each customer costs one query. With a fill of `f` a draw takes `1 / (1 - f)` tries on average:
///
/// | fill | tries |
/// |---|---|
/// | 50 % | 2 |
/// | 90 % | 10 |
/// | 99 % | 100 |
/// | 99.9 % | 1,000 |
/// | 100 % | it never ends |
///
/// So nothing shows for years, and then sign-ups become slow within weeks, while the database is busy with queries that
/// find nothing. On the last day every sign-up retries for ever. None of the usual alerts sees it come: no error is
/// raised, and the number of customers grows as it always did. The fill tells it months before, and the days left tell
/// when.
///
/// # Use
///
/// [`set_used`](Self::set_used) sets how many ids are used. [`draw_with`](Self::draw_with) tries a bounded number of
/// ids, and says so if none of them was free.
///
/// ```
/// use std::collections::HashSet;
/// use tasktag::IdSpace;
///
/// let (space, mut taken) = (IdSpace::new(1_000_000), HashSet::new());
/// // In a program: insert into customers … on conflict do nothing
/// let draw = space.draw_with(|id| taken.insert(id))?;
/// assert!(taken.contains(&draw.id) && draw.tries == 1);
///
/// space.set_used(900_000);
/// assert_eq!(space.status().expected_tries(), Some(10.0));
/// # Ok::<(), tasktag::NoneFree>(())
/// ```
///
/// # Reporting it
///
/// [`Client::watch_id_space`] reports the gauges of an [`IdSpaceStatus`]. The ids belong to all tasks, so one of them
/// should count and report, as a [`SoleReporter`](crate::SoleReporter).
///
/// Clones are the same space. It takes up to 2.5 KiB.
#[derive(Clone, Debug)]
#[must_use = "a space reports nothing until it is watched"]
pub struct IdSpace {
    size: u64,
    max_tries: u32,
    clock: Clock,
    told: Arc<Mutex<Told>>,
}

/// What was told of a space.
#[derive(Debug, Default)]
struct Told {
    used: Option<u64>,
    growth: Growth,
}

impl IdSpace {
    /// How many ids a draw tries, unless [`max_tries`](Self::max_tries) sets another number.
    pub const DEFAULT_MAX_TRIES: u32 = 32;

    /// Returns a space of the ids from 0 to below `size`. How many are used is not known yet. A space of 0 ids is full.
    pub fn new(size: u64) -> Self {
        Self { size, max_tries: Self::DEFAULT_MAX_TRIES, clock: Clock::monotonic(), told: Arc::default() }
    }

    /// Sets how many ids a draw tries before it gives up, at least 1. The default is
    /// [`DEFAULT_MAX_TRIES`](Self::DEFAULT_MAX_TRIES). With a fill of `f`, a draw of `n` tries fails with a probability
    /// of `f` to the power of `n`: with 32 tries 0.00000002 % at 50 %, 3.4 % at 90 %, 72 % at 99 %.
    pub fn max_tries(mut self, tries: u32) -> Self {
        self.max_tries = tries.max(1);
        self
    }

    /// Makes the growth follow a clock that is moved by hand.
    #[cfg(feature = "testing")]
    pub fn clock(mut self, clock: &crate::process::clock::ManualClock) -> Self {
        self.clock = Clock::Manual(clock.clone());
        self
    }

    /// The number of ids, used and free.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Tells how many ids are used, or that it is not known. Tell it as often as you like: the growth is measured
    /// between the calls.
    pub fn set_used(&self, ids: impl Into<Option<u64>>) {
        let (used, now) = (ids.into(), self.clock.now());
        // A child that is forked meanwhile would wait for the lock for ever.
        let _whole = make_whole();
        let mut told = self.lock();
        told.used = used;
        if let Some(used) = used {
            told.growth.observe(used, now);
        }
    }

    /// Returns how full the space is, and how long it will last.
    pub fn status(&self) -> IdSpaceStatus {
        let _whole = make_whole();
        let told = self.lock();
        IdSpaceStatus::new(self.size, told.used, told.growth.per_day())
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spaces of ids.
impl Client {
    /// Reports a space under the default names: see [`IdSpaceStatus`].
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::IdSpace;
    ///
    /// let space = IdSpace::new(1_000_000);
    /// let _watch = client.watch_id_space("vanity", &space);
    /// space.set_used(420_000); // once an hour, by a job that counts
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn watch_id_space(&self, name: &str, space: &IdSpace) -> Watch {
        let space = space.clone();
        self.id_space(name).watch(move || space.status())
    }

    /// Returns a builder for a watch of a space of ids, under the tag `id_space:<name>`. Its closure can ask how many
    /// are used:
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// # fn customers() -> Option<u64> { Some(420_000) }
    /// use tasktag::IdSpace;
    ///
    /// let space = IdSpace::new(1_000_000);
    /// let _watch = client.id_space("vanity").watch(move || {
    ///     space.set_used(customers());
    ///     space.status()
    /// });
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn id_space(&self, name: &str) -> WatchBuilder<'_, IdSpaceStatus> {
        WatchBuilder::new(self, name)
    }
}
