//! What programs call: the client, its handles and families, the macros, what is watched, and who holds what.

pub mod capacity;
pub(crate) mod cardinality;
pub(crate) mod client;
pub(crate) mod dimension;
mod disabled;
pub(crate) mod gate;
pub(crate) mod handle;
pub(crate) mod holders;
pub(crate) mod id_space;
pub(crate) mod installed;
pub(crate) mod macros;
pub(crate) mod objective;
pub(crate) mod sole;
pub(crate) mod watch;
