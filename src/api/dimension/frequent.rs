//! Tags with run-time values and a limit, in which the most frequent values keep their slots.

use super::bounded::{BoundedBuilder, OTHER};
use super::ranking::Ranking;
use super::slot_table::SlotTable;
use super::slots::{CALLS_PER_TRY, clip_and_hash};
use crate::api::client::Client;
use crate::api::handle::{
    Counter, Distribution, Gauge, MemberCall, Metric, MetricBuilder, Options, Pattern, Set,
};
use crate::callback::probe::{Collect, Watch};
use crate::ledger::Share;
use crate::process::clock::nanos;
use crate::process::fork;
use crate::vocabulary::kind::Kind;
use crate::vocabulary::text::Seed;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The shortest half-life. Slots that were reassigned faster would leave behind more contexts than there are slots.
const MIN_HALF_LIFE: Duration = Duration::from_secs(10);

/// A [`Metric`] whose verbs can be called by name: all kinds except [`Occupancy`](crate::Occupancy). These kinds can
/// have a [`FrequentFamily`].
///
/// The trait is sealed: no other type can implement it.
///
/// ```
/// use std::time::Duration;
/// use tasktag::{ByName, FrequentFamily, MetricBuilder};
///
/// fn by_busiest_route<M: ByName>(metric: MetricBuilder<'_, M>) -> FrequentFamily<M> {
///     metric.bounded("route", 50).most_frequent(Duration::from_secs(60)).register()
/// }
///
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// by_busiest_route(client.counter("http.requests")).at("/cart").increment(1);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
pub trait ByName: Metric {}

impl ByName for Counter {}
impl ByName for Gauge {}
impl ByName for Distribution {}
impl ByName for Set {}

/// A metric with a bounded tag, ranked by [frequency](BoundedBuilder::most_frequent), that is about to be registered.
#[must_use = "register it"]
pub struct FrequentBuilder<'a, M> {
    bounded: BoundedBuilder<'a, M>,
    half_life: Duration,
}

impl<'a, M: Metric> BoundedBuilder<'a, M> {
    /// Gives the slots to the values that are called most often, rather than to the first ones. See
    /// [`FrequentFamily`](crate::FrequentFamily).
    ///
    /// Every `half_life`, all counts are halved and slots may be reassigned. The shortest half-life is 10 s.
    pub fn most_frequent(self, half_life: Duration) -> FrequentBuilder<'a, M> {
        FrequentBuilder::new(self, half_life)
    }
}

impl<'a, M: Metric> FrequentBuilder<'a, M> {
    fn new(bounded: BoundedBuilder<'a, M>, half_life: Duration) -> Self {
        Self { bounded, half_life: half_life.max(MIN_HALF_LIFE) }
    }

    /// Sets values that always have a slot, as [`BoundedBuilder::allow`] does.
    pub fn allow(mut self, values: &[&'a str]) -> Self {
        self.bounded = self.bounded.allow(values);
        self
    }
}

impl<M: ByName> FrequentBuilder<'_, M> {
    /// Returns the family. Nothing can be refused yet, because each call is one by name.
    #[must_use = "a family is what is called"]
    pub fn register(self) -> FrequentFamily<M> {
        let BoundedBuilder { metric, key, limit, allowed } = self.bounded;
        let pattern = metric.pattern().for_calls(key);
        let seed = Seed::random();
        let mut pinned: Vec<u64> = allowed.iter().map(|value| clip_and_hash(&seed, value).0).collect();
        pinned.sort_unstable();
        pinned.dedup();
        // A call with the value `other` itself is not counted as folded.
        let (other, _) = clip_and_hash(&seed, OTHER);
        pinned.retain(|allowed| *allowed != other);
        pinned.push(other);
        let places = limit.saturating_add(1).max(pinned.len());
        let slot_table = Arc::new(SlotTable::new(places, &pinned));
        let shared = Arc::clone(pattern.client().shared());
        let (ranked, half_life, clock) =
            (Arc::downgrade(&slot_table), nanos(self.half_life), shared.clock.clone());
        let ranking = move |is_child: bool| {
            let slot_table = ranked.upgrade()?;
            if is_child {
                slot_table.start_over();
            }
            let ranking = Ranking::new(slot_table, pinned.clone(), places, half_life, clock.clone());
            Some(Box::new(ranking) as Box<dyn Collect>)
        };
        let watch = Watch::new(shared.watch_in_every_process(ranking));
        let folded = shared.ledger.folded_values.share();
        let (other, misses) = (OnceLock::new(), AtomicUsize::new(0));
        let shared = Shared { pattern, seed, other, misses, slot_table, folded, _watch: watch };
        FrequentFamily { shared: Arc::new(shared) }
    }
}

/// A metric with a bounded tag, whose values are known only at run time, and of which the most frequent keep their
/// slots. [`most_frequent`](BoundedBuilder::most_frequent) creates one.
///
/// At first, slots are assigned in the order in which values come. Every half-life, the worker halves all counts. A
/// value whose count is then 0 gives up its slot. A value without a slot takes one from a value that was seen less than
/// half as often. At most a quarter of the slots change their value in a half-life, because a context that lost its
/// slot is remembered for another 150 flushes.
///
/// A value without a slot becomes `other`, and is counted in [`folded`](Self::folded), in
/// [`Stats::folded_values`](crate::Stats::folded_values) and in telemetry. Sums stay exact.
///
/// How often values without a slot are seen is estimated, in memory that depends only on the limit. The estimate is too
/// low for a value that shares a bucket of the estimate with several values of about the same frequency. In each
/// half-life, the first 4,096 calls without a slot are examined, or 64 per slot if that is more. After those, one call
/// in eight is examined and counts as eight.
///
/// Calls of values with a slot are counted in a word per thread, as with a counter. This takes about 750 bytes per slot
/// on up to 4 processors, and 5 KiB on 32 and more. With a limit of 10,000 it takes 17 MB there.
///
/// A forked child ranks on its own. It starts with its parent's slots and with counts of 0.
///
/// [`at`](Self::at) returns a call by name, and costs about as much as one. What was counted before a value lost its
/// slot is sent under that value. A gauge is sent for 150 flushes after it was set, because it may have lost its slot.
/// The gauge of `other` is sent at every flush, once the family has a handle for it.
///
/// Whether a value has a slot is decided without a lock or an allocation. The exceptions are a value that gets a free
/// slot and the first value that is folded. Clones share everything.
///
/// ```
/// # use std::time::Duration;
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let half_life = Duration::from_secs(60);
/// let took = client.timing("http.took").bounded("route", 20).allow(&["/pay"]).most_frequent(half_life).register();
///
/// let route = "/cart"; // as the router matched it
/// took.at(route).record(12.5);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// There can be seven other tags besides the bounded one. An occupancy can't be called by name, so it can't be ranked.
///
/// ```compile_fail,E0599
/// # use std::time::Duration;
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let half_life = Duration::from_secs(60);
/// let busy = client.occupancy("http.busy", 10).bounded("route", 20).most_frequent(half_life).register();
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[must_use = "a family reports nothing but what its members do, and forgets its places when it is dropped"]
pub struct FrequentFamily<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    pattern: Pattern<M>,
    seed: Seed,
    // The handle of `other`, once something was folded and there was room for its context. Until then, `misses` counts
    // the calls that lacked it.
    other: OnceLock<M>,
    misses: AtomicUsize,
    slot_table: Arc<SlotTable>,
    folded: Share,
    // The worker ranks the values for as long as this lives.
    _watch: Watch,
}

impl<M: ByName> FrequentFamily<M> {
    /// Returns a call by name for a value, or for `other`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a builder that is handed on would have to be written to memory")]
    pub fn at<'a>(&'a self, value: &'a str) -> MetricBuilder<'a, M> {
        let shared = &*self.shared;
        let (hash, value) = clip_and_hash(&shared.seed, value);
        if shared.slot_table.keeps(hash) {
            return MetricBuilder::of_member(MemberCall::by_hash(&shared.pattern, value, hash));
        }
        match shared.admit_or_fold(hash) {
            Target::Own => MetricBuilder::of_member(MemberCall::by_hash(&shared.pattern, value, hash)),
            Target::Other(handle) => {
                MetricBuilder::of_member(MemberCall::folded(&shared.pattern, OTHER, handle))
            }
        }
    }

    /// Returns the number of calls of [`at`](Self::at) whose value had no slot and was folded into `other`. A forked
    /// child continues from its parent's count.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.shared.folded.get()
    }
}

/// The target of a call whose value had no slot.
#[derive(Clone, Copy)]
enum Target<'a, M> {
    /// The value got a free slot.
    Own,
    /// There was no free slot. The call uses the handle of `other`, if there is one.
    Other(Option<&'a M>),
}

// These methods end with their calls of others (tail calls), so that nothing is saved on the stack.
impl<M: ByName> Shared<M> {
    /// Finds a slot for a value that has none, or counts the call as folded.
    #[inline(never)]
    fn admit_or_fold(&self, hash: u64) -> Target<'_, M> {
        let Some(other) = self.other.get().filter(|_| !self.slot_table.has_room()) else {
            return self.admit_or_fold_slowly(hash);
        };
        match self.folded.add_one_at_once() {
            Some(nth) if !self.slot_table.candidates.selects(nth) => Target::Other(Some(other)),
            Some(_) => self.note(hash, Target::Other(Some(other))),
            None => self.fold(hash, Target::Other(Some(other))),
        }
    }

    #[cold]
    #[inline(never)]
    fn admit_or_fold_slowly(&self, hash: u64) -> Target<'_, M> {
        if self.slot_table.has_room() && self.slot_table.take_slot(hash) {
            return Target::Own;
        }
        self.fold(hash, Target::Other(self.make_other()))
    }

    /// Returns the handle of `other`, if there is room for it.
    fn make_other(&self) -> Option<&M> {
        let must_try = || self.misses.fetch_add(1, Ordering::Relaxed).is_multiple_of(CALLS_PER_TRY);
        if self.other.get().is_none() && must_try() {
            fork::fill(&self.other, self.pattern.spell_out(OTHER).own_handle()?);
        }
        self.other.get()
    }

    #[cold]
    #[inline(never)]
    fn fold<'a>(&'a self, hash: u64, target: Target<'a, M>) -> Target<'a, M> {
        let nth = self.folded.add_one();
        if self.slot_table.candidates.selects(nth) { self.note(hash, target) } else { target }
    }

    #[inline(never)]
    fn note<'a>(&'a self, hash: u64, target: Target<'a, M>) -> Target<'a, M> {
        self.slot_table.candidates.note(hash);
        target
    }
}

/// Reports nothing, as the handles of a [disabled client](crate::Client::disabled).
#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<M: ByName> Default for FrequentFamily<M> {
    fn default() -> Self {
        let client = Client::disabled();
        let metric = MetricBuilder::new(&client, "", Kind::Gauge, Options::default());
        metric.bounded("", 0).most_frequent(MIN_HALF_LIFE).register()
    }
}

impl<M> Clone for FrequentFamily<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M> fmt::Debug for FrequentFamily<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrequentFamily")
            .field("key", &self.shared.pattern.key())
            .field("slot_table", &self.shared.slot_table)
            .field("folded", &self.shared.folded.get())
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for FrequentBuilder<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrequentBuilder")
            .field("bounded", &self.bounded)
            .field("half_life", &self.half_life)
            .finish()
    }
}

#[cfg(all(test, feature = "testing", not(tasktag_loom)))]
mod tests {
    use super::*;
    use crate::api::client::Guard;
    use crate::testing::Capture;
    use crate::{Client, Counter};
    use std::thread;
    use std::time::Instant;

    fn ranked() -> (Guard, FrequentFamily<Counter>) {
        let guard = Client::builder().capture(&Capture::new()).build().unwrap();
        let half_life = Duration::from_secs(60);
        let family = guard.client().counter("ranked").bounded("route", 0).most_frequent(half_life).register();
        (guard, family)
    }

    #[test]
    fn the_handle_of_other_is_made_while_nobody_forks() {
        let (_guard, family) = ranked();
        thread::scope(|scope| {
            let forking = fork::make_whole();
            let folding = scope.spawn(|| family.at("/a").increment(1));
            fork::waiting::wait_for(&folding);
            assert!(family.shared.other.get().is_none());
            drop(forking);
        });
        assert!(family.shared.other.get().is_some());
    }

    #[test]
    fn a_family_that_keeps_other_keeps_nothing_that_keeps_it() {
        let (guard, family) = ranked();
        family.at("/a").increment(1);
        let (client, slot_table) =
            (Arc::downgrade(guard.client().shared()), Arc::downgrade(&family.shared.slot_table));
        drop(guard);
        family.at("/b").increment(1);
        assert_eq!(family.shared.pattern.client().stats().folded_values, 2);
        drop(family);
        // A thread of another test that is forking may hold all clients for that long.
        let deadline = Instant::now() + Duration::from_secs(60);
        let is_kept = || client.strong_count() + slot_table.strong_count() > 0;
        while is_kept() && Instant::now() < deadline {
            thread::yield_now();
        }
        assert!(!is_kept());
    }
}
