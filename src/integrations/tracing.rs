//! [tracing](https://docs.rs/tracing) 0.1: an event when metrics start to be dropped, at most one a minute while that
//! goes on, and one when it has ended. Nothing otherwise.
//!
//! ```
//! use tasktag::Client;
//!
//! let guard = Client::builder()
//!     .agent("udp://127.0.0.1:8125")
//!     .on_loss(tasktag::integrations::tracing::notice)
//!     .build()?;
//! # Ok::<(), tasktag::ConfigError>(())
//! ```
//!
//! | field | what |
//! |---|---|
//! | `phase` | `started`, `ongoing`, `ended`, `at_shutdown` or `probe_late` |
//! | `agent` | 0 for the main agent, then those of `also` |
//! | `lasted_seconds` | between the first loss that was found and the latest, whole seconds |
//! | `values`, `lines`, `packets`, `bytes` | what was dropped since the start, for whatever reason |
//! | `channel_full`, `transport` … | values that were dropped for each reason for which there were any, or lines of the client's own |
//! | `error` | the agent's address and why it was not reached, as in [`Stats::last_error`](crate::Stats::last_error) |
//!
//! The thread `tasktag-probes` is where it happens, in no span of the program's. It waits for the subscriber, which should be
//! the process's: one that is set for a thread of the program is not seen there. A subscriber may count its events in
//! tasktag: losses of what it counts are told at most once a minute, like all. One that waits for
//! [`Client::flush`](crate::Client::flush) is refused. A child that is forked while another thread is in the subscriber
//! has one that may be locked for ever. That thread is left behind in it then, and metrics go on.
//!
//! Extra dependencies: `tracing` without its macros for attributes, with `tracing-core` and `pin-project-lite`.

use crate::callback::notice::{LossNotice, LossPhase};
use crate::ledger::DropReason;

/// The target of the events.
pub const TARGET: &str = "tasktag";

/// An event whose level is known where it stands, as tracing wants it.
macro_rules! event {
    ($level:ident, $notice:expr) => {{
        let (notice, total) = ($notice, $notice.dropped_total());
        let values = |reason| lost(notice, reason);
        tracing::event!(
            target: TARGET,
            tracing::Level::$level,
            phase = notice.phase.as_str(),
            agent = notice.agent,
            lasted_seconds = notice.lasted.as_secs(),
            values = total.values,
            lines = total.lines,
            packets = total.packets,
            bytes = total.bytes,
            channel_full = values(DropReason::ChannelFull),
            context_limit = values(DropReason::ContextLimit),
            too_large = values(DropReason::TooLarge),
            invalid = values(DropReason::Invalid),
            unsupported = values(DropReason::Unsupported),
            sampled = values(DropReason::Sampled),
            lease_lost = values(DropReason::LeaseLost),
            transport = values(DropReason::Transport),
            after_shutdown = values(DropReason::AfterShutdown),
            worker_panic = values(DropReason::WorkerPanic),
            error = notice.last_error.as_deref(),
            "{notice}"
        );
    }};
}

/// Makes an event of a notice, for [`ClientBuilder::on_loss`](crate::ClientBuilder::on_loss): under the target
/// `tasktag`, of the level INFO where losses have ended, WARN otherwise. Its message is the notice in one line.
pub fn notice(notice: &LossNotice) {
    if notice.phase == LossPhase::Ended {
        event!(INFO, notice);
    } else {
        event!(WARN, notice);
    }
}

/// The values of a reason, if it has any part in the losses.
fn lost(notice: &LossNotice, reason: DropReason) -> Option<u64> {
    notice.losses().find(|(of, _)| *of == reason).map(|(_, tally)| tally.values)
}
