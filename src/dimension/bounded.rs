//! A tag with run-time values and a limit: who comes first keeps a place.

use super::frequent::FrequentBuilder;
use super::pattern::{Member, Pattern};
use crate::cell::{CounterBlock, CounterCell};
use crate::error::RegisterError;
use crate::fork::make_whole;
use crate::handle::MetricBuilder;
use crate::text::{self, Seed};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The value that stands for all that have no place.
pub(super) const OTHER: &str = "other";
/// Places that a bounded tag may have.
pub(super) const MAX_LIMIT: usize = 10_000;
/// Characters of a value: what a line has room for. The rest is cut, so that a place's size has a limit too.
const MAX_VALUE: usize = 100;
/// Calls from one try to the next, when the client refused another context.
const CALLS_PER_TRY: usize = 1024;

/// A metric with a [bounded](MetricBuilder::bounded) tag that is about to be registered.
#[must_use = "register it"]
pub struct BoundedBuilder<'a, M> {
    pub(super) metric: MetricBuilder<'a, M>,
    pub(super) key: &'a str,
    pub(super) limit: usize,
    pub(super) allowed: Vec<&'a str>,
}

#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<'a, M: Member> MetricBuilder<'a, M> {
    /// Adds a tag whose values are known at run time only, and keeps at most `limit` of them, up to 10,000. All others
    /// are folded into `other`: nothing is lost, and the sum over the tag is exact.
    ///
    /// Who comes first keeps a place, for as long as the [`BoundedFamily`] lives;
    /// [`most_frequent`](BoundedBuilder::most_frequent) deals the places anew from time to time. `other` itself takes
    /// none.
    pub fn bounded(self, key: &'a str, limit: usize) -> BoundedBuilder<'a, M> {
        BoundedBuilder { metric: self, key, limit: limit.min(MAX_LIMIT), allowed: Vec::new() }
    }
}

#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<'a, M: Member> BoundedBuilder<'a, M> {
    /// Values that always have a place, whatever comes first: the routes that an alert watches. They take theirs out of
    /// the limit; where there are more of them than that, they are all that is kept. A second call adds to the first.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// // Two routes by name, and the sum of all others.
    /// let requests = client.counter("http.requests").bounded("route", 0).allow(&["/login", "/pay"]).register();
    /// requests.at("/login").increment(1);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn allow(mut self, values: &[&'a str]) -> Self {
        self.allowed.extend_from_slice(values);
        self.allowed.truncate(MAX_LIMIT);
        self
    }

    /// Gives the places to the values that are called most often, rather than to those that came first: see
    /// [`FrequentFamily`](crate::FrequentFamily). Every `half_life`, at least 10 s, all counts are halved and places may change hands.
    pub fn most_frequent(self, half_life: Duration) -> FrequentBuilder<'a, M> {
        FrequentBuilder::new(self, half_life)
    }

    /// The family. Never fails: where [`try_register`](Self::try_register) would, the refusals are counted, and the
    /// handles for `other` and for the allowed values that were refused report nothing.
    #[must_use = "handles are what keeps the metric alive"]
    pub fn register(self) -> BoundedFamily<M> {
        let pattern: Pattern<M> = self.metric.pattern();
        match self.places(|tag| Ok::<M, std::convert::Infallible>(pattern.register(&[tag]))) {
            Ok(places) => places.family(pattern),
            Err(never) => match never {},
        }
    }

    /// The family, or why there is none.
    ///
    /// # Errors
    ///
    /// When [`try_register`](MetricBuilder::try_register) fails for `other` or one of the allowed values.
    pub fn try_register(self) -> Result<BoundedFamily<M>, RegisterError> {
        let pattern: Pattern<M> = self.metric.pattern();
        Ok(self.places(|tag| pattern.try_register(&[tag]))?.family(pattern))
    }

    fn places<E>(&self, register: impl Fn((&str, &str)) -> Result<M, E>) -> Result<Places<M>, E> {
        // A quarter full at most, so that three of four values without a place are known as such at the first look.
        let len = 4 * (self.limit.max(self.allowed.len()) + 1);
        let mut places = Places {
            table: (0..len.next_power_of_two()).map(|_| OnceLock::new()).collect(),
            seed: Seed::random(),
            key: self.key.into(),
            other: register((self.key, OTHER))?,
            room: self.limit,
        };
        places.fill(OTHER, register((self.key, OTHER))?);
        for value in self.allowed.iter().map(|value| clip(value)) {
            if places.find(places.hash(value), value).is_none() {
                places.fill(value, register((self.key, value))?);
                places.room = places.room.saturating_sub(1);
            }
        }
        Ok(places)
    }
}

/// A metric with a tag whose values are known at run time only, and bounded.
///
/// [`bounded`](MetricBuilder::bounded) makes one. The first values get a place each and keep it; once all places are
/// taken, every other value is `other`, and the call is counted in [`folded`](Self::folded), in
/// [`Stats::folded_values`](crate::Stats::folded_values) and in telemetry. Clones share everything.
///
/// A value that has a place is found without a lock or an allocation, and so is `other` once no place is left. Only a
/// value that gets a place is registered there and then, as by a first call by name. Where the client itself has no
/// room for another context, the value is folded, and every 1024th such call tries again.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let requests = client.counter("http.requests").bounded("route", 50).allow(&["/login"]).register();
/// let took = client.timing("http.took").tag("zone", "eu").bounded("route", 20).register();
///
/// let route = "/cart"; // as the router matched it
/// requests.at(route).increment(1);
/// took.at(route).record(12.5);
/// assert_eq!(requests.folded(), 0);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// A value longer than 100 characters is cut there before it is looked for: a line has room for no more.
pub struct BoundedFamily<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    places: Places<M>,
    pattern: Pattern<M>,
    // Places that nobody has yet; written under the lock.
    room: AtomicUsize,
    refusals: AtomicUsize,
    folded: CounterCell,
}

/// A table of values that only grows, so that readers need no lock.
struct Places<M> {
    table: Box<[OnceLock<Place<M>>]>,
    seed: Seed,
    key: Box<str>,
    other: M,
    room: usize,
}

struct Place<M> {
    hash: u64,
    value: Box<str>,
    handle: M,
}

impl<M> Places<M> {
    #[inline]
    fn hash(&self, value: &str) -> u64 {
        self.seed.hash(value)
    }

    #[inline]
    fn find(&self, hash: u64, value: &str) -> Option<&M> {
        // Nearly all are where they are looked for first.
        let place = self.table.get(self.nth(hash, 0))?.get()?;
        if place.hash == hash && text::same(value, &place.value) {
            Some(&place.handle)
        } else {
            self.find_further(hash, value)
        }
    }

    #[inline(never)]
    fn find_further(&self, hash: u64, value: &str) -> Option<&M> {
        for step in 1..self.table.len() {
            let place = self.table.get(self.nth(hash, step))?.get()?;
            // Not `text::same`, which would take both ends of the value before anything else.
            if place.hash == hash && *place.value == *value {
                return Some(&place.handle);
            }
        }
        None
    }

    /// Puts a value into the first free place on its way; there always is one.
    fn fill(&self, value: &str, handle: M) -> Option<&M> {
        let hash = self.hash(value);
        let mut place = Place { hash, value: value.into(), handle };
        for step in 0..self.table.len() {
            let free = self.table.get(self.nth(hash, step))?;
            match free.set(place) {
                Ok(()) => return free.get().map(|place| &place.handle),
                Err(back) => place = back,
            }
        }
        None
    }

    #[inline]
    fn nth(&self, hash: u64, step: usize) -> usize {
        nth(hash, step, self.table.len())
    }

    fn family(self, pattern: Pattern<M>) -> BoundedFamily<M> {
        let room = AtomicUsize::new(self.room);
        let refusals = AtomicUsize::new(0);
        let folded = CounterBlock::default().cell();
        BoundedFamily { shared: Arc::new(Shared { places: self, pattern, room, refusals, folded }) }
    }
}

#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<M: Member> BoundedFamily<M> {
    /// The handle for a value, or that of `other`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "half as much again is spent on the call otherwise")]
    #[must_use]
    pub fn at(&self, value: &str) -> &M {
        let (hash, value) = clip_and_hash(&self.shared.places.seed, value);
        match self.shared.places.find(hash, value) {
            Some(handle) => handle,
            None => self.shared.admit(hash, value),
        }
    }

    /// Calls of [`at`](Self::at) whose value had no place, and was folded into `other`.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.shared.folded.sum()
    }
}

impl<M: Member> Shared<M> {
    #[inline(never)]
    fn admit(&self, hash: u64, value: &str) -> &M {
        if self.may_try()
            && let Some(handle) = self.take_place(hash, value)
        {
            return handle;
        }
        self.folded.add(1);
        self.pattern.client().shared().ledger.folded_values.add(1);
        &self.places.other
    }

    /// Whether there is a place left, and the client did not refuse the last try.
    fn may_try(&self) -> bool {
        self.room.load(Ordering::Relaxed) > 0
            && (self.refusals.load(Ordering::Relaxed) == 0
                || self.refusals.fetch_add(1, Ordering::Relaxed).is_multiple_of(CALLS_PER_TRY))
    }

    #[cold]
    #[inline(never)]
    fn take_place(&self, hash: u64, value: &str) -> Option<&M> {
        // One at a time, of all families: new values are rare.
        let _growing = make_whole();
        // Another thread may have been faster.
        if let Some(handle) = self.places.find(hash, value) {
            return Some(handle);
        }
        let room = self.room.load(Ordering::Relaxed).checked_sub(1)?;
        let Ok(handle) = self.pattern.try_register(&[(&self.places.key, value)]) else {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.refusals.store(0, Ordering::Relaxed);
        self.room.store(room, Ordering::Relaxed);
        self.places.fill(value, handle)
    }
}

/// Where a table's `step`th look for a hash goes. Its length is a power of two.
#[inline]
pub(super) fn nth(hash: u64, step: usize, len: usize) -> usize {
    // The upper bits are the better mixed ones.
    ((hash >> 32) as usize).wrapping_add(step) & (len - 1)
}

/// As much of a value as a line has room for, and its hash. What is out of line is handed on in registers.
#[inline]
pub(super) fn clip_and_hash<'a>(seed: &Seed, value: &'a str) -> (u64, &'a str) {
    if value.len() <= Seed::SHORT {
        return (seed.hash(value), value);
    }
    let value = clip(value);
    (hash_long(seed, value), value)
}

#[inline(never)]
fn hash_long(seed: &Seed, value: &str) -> u64 {
    seed.hash(value)
}

/// As much of a value as a line has room for.
#[inline]
pub(super) fn clip(value: &str) -> &str {
    if value.len() <= MAX_VALUE { value } else { cut(value) }
}

#[cold]
fn cut(value: &str) -> &str {
    let end = value.char_indices().nth(MAX_VALUE).map_or(value.len(), |(end, _)| end);
    value.get(..end).unwrap_or(value)
}

impl<M> Clone for BoundedFamily<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M> fmt::Debug for BoundedFamily<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedFamily")
            .field("key", &self.shared.places.key)
            .field("room", &self.shared.room)
            .field("folded", &self.shared.folded.sum())
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for BoundedBuilder<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedBuilder")
            .field("metric", &self.metric)
            .field("key", &self.key)
            .field("limit", &self.limit)
            .field("allowed", &self.allowed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_never_stands_for_equality() {
        let guard = crate::Client::builder().build().unwrap();
        let family = guard.client().counter("requests").bounded("route", 2).register();
        let _ = family.at("/a");
        let places = &family.shared.places;
        assert!(places.find(places.hash("/a"), "/a").is_some());
        assert!(places.find(places.hash("/a"), "/b").is_none());
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let exact = "ü".repeat(MAX_VALUE);
        assert_eq!(clip(&exact), exact);
        assert_eq!(clip(&"ü".repeat(MAX_VALUE + 1)), exact);
        assert_eq!(clip("short"), "short");
    }
}
