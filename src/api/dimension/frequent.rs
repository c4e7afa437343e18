//! A tag with run-time values and a limit: the most frequent ones keep a place.

use super::board::Board;
use super::bounded::{BoundedBuilder, OTHER};
use super::places::{CALLS_PER_TRY, clip_and_hash};
use super::ranking::Ranking;
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

/// The shortest half-life: places that changed hands faster would leave more contexts behind than they are.
const MIN_HALF_LIFE: Duration = Duration::from_secs(10);

/// A [`Metric`] whose verbs there are by name: all but [`Occupancy`](crate::Occupancy). A [`FrequentFamily`] can be had of
/// these.
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
    /// Gives the places to the values that are called most often, rather than to those that came first: see
    /// [`FrequentFamily`](crate::FrequentFamily). Every `half_life`, at least 10 s, all counts are halved and places may change hands.
    pub fn most_frequent(self, half_life: Duration) -> FrequentBuilder<'a, M> {
        FrequentBuilder::new(self, half_life)
    }
}

impl<'a, M: Metric> FrequentBuilder<'a, M> {
    fn new(bounded: BoundedBuilder<'a, M>, half_life: Duration) -> Self {
        Self { bounded, half_life: half_life.max(MIN_HALF_LIFE) }
    }

    /// Values that always have a place, as [`BoundedBuilder::allow`].
    pub fn allow(mut self, values: &[&'a str]) -> Self {
        self.bounded = self.bounded.allow(values);
        self
    }
}

impl<M: ByName> FrequentBuilder<'_, M> {
    /// The family. There is nothing to be refused yet: each call is one by name.
    #[must_use = "a family is what is called"]
    pub fn register(self) -> FrequentFamily<M> {
        let BoundedBuilder { metric, key, limit, allowed } = self.bounded;
        let pattern = metric.pattern().for_calls(key);
        let seed = Seed::random();
        let mut pinned: Vec<u64> = allowed.iter().map(|value| clip_and_hash(&seed, value).0).collect();
        pinned.sort_unstable();
        pinned.dedup();
        // Whoever calls `other` by its name is not folded.
        let (other, _) = clip_and_hash(&seed, OTHER);
        pinned.retain(|allowed| *allowed != other);
        pinned.push(other);
        let places = limit.saturating_add(1).max(pinned.len());
        let board = Arc::new(Board::new(places, &pinned));
        let shared = Arc::clone(pattern.client().shared());
        let (ranked, half_life, clock) =
            (Arc::downgrade(&board), nanos(self.half_life), shared.clock.clone());
        let ranking = move |is_child: bool| {
            let board = ranked.upgrade()?;
            if is_child {
                board.start_over();
            }
            let ranking = Ranking::new(board, pinned.clone(), places, half_life, clock.clone());
            Some(Box::new(ranking) as Box<dyn Collect>)
        };
        let watch = Watch::new(shared.watch_in_every_process(ranking));
        let folded = shared.ledger.folded_values.share();
        let (other, misses) = (OnceLock::new(), AtomicUsize::new(0));
        let shared = Shared { pattern, seed, other, misses, board, folded, _watch: watch };
        FrequentFamily { shared: Arc::new(shared) }
    }
}

/// A metric with a tag whose values are known at run time only, and bounded: the most frequent keep their places.
///
/// [`most_frequent`](BoundedBuilder::most_frequent) makes one. At first whoever comes first gets a place. Every
/// half-life the worker halves all counts: a value whose count is 0 then gives up its place, and one without a place
/// takes it from another that was seen less than half as often. A quarter of the places at most get another value in a
/// half-life, because a context that lost its place is remembered for another 150 flushes. What has no place is
/// `other`, and counted in [`folded`](Self::folded), in [`Stats::folded_values`](crate::Stats::folded_values) and in
/// telemetry.
///
/// How often values without a place are seen is estimated, in memory that depends on the limit alone: too low for one
/// that shares its corner with several about as frequent. Of such calls in a half-life the first 4,096 are looked at, or
/// 64 for each place where that is more; of those beyond, one in eight is, and stands for eight. Sums are exact all the same.
///
/// Calls of the values that have a place are counted in words of each thread's own, as a counter's are: about 750 bytes a
/// place on up to 4 processors, 5 KiB on 32 and more. With a limit of 10,000 that is 17 MB there.
///
/// A forked child ranks for itself, from its parent's places and counts of 0.
///
/// [`at`](Self::at) gives a call by name, and costs about what one does: what was counted before a value lost its place
/// is sent under that value, and sums stay exact. A gauge is sent for 150 flushes after it was set, as it may have lost
/// its place; that of `other`, of which the family keeps a handle once there is one, at every flush from then on. Whether
/// a value has a place is decided without a lock or an allocation, except for one that gets a free place, and for the
/// first that is folded. Clones share
/// everything.
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
/// Beside the bounded tag there can be seven others. An occupancy can't be called by name, and so not be ranked.
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
    // Since something was folded, if there was room for its context. Until then, how often it was missed.
    other: OnceLock<M>,
    misses: AtomicUsize,
    board: Arc<Board>,
    folded: Share,
    // The worker ranks for as long as this lives.
    _watch: Watch,
}

impl<M: ByName> FrequentFamily<M> {
    /// A call by name for a value, or for `other`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a builder that is handed on would have to be written to memory")]
    pub fn at<'a>(&'a self, value: &'a str) -> MetricBuilder<'a, M> {
        let shared = &*self.shared;
        let (hash, value) = clip_and_hash(&shared.seed, value);
        if shared.board.keeps(hash) {
            return MetricBuilder::of_member(MemberCall::by_hash(&shared.pattern, value, hash));
        }
        match shared.admit_or_fold(hash) {
            Target::Own => MetricBuilder::of_member(MemberCall::by_hash(&shared.pattern, value, hash)),
            Target::Other(handle) => {
                MetricBuilder::of_member(MemberCall::folded(&shared.pattern, OTHER, handle))
            }
        }
    }

    /// Calls of [`at`](Self::at) whose value had no place, and was folded into `other`. A forked child goes on from its
    /// parent's count.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.shared.folded.get()
    }
}

/// Where a call of a value that had no place goes.
#[derive(Clone, Copy)]
enum Target<'a, M> {
    /// There was one left.
    Own,
    /// There is none: by the handle of `other`, if there is one.
    Other(Option<&'a M>),
}

// What these do not do themselves they end with, so that nothing is saved on the stack.
impl<M: ByName> Shared<M> {
    /// Finds a place for a value that has none. Counts the call that is folded.
    #[inline(never)]
    fn admit_or_fold(&self, hash: u64) -> Target<'_, M> {
        let Some(other) = self.other.get().filter(|_| !self.board.has_room()) else {
            return self.admit_or_fold_slowly(hash);
        };
        match self.folded.add_one_at_once() {
            Some(nth) if !self.board.candidates.hears(nth) => Target::Other(Some(other)),
            Some(_) => self.note(hash, Target::Other(Some(other))),
            None => self.fold(hash, Target::Other(Some(other))),
        }
    }

    #[cold]
    #[inline(never)]
    fn admit_or_fold_slowly(&self, hash: u64) -> Target<'_, M> {
        if self.board.has_room() && self.board.take_place(hash) {
            return Target::Own;
        }
        self.fold(hash, Target::Other(self.make_other()))
    }

    /// The handle of `other`, where there is room for it.
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
        if self.board.candidates.hears(nth) { self.note(hash, target) } else { target }
    }

    #[inline(never)]
    fn note<'a>(&'a self, hash: u64, target: Target<'a, M>) -> Target<'a, M> {
        self.board.candidates.note(hash);
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
            .field("board", &self.shared.board)
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
        let (client, board) = (Arc::downgrade(guard.client().shared()), Arc::downgrade(&family.shared.board));
        drop(guard);
        family.at("/b").increment(1);
        assert_eq!(family.shared.pattern.client().stats().folded_values, 2);
        drop(family);
        // Another test's thread that forks just now holds all clients for that long.
        let deadline = Instant::now() + Duration::from_secs(60);
        let is_kept = || client.strong_count() + board.strong_count() > 0;
        while is_kept() && Instant::now() < deadline {
            thread::yield_now();
        }
        assert!(!is_kept());
    }
}
