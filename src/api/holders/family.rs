//! Holders that a closed tag names.

use super::holder::Holder;
use super::report::HoldersReport;
use super::roster::{MAX_HOLDERS, Roster};
use crate::api::client::Client;
use crate::api::dimension::bounded::OTHER;
use crate::api::dimension::{ClosedTag, check};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Holders whose names are the values of a [closed tag](crate::ClosedTag), so that a misspelled name does not compile.
/// [`HoldersBuilder::register_family`](crate::HoldersBuilder::register_family) creates one.
///
/// Every value has a holder from the start. It is found by its index. Clones share the holders.
///
/// ```
/// use tasktag::Holders;
///
/// tasktag::tags! {
///     enum Job: "job" { Checkout, Reports }
/// }
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// let holders = Holders::builder(client, "primary").register_family::<Job>();
/// let held = holders.at(Job::Reports).hold("a connection"); // holder:reports
/// assert_eq!(holders.report().held(), 1);
/// # drop(held);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[must_use = "a family reports nothing but what its members do"]
pub struct HolderFamily<T> {
    roster: Arc<Roster>,
    // In the order of the tag's values.
    members: Arc<[Holder]>,
    // An index past the end counts as the last one.
    last: Holder,
    tag: PhantomData<fn(T)>,
}

impl<T: ClosedTag> HolderFamily<T> {
    pub(super) const FITS: () =
        assert!(check::<T>() <= MAX_HOLDERS, "the tag has too many values: 256 is the limit");

    pub(super) fn new(roster: Arc<Roster>) -> Self {
        let members = T::VALUES.iter().map(|value| Holder::new(&roster, value)).collect();
        let last = Holder::new(&roster, T::VALUES.last().copied().unwrap_or(OTHER));
        Self { roster, members, last, tag: PhantomData }
    }

    /// Returns the holder for this value.
    #[inline]
    pub fn at(&self, tag: T) -> &Holder {
        self.members.get(tag.index()).unwrap_or(&self.last)
    }
}

impl<T> HolderFamily<T> {
    /// Returns who holds how much, for how long, and who waits.
    #[must_use]
    pub fn report(&self) -> HoldersReport {
        self.roster.report()
    }
}

/// Reports nothing, as the handles of a [disabled client](crate::Client::disabled).
impl<T: ClosedTag> Default for HolderFamily<T> {
    fn default() -> Self {
        super::Holders::builder(&Client::disabled(), "").register_family()
    }
}

impl<T> Clone for HolderFamily<T> {
    fn clone(&self) -> Self {
        Self {
            roster: Arc::clone(&self.roster),
            members: Arc::clone(&self.members),
            last: self.last.clone(),
            tag: PhantomData,
        }
    }
}

impl<T> fmt::Debug for HolderFamily<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HolderFamily").field("roster", &self.roster).finish_non_exhaustive()
    }
}
