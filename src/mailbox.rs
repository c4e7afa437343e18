//! What callers pass to the worker of their process, and how.

pub(crate) mod channel;
pub(crate) mod control;
mod disabled;
pub(crate) mod post;
pub(crate) mod record;
pub(crate) mod shared;
pub(crate) mod workforce;
