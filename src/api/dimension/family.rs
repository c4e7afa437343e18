//! A metric over closed tags: a dense array of handles.

use super::closed::ClosedTags;
use crate::api::handle::{Metric, MetricBuilder, Pattern};
use crate::vocabulary::error::RegisterError;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A metric with a handle for every combination of one to three [closed tags](crate::ClosedTag).
///
/// [`register_family`](MetricBuilder::register_family) creates one. A handle is found by arithmetic on the indices of
/// the tags' values. Nothing is hashed, locked or allocated, and every value has a handle. Clones share the handles.
///
/// ```
/// tasktag::tags! {
///     enum Queue: "queue" { Mail, Reports }
/// }
/// use tasktag::Outcome;
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
///
/// let done = client.counter("jobs.done").tag("pool", "primary").register_family::<(Queue, Outcome)>();
/// // jobs.done:1|c|#outcome:ok,pool:primary,queue:mail,task_id:0042
/// done.at((Queue::Mail, Outcome::Ok)).increment(1);
///
/// let waiting = client.gauge("jobs.waiting").register_family::<Queue>();
/// waiting.at(Queue::Reports).set(12.0);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// A string is not a closed tag:
///
/// ```compile_fail,E0308
/// tasktag::tags! {
///     enum Queue: "queue" { Mail, Reports }
/// }
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build().unwrap();
/// # let client = guard.client();
/// let waiting = client.gauge("jobs.waiting").register_family::<Queue>();
/// waiting.at("reports").set(12.0);
/// ```
///
/// ```compile_fail,E0277
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build().unwrap();
/// # let client = guard.client();
/// let waiting = client.gauge("jobs.waiting").register_family::<&'static str>();
/// ```
///
/// # Size
///
/// All members are registered at once, so that no call can be refused or allocate. A counter at 0 and a gauge or a set
/// that was never used send nothing. Each of them still counts towards the client's
/// [context limit](crate::ClientBuilder::context_limit).
///
/// A family has at most 1,024 members. A family of distributions, which take up to 172 KiB each if all are busy, or of
/// occupancies, which report 0 while they are not used, has at most 256. More members are a compile error that names
/// the family. As with every check of a generic's constants, `cargo build` finds the error and `cargo check` does not.
///
/// ```
/// use tasktag::{HttpMethod, StatusClass};
/// tasktag::tags! {
///     enum Region: "region" { EuWest, EuNorth, UsEast, UsWest, Asia }
/// }
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// // 10 methods, 6 classes, 5 regions: 300 counters …
/// let requests = client.counter("http.requests").register_family::<(HttpMethod, StatusClass, Region)>();
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// ```compile_fail,E0080
/// # use tasktag::{HttpMethod, StatusClass};
/// # tasktag::tags! {
/// #     enum Region: "region" { EuWest, EuNorth, UsEast, UsWest, Asia }
/// # }
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// // … but not 300 timings.
/// let took = client.timing("http.took").register_family::<(HttpMethod, StatusClass, Region)>();
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[must_use = "a family reports nothing but what its members do"]
pub struct Family<M, T> {
    // The array has the same length for every family, so that every index is within it and the compiler need not check.
    // The rest is filled with clones of the first handle.
    members: Arc<[M; PLACES]>,
    tags: PhantomData<fn(T)>,
}

/// The number of members of the largest family, whose handles take 16 KiB.
const PLACES: usize = 1024;

impl<M: Metric, T: ClosedTags> Family<M, T> {
    const FITS: () = assert!(
        T::COMBINATIONS <= M::MAX_MEMBERS,
        "the family has too many members: 1024 is the limit, 256 for distributions and occupancies"
    );

    /// Returns the handle for these tags.
    #[inline]
    pub fn at(&self, tags: T) -> &M {
        match self.members.get(tags.place()) {
            Some(member) => member,
            None => self.first(),
        }
    }

    /// Avoids an index that could panic.
    #[cold]
    fn first(&self) -> &M {
        let [first, ..] = &*self.members;
        first
    }

    /// Creates a member for the tags of each combination.
    fn collect<E>(member: impl Fn(&[(&str, &str)]) -> Result<M, E>) -> Result<Self, E> {
        const { Self::FITS };
        let mut pairs = Vec::new();
        let mut at = |place| {
            pairs.clear();
            T::push_pairs(place, &mut pairs);
            member(&pairs)
        };
        let first = at(0)?;
        let mut members = vec![first.clone()];
        for place in 1..T::COMBINATIONS {
            members.push(at(place)?);
        }
        let members = std::array::from_fn(|place| members.get(place).unwrap_or(&first).clone());
        Ok(Self { members: Arc::new(members), tags: PhantomData })
    }
}

impl<M: Metric> MetricBuilder<'_, M> {
    /// Registers a handle for each combination of closed tags. This never fails. If
    /// [`try_register_family`](Self::try_register_family) would fail for a member, that member is counted as a refused
    /// registration and reports nothing.
    #[must_use = "handles are what keeps the metric alive"]
    pub fn register_family<T: ClosedTags>(self) -> Family<M, T> {
        let pattern: Pattern<M> = self.pattern();
        match Family::collect(|tags| Ok::<M, std::convert::Infallible>(pattern.register(tags))) {
            Ok(family) => family,
            Err(never) => match never {},
        }
    }

    /// Registers a handle for each combination of closed tags, or returns the reason why there is none.
    ///
    /// # Errors
    ///
    /// Fails if [`try_register`](Self::try_register) fails for one of them. The refusal is also counted, and no handle
    /// is kept.
    pub fn try_register_family<T: ClosedTags>(self) -> Result<Family<M, T>, RegisterError> {
        let pattern: Pattern<M> = self.pattern();
        Family::collect(|tags| pattern.try_register(tags))
    }
}

/// Reports nothing, as the handles of a [disabled client](crate::Client::disabled).
#[allow(private_bounds, reason = "the kinds of handles are ours to add to")]
impl<M: Metric, T> Default for Family<M, T> {
    fn default() -> Self {
        let handle = M::disabled();
        Self { members: Arc::new(std::array::from_fn(|_| handle.clone())), tags: PhantomData }
    }
}

impl<M: Clone, T> Clone for Family<M, T> {
    fn clone(&self) -> Self {
        Self { members: Arc::clone(&self.members), tags: PhantomData }
    }
}

impl<M, T: ClosedTags> fmt::Debug for Family<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("members", &T::COMBINATIONS).finish_non_exhaustive()
    }
}
