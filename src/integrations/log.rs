//! [log](https://docs.rs/log) 0.4: a line when metrics start to be dropped, at most one a minute while that goes on, and one
//! when it has ended. Nothing otherwise.
//!
//! ```
//! use tasktag::Client;
//!
//! let guard = Client::builder()
//!     .agent("udp://127.0.0.1:8125")
//!     .on_loss(tasktag::integrations::log::notice)
//!     .build()?;
//! # Ok::<(), tasktag::ConfigError>(())
//! ```
//!
//! The thread `tasktag-probes` writes the line, and waits for the logger. A logger may count its lines in tasktag: losses of what it
//! counts are told at most once a minute, like all. One that waits for [`Client::flush`](crate::Client::flush) is
//! refused. A child that is forked while another thread is in the logger has a logger that may be locked for ever. That
//! thread is left behind in it then, and metrics go on.
//!
//! Extra dependency: `log`, and nothing behind it.

use crate::callback::notice::{LossNotice, LossPhase};
use log::Level;

/// The target of the lines.
pub const TARGET: &str = "tasktag";

/// Writes a notice to the log, for [`ClientBuilder::on_loss`](crate::ClientBuilder::on_loss): under the target
/// `tasktag`, as [`Level::Info`] where losses have ended, as [`Level::Warn`] otherwise.
pub fn notice(notice: &LossNotice) {
    let level = if notice.phase == LossPhase::Ended { Level::Info } else { Level::Warn };
    log::log!(target: TARGET, level, "{notice}");
}
