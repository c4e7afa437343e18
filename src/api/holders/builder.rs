//! Sets up a set of holders.

use super::Holders;
use super::family::HolderFamily;
use super::metrics::{OLDEST_HOLD, Patterns};
use super::roster::{MAX_HOLDERS, Roster};
use crate::api::client::Client;
use crate::api::dimension::ClosedTag;
use crate::callback::watch_name::WatchName;
use crate::vocabulary::tag::TagList;
use crate::vocabulary::tag_value::TagValue;
use std::sync::Arc;

/// The key of the tag with the name of what is held, and the default prefix.
const POOL: &str = "pool";

/// A set of holders that is about to be registered. [`Holders::builder`] returns one.
///
/// ```
/// use tasktag::Holders;
///
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// // permit.held.in_use, permit.wait, … with the tags pool:exports, zone:eu and holder:…
/// let holders = Holders::builder(client, "exports").prefix("permit").tag("zone", "eu").capacity(4).register(10);
/// let nightly = holders.of("nightly");
/// # drop(nightly);
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "register it"]
pub struct HoldersBuilder<'a> {
    client: &'a Client,
    name: String,
    prefix: String,
    tags: Vec<(String, String)>,
    capacity: u32,
}

impl<'a> HoldersBuilder<'a> {
    pub(super) fn new(client: &'a Client, name: &str) -> Self {
        let tags = vec![(POOL.to_owned(), name.to_owned())];
        Self { client, name: name.to_owned(), prefix: POOL.to_owned(), tags, capacity: 0 }
    }

    /// Sets the prefix of the metrics' names. The default is `pool`.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.trim_end_matches('.').clone_into(&mut self.prefix);
        self
    }

    /// Adds a tag to every metric. [`TagValue`] says what its value can be.
    pub fn tag<'v>(mut self, key: &str, value: impl TagValue<'v>) -> Self {
        self.tags.push((key.to_owned(), value.into_text().to_owned()));
        self
    }

    /// Sets how many units there are for all holders together. `pool.held.utilization` is then each holder's share of
    /// them over time. The default is 0, with which it is not reported.
    pub fn capacity(mut self, units: u32) -> Self {
        self.capacity = units;
        self
    }

    /// Registers holders whose names are known at run time, and keeps at most `limit` of them, up to 256. All further
    /// names become `other`.
    pub fn register(self, limit: usize) -> Holders {
        Holders { roster: self.roster(limit.min(MAX_HOLDERS), &[]) }
    }

    /// Registers a holder for each value of a closed tag. More than 256 values are a compile error. The values are
    /// those of the tag `holder`, whatever the key of the closed tag.
    pub fn register_family<T: ClosedTag>(self) -> HolderFamily<T> {
        const { HolderFamily::<T>::FITS };
        HolderFamily::new(self.roster(0, T::VALUES))
    }

    fn roster(self, limit: usize, kept: &[&str]) -> Arc<Roster> {
        let Self { client, name, prefix, tags, capacity } = self;
        let tags: Vec<_> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let full_name =
            |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        let patterns = Patterns::new(client, full_name, &tags, capacity);
        let mut list = TagList::default();
        list.set_slice(&tags);
        let watch_name = WatchName::new(&client.shared().index, &full_name(OLDEST_HOLD), &list);
        Roster::new(name, patterns, limit, kept, watch_name)
    }
}
