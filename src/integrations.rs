//! Adapters for other crates, one Cargo feature and one module each. The rest of the crate depends on none of them.
//!
//! Each module names the version of its crate: that one, or a later compatible one. Types of other crates occur in the
//! signatures of these modules only.

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
