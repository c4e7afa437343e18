//! Why an agent did not accept a packet.

use super::datagram::is_full;
use std::fmt;
use std::io;

/// Users see it after the agent's address: `Permission denied (os error 13)`.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The time ran out; with more of it, sending might have succeeded.
    Late(&'static str),
    /// The system or the writer refused.
    Refused(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Late("it did not take a packet in time") } else { Self::Refused(error) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(what) => f.write_str(what),
            Self::Refused(error) => error.fmt(f),
        }
    }
}
