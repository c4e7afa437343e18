//! The versions of the DogStatsD protocol.

/// A version of the DogStatsD protocol: what an agent understands. Later ones understand the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(dead_code, unreachable_pub, reason = "a setting will choose one of them")]
pub enum Protocol {
    /// Values, rates and tags: every agent.
    V1_0,
    /// Several values in a line: Agent 6.25 and 7.25.
    V1_1,
    /// The container's id: Agent 6.35 and 7.35.
    V1_2,
    /// Timestamps: Agent 6.40 and 7.40.
    V1_3,
    /// A marked container id, or an inode: Agent 7.51.
    V1_4,
    /// External data: Agent 7.57.
    V1_5,
    /// Cardinality: Agent 7.64.
    V1_6,
}
