//! A machine's files in another directory.

use crate::setup::config::ClientBuilder;
use std::path::PathBuf;

impl ClientBuilder {
    /// Looks for files under another directory than `/`. The container is detected from `<root>/proc/self/cgroup`,
    /// `<root>/proc/self/mountinfo`, `<root>/proc/self/ns/cgroup` and `<root>/sys/fs/cgroup`. Datadog's extension of
    /// AWS Lambda is detected from `<root>/opt/extensions/datadog-agent`.
    pub fn system_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.system_root = Some(root.into());
        self
    }
}
