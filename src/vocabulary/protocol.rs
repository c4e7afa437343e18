//! The versions of the DogStatsD protocol, and what each of them added.

use crate::vocabulary::name::names;

/// The DogStatsD version that the oldest agent in use understands. Features of later versions are not used.
///
/// | version | Datadog Agent | what it added | what the client does without it |
/// |---|---|---|---|
/// | [`V1_0`](Self::V1_0) | any | | |
/// | [`V1_1`](Self::V1_1) | 7.25, 6.25 | several values per line | writes one line per value |
/// | [`V1_2`](Self::V1_2) | 7.35, 6.35 | the container id, `c:` | leaves it out |
/// | [`V1_3`](Self::V1_3) | 7.40, 6.40 | timestamps, `T` | refuses values with a timestamp, and counts them |
/// | [`V1_4`](Self::V1_4) | 7.51 | the container id with `ci-`, or its cgroup's inode with `in-` | writes the bare id, and no inode |
/// | [`V1_5`](Self::V1_5) | 7.57 | external data, `e:` | leaves it out |
/// | [`V1_6`](Self::V1_6) | 7.64 | the tags' cardinality, `card:` | leaves it out |
///
/// An Agent skips fields that it does not know. Only Agents before 7.25 therefore need another version than the
/// default.
///
/// Other servers have dialects of their own, in which a sign before a gauge's value means a difference: see
/// [`Dialect`](crate::Dialect). Use [`V1_0`](Self::V1_0) for a server that takes values like the Agent, but not several
/// of them per line.
///
/// Source: <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>.
///
/// ```
/// use tasktag::{Client, Protocol};
///
/// let builder = Client::builder().protocol(Protocol::V1_0); // an Agent before 7.25
/// assert!(Protocol::V1_0 < Protocol::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Kinds, rates and tags.
    V1_0,
    /// Several values per line: `lat:12.5:13:13.5|d`.
    V1_1,
    /// The container id.
    V1_2,
    /// Timestamps on gauges and counters.
    V1_3,
    /// The prefixes that distinguish a container id from an inode.
    V1_4,
    /// External data.
    V1_5,
    /// The tags' cardinality. This version is the default.
    #[default]
    V1_6,
}

names! {
    Protocol, "a protocol":
    V1_0 = "1.0",
    V1_1 = "1.1",
    V1_2 = "1.2",
    V1_3 = "1.3",
    V1_4 = "1.4",
    V1_5 = "1.5",
    V1_6 = "1.6",
}

impl Protocol {
    pub(crate) fn packs_values(self) -> bool {
        self >= Self::V1_1
    }

    pub(crate) fn has_timestamps(self) -> bool {
        self >= Self::V1_3
    }
}
