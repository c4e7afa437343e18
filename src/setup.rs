//! Makes a running client from settings and environment variables.

pub(crate) mod agent;
pub(crate) mod config;
pub(crate) mod env;

use crate::process::fork;
use crate::{cell, task_id};

/// Prepares for forks. From now on, something exists that a forked child must not share.
pub(crate) fn expect_forks() {
    fork::expect_forks(&cell::AT_FORK);
    fork::expect_forks(&task_id::AT_FORK);
    #[cfg(target_os = "linux")]
    fork::expect_forks(&crate::wire::transport::AT_FORK);
}
