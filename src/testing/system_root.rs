//! Another machine's files.

use crate::setup::config::ClientBuilder;
use std::path::PathBuf;

impl ClientBuilder {
    /// Looks for the container in the files under another directory than `/`: `<root>/proc/self/cgroup`,
    /// `<root>/proc/self/mountinfo`, `<root>/proc/self/ns/cgroup` and `<root>/sys/fs/cgroup`; and for Datadog's extension
    /// of AWS Lambda: `<root>/opt/extensions/datadog-agent`.
    pub fn system_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.system_root = Some(root.into());
        self
    }
}
