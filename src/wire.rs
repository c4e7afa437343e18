//! The way from a value to a packet at the agent.

pub(crate) mod encode;
pub(crate) mod origin;
pub(crate) mod packet;
pub(crate) mod transport;
