//! User code that the library calls on a separate thread: probes, and the loss notice closure.

pub(crate) mod notice;
pub(crate) mod probe;
pub(crate) mod watch_name;
