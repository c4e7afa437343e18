//! A tag with run-time values and a limit: who comes first keeps a place.

use super::frequent::FrequentBuilder;
use super::pattern::{Member, Pattern};
use crate::cell::{CounterBlock, CounterCell};
use crate::error::RegisterError;
use crate::fork::make_whole;
use crate::handle::MetricBuilder;
use foldhash::fast::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The value that stands for all that have no place.
pub(crate) const OTHER: &str = "other";
/// Places that a bounded tag may have.
pub(crate) const MAX_LIMIT: usize = 10_000;
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
            Ok(places) => {
                BoundedFamily::new(places, pattern.register(&[(self.key, OTHER)]), self.key, pattern)
            }
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
        let places = self.places(|tag| pattern.try_register(&[tag]))?;
        Ok(BoundedFamily::new(places, pattern.try_register(&[(self.key, OTHER)])?, self.key, pattern))
    }

    fn places<E>(&self, register: impl Fn((&str, &str)) -> Result<M, E>) -> Result<Places<M>, E> {
        let places = Places::new(self.limit, self.allowed.len());
        places.fill(OTHER, register((self.key, OTHER))?);
        for value in &self.allowed {
            places.keep(value, |value| register((self.key, value)))?;
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
    key: Box<str>,
    other: M,
    pattern: Pattern<M>,
    folded: CounterCell,
}

/// A table of values that only grows, so that readers need no lock.
pub(crate) struct Places<T> {
    table: Box<[OnceLock<Place<T>>]>,
    hasher: RandomState,
    // Places that nobody has yet; written under the lock.
    room: AtomicUsize,
    refusals: AtomicUsize,
}

struct Place<T> {
    hash: u64,
    value: Box<str>,
    holder: T,
}

impl<T> Places<T> {
    /// A table for `limit` values, of which `kept` are there from the start, and for one beyond the limit.
    pub(crate) fn new(limit: usize, kept: usize) -> Self {
        // At most half full, so that the way to a free place is short.
        let len = 2 * (limit.max(kept) + 1);
        Self {
            table: (0..len.next_power_of_two()).map(|_| OnceLock::new()).collect(),
            hasher: RandomState::default(),
            room: AtomicUsize::new(limit),
            refusals: AtomicUsize::new(0),
        }
    }

    /// Gives a value a place before others come; it takes one out of the limit as long as there are any.
    pub(crate) fn keep<E>(&self, value: &str, make: impl FnOnce(&str) -> Result<T, E>) -> Result<(), E> {
        let value = clip(value);
        if self.find(self.hash(value), value).is_none() {
            self.fill(value, make(value)?);
            self.room.store(self.room.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        Ok(())
    }

    /// What holds a value's place, once `make` has made it where the value is new. `None` where no place is left, or
    /// `make` refused.
    #[inline]
    pub(crate) fn at(&self, value: &str, make: impl FnOnce(&str) -> Option<T>) -> Option<&T> {
        let value = clip(value);
        let hash = self.hash(value);
        match self.find(hash, value) {
            None => self.admit(hash, value, make),
            found => found,
        }
    }

    #[inline]
    fn hash(&self, value: &str) -> u64 {
        hash(&self.hasher, value)
    }

    #[inline]
    fn find(&self, hash: u64, value: &str) -> Option<&T> {
        for step in 0..self.table.len() {
            let place = self.table.get(self.nth(hash, step))?.get()?;
            if place.hash == hash && *place.value == *value {
                return Some(&place.holder);
            }
        }
        None
    }

    #[inline(never)]
    fn admit(&self, hash: u64, value: &str, make: impl FnOnce(&str) -> Option<T>) -> Option<&T> {
        if !self.may_try() {
            return None;
        }
        // One at a time, of all families: new values are rare.
        let _growing = make_whole();
        // Another thread may have been faster.
        if let Some(holder) = self.find(hash, value) {
            return Some(holder);
        }
        let room = self.room.load(Ordering::Relaxed).checked_sub(1)?;
        let Some(holder) = make(value) else {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.refusals.store(0, Ordering::Relaxed);
        self.room.store(room, Ordering::Relaxed);
        self.fill(value, holder)
    }

    /// Whether there is a place left, and the last try was not refused.
    fn may_try(&self) -> bool {
        self.room.load(Ordering::Relaxed) > 0
            && (self.refusals.load(Ordering::Relaxed) == 0
                || self.refusals.fetch_add(1, Ordering::Relaxed).is_multiple_of(CALLS_PER_TRY))
    }

    /// Puts a value into the first free place on its way; there always is one.
    pub(crate) fn fill(&self, value: &str, holder: T) -> Option<&T> {
        let hash = self.hash(value);
        let mut place = Place { hash, value: value.into(), holder };
        for step in 0..self.table.len() {
            let free = self.table.get(self.nth(hash, step))?;
            match free.set(place) {
                Ok(()) => return free.get().map(|place| &place.holder),
                Err(back) => place = back,
            }
        }
        None
    }

    #[inline]
    fn nth(&self, hash: u64, step: usize) -> usize {
        nth(hash, step, self.table.len())
    }
}

impl<T> fmt::Debug for Places<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("room", &self.room).finish_non_exhaustive()
    }
}

impl<M> BoundedFamily<M> {
    fn new(places: Places<M>, other: M, key: &str, pattern: Pattern<M>) -> Self {
        let folded = CounterBlock::default().cell();
        Self { shared: Arc::new(Shared { places, key: key.into(), other, pattern, folded }) }
    }
}

#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<M: Member> BoundedFamily<M> {
    /// The handle for a value, or that of `other`.
    #[inline]
    #[must_use]
    pub fn at(&self, value: &str) -> &M {
        let shared = &*self.shared;
        let register = |value: &str| shared.pattern.try_register(&[(&shared.key, value)]).ok();
        match shared.places.at(value, register) {
            Some(handle) => handle,
            None => shared.fold(),
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
    fn fold(&self) -> &M {
        self.folded.add(1);
        self.pattern.client().shared().ledger.folded_values.add(1);
        &self.other
    }
}

/// Where a table's `step`th look for a hash goes. Its length is a power of two.
#[inline]
pub(super) fn nth(hash: u64, step: usize, len: usize) -> usize {
    // The upper bits are the better mixed ones.
    ((hash >> 32) as usize).wrapping_add(step) & (len - 1)
}

#[inline]
pub(super) fn hash(hasher: &RandomState, value: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(value.as_bytes());
    hasher.finish()
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
            .field("key", &self.shared.key)
            .field("room", &self.shared.places.room)
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
    fn anything_can_hold_a_place_and_is_made_once() {
        let places = Places::new(2, 1);
        places.keep("kept", |value| Ok::<_, ()>(value.len())).unwrap();
        places.keep("kept", |_| Err("made twice")).unwrap();
        assert_eq!(places.keep("refused", |_| Err("refused")), Err("refused"));
        assert_eq!(places.at("a", |_| None), None);
        // It was refused: of so many calls, the last one tries again.
        let admitted = (0..CALLS_PER_TRY).filter(|_| places.at("a", |value| Some(value.len())).is_some());
        assert_eq!(admitted.count(), 1);
        assert_eq!(places.at("a", |_| unreachable!()), Some(&1));
        assert_eq!(places.at("b", |_| unreachable!()), None, "no place is left");
        assert_eq!(places.at("kept", |_| unreachable!()), Some(&4));
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let exact = "ü".repeat(MAX_VALUE);
        assert_eq!(clip(&exact), exact);
        assert_eq!(clip(&"ü".repeat(MAX_VALUE + 1)), exact);
        assert_eq!(clip("short"), "short");
    }
}
