//! From settings and variables to a running client.

pub(crate) mod agent;
pub(crate) mod config;
pub(crate) mod env;

use crate::process::fork;
use crate::{cell, task_id};

/// From now on there is something that a forked child must not share.
pub(crate) fn expect_forks() {
    fork::expect_forks(&cell::AT_FORK);
    fork::expect_forks(&task_id::AT_FORK);
    #[cfg(target_os = "linux")]
    fork::expect_forks(&crate::wire::transport::AT_FORK);
}
