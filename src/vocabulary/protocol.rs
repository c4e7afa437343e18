//! The versions of DogStatsD, and what each added.

use crate::vocabulary::name::names;

/// The version of DogStatsD that the oldest agent in use understands: what came later is left out.
///
/// | version | Datadog Agent | what it added | what is done without it |
/// |---|---|---|---|
/// | [`V1_0`](Self::V1_0) | any | | |
/// | [`V1_1`](Self::V1_1) | 7.25, 6.25 | several values in a line | a line a value |
/// | [`V1_2`](Self::V1_2) | 7.35, 6.35 | the container's id, `c:` | left out |
/// | [`V1_3`](Self::V1_3) | 7.40, 6.40 | timestamps, `T` | values with a timestamp are refused, and counted |
/// | [`V1_4`](Self::V1_4) | 7.51 | the container's id with `ci-`, or its cgroup's inode with `in-` | the bare id, no inode |
/// | [`V1_5`](Self::V1_5) | 7.57 | external data, `e:` | left out |
/// | [`V1_6`](Self::V1_6) | 7.64 | the tags' cardinality, `card:` | left out |
///
/// An Agent skips the fields that it does not know, so it is the Agents before 7.25 that need another version than the
/// default. Other servers have dialects of their own, where a sign before a gauge's value means a difference: see
/// [`Dialect`](crate::Dialect). Before one that takes the Agent's values otherwise, but not several in a line, use
/// [`V1_0`](Self::V1_0).
///
/// Source: <https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Kinds, rates and tags.
    V1_0,
    /// Several values in a line: `lat:12.5:13:13.5|d`.
    V1_1,
    /// The container's id.
    V1_2,
    /// Timestamps on gauges and counters.
    V1_3,
    /// The container's id and inode by prefix.
    V1_4,
    /// External data.
    V1_5,
    /// The tags' cardinality. The default.
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
