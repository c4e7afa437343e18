//! [log](https://docs.rs/log) 0.4: writes a line when metrics start to be dropped, at most one line a minute while the
//! losses continue, and one line when they end. It writes nothing else.
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
//! The thread `tasktag-probes` writes the line and waits for the logger.
//!
//! - A logger may record metrics with tasktag. If those metrics are dropped, the loss is reported at most once a
//!   minute, like any other.
//! - A logger that calls [`Client::flush`](crate::Client::flush) receives an error instead of waiting.
//! - A process may fork while another thread is inside the logger. The logger may then be locked forever in the child.
//!   In that case the child leaves the notice thread behind, and its metrics continue.
//!
//! Extra dependency: `log`, which has no dependencies of its own.

use crate::callback::notice::{LossNotice, LossPhase};
use log::Level;

/// The target of the lines.
pub const TARGET: &str = "tasktag";

/// Writes a notice to the log. Pass it to [`ClientBuilder::on_loss`](crate::ClientBuilder::on_loss).
///
/// The target is `tasktag`. The level is [`Level::Info`] when losses have ended, and [`Level::Warn`] otherwise.
pub fn notice(notice: &LossNotice) {
    let level = if notice.phase == LossPhase::Ended { Level::Info } else { Level::Warn };
    log::log!(target: TARGET, level, "{notice}");
}
