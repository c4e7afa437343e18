//! The platform: time, threads, forks and atomics.

pub(crate) mod bell;
pub(crate) mod birth;
pub(crate) mod clock;
pub(crate) mod fork;
pub(crate) mod sync;
pub(crate) mod thread;
#[cfg(feature = "metrics")]
pub(crate) mod thread_table;
