//! The number of tags that an agent adds.

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

impl TagCardinality {
    const ALL: [Self; 4] = [Self::None, Self::Low, Self::Orchestrator, Self::High];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Orchestrator => "orchestrator",
            Self::High => "high",
        }
    }

    /// Reads a variable's text, in any case.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| "it must be none, low, orchestrator or high".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_reads_back_from_its_name_in_capitals_or_not() {
        for level in TagCardinality::ALL {
            assert_eq!(TagCardinality::parse(level.as_str()), Ok(level));
            assert_eq!(TagCardinality::parse(&level.as_str().to_uppercase()), Ok(level));
        }
        for unknown in ["", "potato", "low ", "lo", "not_set"] {
            assert!(TagCardinality::parse(unknown).is_err(), "{unknown:?}");
        }
    }
}
