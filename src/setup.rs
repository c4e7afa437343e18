//! From settings and variables to a running client.

pub(crate) mod agent;
pub(crate) mod config;
pub(crate) mod env;
