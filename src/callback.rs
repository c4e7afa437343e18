//! The code of users that is called, on a thread of its own: probes, and the closure that is told of losses.

pub(crate) mod notice;
pub(crate) mod probe;
pub(crate) mod watch_name;
