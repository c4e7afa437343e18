//! Tags with run-time values and a limit, in which the first values get the slots.

use super::slots::Slots;
use crate::api::client::Client;
use crate::api::handle::{Metric, MetricBuilder, Options, Pattern};
use crate::ledger::Share;
use crate::vocabulary::error::RegisterError;
use crate::vocabulary::kind::Kind;
use std::fmt;
use std::sync::Arc;

/// The value that stands for all values without a slot.
pub(crate) const OTHER: &str = "other";
/// The maximum number of slots of a bounded tag.
pub(crate) const MAX_LIMIT: usize = 10_000;

/// A metric with a [bounded](MetricBuilder::bounded) tag that is about to be registered.
#[must_use = "register it"]
pub struct BoundedBuilder<'a, M> {
    pub(super) metric: MetricBuilder<'a, M>,
    pub(super) key: &'a str,
    pub(super) limit: usize,
    pub(super) allowed: Vec<&'a str>,
}

impl<'a, M: Metric> MetricBuilder<'a, M> {
    /// Adds a tag whose values are known only at run time, and keeps at most `limit` of them. The limit can be up to
    /// 10,000. All other values are folded into `other`: nothing is lost, and the sum over the tag is exact.
    ///
    /// The first values get the slots, and keep them for as long as the [`BoundedFamily`] lives. With
    /// [`most_frequent`](BoundedBuilder::most_frequent) the slots are reassigned from time to time. `other` itself
    /// takes no slot.
    ///
    /// A metric has one bounded tag, and no closed tags beside it. To tell outcomes apart too, register a bounded
    /// family for each of them, with slots of its own:
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// let ok = client.counter("orders").tag("outcome", "ok").bounded("tenant", 50).register();
    /// let error = client.counter("orders").tag("outcome", "error").bounded("tenant", 50).register();
    /// ok.at("acme").increment(1); // orders:1|c|#outcome:ok,tenant:acme,task_id:0042
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn bounded(self, key: &'a str, limit: usize) -> BoundedBuilder<'a, M> {
        BoundedBuilder { metric: self, key, limit: limit.min(MAX_LIMIT), allowed: Vec::new() }
    }
}

impl<'a, M: Metric> BoundedBuilder<'a, M> {
    /// Sets values that always have a slot, for example the routes that an alert watches. Their slots count towards the
    /// limit. If there are more of them than the limit, only they are kept. A second call adds to the first.
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

    /// Registers the family. This never fails. If [`try_register`](Self::try_register) would fail, the refusals are
    /// counted. The handles for `other` and for the allowed values that were refused then report nothing.
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

    /// Registers the family, or returns the reason why there is none.
    ///
    /// # Errors
    ///
    /// Fails if [`try_register`](MetricBuilder::try_register) fails for `other` or for one of the allowed values.
    pub fn try_register(self) -> Result<BoundedFamily<M>, RegisterError> {
        let pattern: Pattern<M> = self.metric.pattern();
        let places = self.places(|tag| pattern.try_register(&[tag]))?;
        Ok(BoundedFamily::new(places, pattern.try_register(&[(self.key, OTHER)])?, self.key, pattern))
    }

    fn places<E>(&self, register: impl Fn((&str, &str)) -> Result<M, E>) -> Result<Slots<M>, E> {
        let places = Slots::new(self.limit, self.allowed.len());
        places.fill(OTHER, register((self.key, OTHER))?);
        for value in &self.allowed {
            places.keep(value, |value| register((self.key, value)))?;
        }
        Ok(places)
    }
}

/// A metric with a bounded tag, whose values are known only at run time. [`bounded`](MetricBuilder::bounded) creates
/// one.
///
/// Each of the first values gets a slot and keeps it. Once all slots are taken, every other value becomes `other`. Such
/// a call is counted in [`folded`](Self::folded), in [`Stats::folded_values`](crate::Stats::folded_values) and in
/// telemetry. Clones share everything.
///
/// A value with a slot is found without a lock or an allocation, and so is `other` once no slot is left. A value that
/// gets a slot is registered at that moment, as by a first call by name. If the client itself has no room for another
/// context, the value is folded, and every 1024th such call tries again.
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
/// A value that is longer than 100 characters is truncated to 100 before the lookup, because a line has room for no
/// more.
#[must_use = "a family reports nothing but what its members do, and forgets its places when it is dropped"]
pub struct BoundedFamily<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    places: Slots<M>,
    key: Box<str>,
    other: M,
    pattern: Pattern<M>,
    folded: Share,
}

impl<M: Metric> BoundedFamily<M> {
    fn new(places: Slots<M>, other: M, key: &str, pattern: Pattern<M>) -> Self {
        let folded = pattern.client().shared().ledger.folded_values.share();
        Self { shared: Arc::new(Shared { places, key: key.into(), other, pattern, folded }) }
    }

    /// Returns the handle for a value, or the handle for `other`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "half as much again is spent on the call otherwise")]
    #[must_use]
    pub fn at(&self, value: &str) -> &M {
        let (hash, value) = self.shared.places.hash_of(value);
        match self.shared.places.find(hash, value) {
            Some(handle) => handle,
            None => self.shared.admit_or_fold(hash, value),
        }
    }

    /// Returns the number of calls of [`at`](Self::at) whose value had no slot and was folded into `other`. A forked
    /// child continues from its parent's count.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.shared.folded.get()
    }
}

impl<M: Metric> Shared<M> {
    #[inline(never)]
    fn admit_or_fold(&self, hash: u64, value: &str) -> &M {
        let register = |value: &str| self.pattern.try_register(&[(&self.key, value)]).ok();
        if let Some(handle) = self.places.admit(hash, value, register) {
            return handle;
        }
        self.folded.add_one();
        &self.other
    }
}

/// Reports nothing, as the handles of a [disabled client](crate::Client::disabled).
#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<M: Metric> Default for BoundedFamily<M> {
    fn default() -> Self {
        // Of whatever kind: a disabled client does not look at it.
        MetricBuilder::new(&Client::disabled(), "", Kind::Gauge, Options::default()).bounded("", 0).register()
    }
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
            .field("places", &self.shared.places)
            .field("folded", &self.shared.folded.get())
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
