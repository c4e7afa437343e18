//! Neighbours: a feature and a file each, which adapts the neighbour to what the rest of the crate offers everybody.
//! Nothing outside this module names one of them.
//!
//! Each module says which version of its neighbour it is for: that one, or a later one that is compatible. Types of
//! neighbours are in the signatures of these modules alone.

#[cfg(feature = "cadence")]
pub mod cadence;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "metrics-exporter-statsd")]
pub mod metrics_exporter_statsd;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;
