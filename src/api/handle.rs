//! Handles, each of which holds one cell. Using a handle can't fail, block or allocate.

mod builder;
mod counter;
mod distribution;
mod gauge;
mod member;
mod metric;
mod named;
mod occupancy;
mod options;
mod pattern;
mod set;

pub use self::builder::MetricBuilder;
pub use self::counter::Counter;
pub use self::distribution::{Distribution, OwnedTimer, Timer};
pub use self::gauge::Gauge;
pub use self::metric::Metric;
pub use self::occupancy::{Occupancy, Occupied, OwnedOccupied};
pub use self::set::Set;

pub(crate) use self::member::MemberCall;
#[cfg(feature = "metrics")]
pub(crate) use self::metric::CellHandle;
pub(crate) use self::options::Options;
pub(crate) use self::pattern::Pattern;
