//! Adapters for other crates, one Cargo feature and one module each. The rest of the crate depends on none of them.
//!
//! Each module names the version of its crate: that one, or a later compatible one. Types of other crates occur in the
//! signatures of these modules only.

#[cfg(any(feature = "bb8", feature = "mysql_async"))]
mod counted_pool;
#[cfg(any(feature = "bb8", feature = "deadpool", feature = "mobc"))]
mod in_runtime;
#[cfg(any(feature = "sqlx", feature = "tokio-postgres"))]
mod text_rows;

#[cfg(feature = "bb8")]
pub mod bb8;
#[cfg(feature = "cadence")]
pub mod cadence;
#[cfg(feature = "deadpool")]
pub mod deadpool;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "metrics-exporter-statsd")]
pub mod metrics_exporter_statsd;
#[cfg(feature = "mobc")]
pub mod mobc;
#[cfg(feature = "mysql_async")]
pub mod mysql_async;
#[cfg(feature = "r2d2")]
pub mod r2d2;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlx")]
pub mod sqlx;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "tokio-postgres")]
pub mod tokio_postgres;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod tracing;
