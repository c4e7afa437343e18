//! How many tags an agent adds.

use crate::vocabulary::name::names;

/// How many of its own tags an agent adds to what it gets from a container (DogStatsD 1.6, Agent 7.64 and later).
///
/// More tags mean more time series. Which tags belong to which level is documented by Datadog:
/// <https://docs.datadoghq.com/getting_started/tagging/assigning_tags/#tags-cardinality>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TagCardinality {
    /// No tag.
    None,
    /// Tags of hosts, clusters and images, but of nothing that comes and goes.
    Low,
    /// And those of a pod or a task.
    Orchestrator,
    /// And those of a single container.
    High,
}

names! {
    TagCardinality, "a cardinality":
    None = "none",
    Low = "low",
    Orchestrator = "orchestrator",
    High = "high",
}
