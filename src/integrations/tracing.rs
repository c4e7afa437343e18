//! [tracing](https://docs.rs/tracing) 0.1: emits an event when metrics start to be dropped, at most one event a minute
//! while the losses continue, and one event when they end. It emits nothing else.
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
//! | field | meaning |
//! |---|---|
//! | `phase` | `started`, `ongoing`, `ended`, `at_shutdown` or `probe_late` |
//! | `agent` | 0 for the main agent, 1 and up for those added by `also` |
//! | `lasted_seconds` | time from the first loss found to the latest, in whole seconds |
//! | `values`, `lines`, `packets`, `bytes` | everything dropped since the losses started, for any reason |
//! | `channel_full`, `transport` … | values dropped for that reason; present if the reason has any losses, including lines of the client's own telemetry |
//! | `error` | the agent's address and the error that made it unreachable, as in [`Stats::last_error`](crate::Stats::last_error) |
//!
//! The thread `tasktag-probes` emits the event, outside all spans of the program, and waits for the subscriber.
//!
//! - Use the process's global subscriber. One that is set for a single thread of the program does not see these events.
//! - A subscriber may record metrics with tasktag. If those metrics are dropped, the loss is reported at most once a
//!   minute, like any other.
//! - A subscriber that calls [`Client::flush`](crate::Client::flush) receives an error instead of waiting.
//! - A process may fork while another thread is inside the subscriber. The subscriber may then be locked forever in the
//!   child. In that case the child leaves the notice thread behind, and its metrics continue.
//!
//! Extra dependencies: `tracing` without its attribute macros, `tracing-core` and `pin-project-lite`.

use crate::callback::notice::{LossNotice, LossPhase};
use crate::ledger::DropReason;

/// The target of the events.
pub const TARGET: &str = "tasktag";

/// Emits an event at a level that is known at compile time, as tracing requires.
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

/// Emits a notice as an event. Pass it to [`ClientBuilder::on_loss`](crate::ClientBuilder::on_loss).
///
/// The target is `tasktag`. The level is INFO when losses have ended, and WARN otherwise. The message is the notice in
/// one line.
pub fn notice(notice: &LossNotice) {
    if notice.phase == LossPhase::Ended {
        event!(INFO, notice);
    } else {
        event!(WARN, notice);
    }
}

/// The values dropped for a reason, if the reason contributed to the losses.
fn lost(notice: &LossNotice, reason: DropReason) -> Option<u64> {
    notice.losses().find(|(of, _)| *of == reason).map(|(_, tally)| tally.values)
}
