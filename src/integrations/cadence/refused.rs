//! The error of a refused line.

use crate::ledger::DropReason;
use std::fmt;
use std::io::{self, ErrorKind};

/// Why a sink refused a line. The [`io::Error`] of `emit` holds it.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// use cadence::MetricSink;
/// use tasktag::DropReason;
/// use tasktag::integrations::cadence::{CadenceSink, Refused};
///
/// let sink = CadenceSink::new(guard.client());
/// let error = sink.emit("pool.busy:all|g").unwrap_err();
/// let refused = error.get_ref().and_then(|error| error.downcast_ref::<Refused>());
/// assert_eq!(refused.map(|refused| refused.reason()), Some(DropReason::Invalid));
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub(super) DropReason);

impl Refused {
    /// The reason under which the line is counted in the statistics.
    #[must_use]
    pub fn reason(self) -> DropReason {
        self.0
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line was dropped: {}", self.0)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        let kind = match refused.0 {
            DropReason::Invalid => ErrorKind::InvalidInput,
            DropReason::Unsupported => ErrorKind::Unsupported,
            DropReason::ChannelFull => ErrorKind::WouldBlock,
            DropReason::ContextLimit => ErrorKind::QuotaExceeded,
            DropReason::AfterShutdown => ErrorKind::BrokenPipe,
            _ => ErrorKind::Other,
        };
        Self::new(kind, refused)
    }
}
