//! How this process reaches an agent.

use std::path::PathBuf;

/// The way to the agent of a process that is looked at.
#[derive(Debug)]
pub(super) struct Way {
    /// The address as that process has it.
    pub(super) address: String,
    /// The address at which this process reaches the same.
    pub(super) reached: String,
    /// The file of a Unix socket that has one, as it is found from here.
    pub(super) file: Option<PathBuf>,
    /// Whether the address means something else in this process's network.
    pub(super) is_of_other_network: bool,
}

impl Way {
    /// To an address that means the same to both processes.
    pub(super) fn direct(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            reached: address.to_owned(),
            file: None,
            is_of_other_network: false,
        }
    }
}
