//! The number of tags that an agent adds.

use crate::vocabulary::name::names;

/// How many of its own tags an agent adds to a container's metrics (DogStatsD 1.6, Agent 7.64 and later).
///
/// More tags mean more time series. Datadog documents which tags belong to which level:
/// <https://docs.datadoghq.com/getting_started/tagging/assigning_tags/#tags-cardinality>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TagCardinality {
    /// No tags.
    None,
    /// Tags of hosts, clusters and images, which are long-lived.
    Low,
    /// The tags of `Low`, and those of a pod or a task.
    Orchestrator,
    /// The tags of `Orchestrator`, and those of a single container.
    High,
}

names! {
    TagCardinality, "a cardinality":
    None = "none",
    Low = "low",
    Orchestrator = "orchestrator",
    High = "high",
}
