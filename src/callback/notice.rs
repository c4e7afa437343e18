//! Loss notices, which report that losses begin, continue or have ended.

mod episode;
mod listener;

pub(crate) use self::listener::Listener;

use self::episode::{AgentCounts, Episode};
use crate::ledger::{DropReason, Ledger, Tally};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The minimum time between two notices of ongoing losses. Losses have ended after the same time without one.
pub const LOSS_NOTICE_INTERVAL: Duration = Duration::from_secs(60);

/// The phase of a series of losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossPhase {
    /// The last flush was the first one that found something dropped.
    ///
    /// Losses for the reason [`Unsupported`](DropReason::Unsupported) continue for as long as the program runs. They
    /// are reported once, in this phase, and never in another one.
    Started,
    /// Something is still being dropped, and the last notice was at least [`LOSS_NOTICE_INTERVAL`] ago.
    Ongoing,
    /// Nothing was dropped for a [`LOSS_NOTICE_INTERVAL`], and something was sent.
    Ended,
    /// The client was shut down while losses were ongoing, or its last flush dropped something.
    AtShutdown,
    /// A watched closure has not returned for 1 s. Nothing is lost, but its gauges are absent until it returns.
    ProbeLate,
}

impl LossPhase {
    /// The name of the phase in logs, for example `started`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ongoing => "ongoing",
            Self::Ended => "ended",
            Self::AtShutdown => "at_shutdown",
            Self::ProbeLate => "probe_late",
        }
    }
}

impl fmt::Display for LossPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The argument of the [`ClientBuilder::on_loss`](crate::ClientBuilder::on_loss) closure: the losses of one agent, from
/// the first one until now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LossNotice {
    /// The phase of the losses.
    pub phase: LossPhase,
    /// The index of the agent, as in [`Client::stats_of`](crate::Client::stats_of). The main agent has index 0.
    pub agent: usize,
    /// The time between the flush that found the first loss and the flush that found the latest one.
    pub lasted: Duration,
    /// The late watch, by the tag of its gauges, for example `pool:primary`. It is `None` unless the phase is
    /// [`ProbeLate`](LossPhase::ProbeLate).
    pub probe: Option<String>,
    /// The error of the latest loss for the reason [`Transport`](DropReason::Transport), as in
    /// [`Stats::last_error`](crate::Stats::last_error). It is `None` if there was no such loss, or once the agent can
    /// be reached again.
    pub last_error: Option<Arc<str>>,
    dropped: Dropped,
}

/// The amounts dropped, by reason.
type Dropped = [Tally; DropReason::COUNT];

impl LossNotice {
    /// Returns the amount dropped for one reason, from the first loss until now.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> Tally {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// Returns the amount dropped for all reasons together.
    #[must_use]
    pub fn dropped_total(&self) -> Tally {
        let mut total = Tally::default();
        self.dropped.iter().for_each(|tally| total += *tally);
        total
    }

    /// Iterates over the reasons for which something was dropped, with the amounts.
    pub fn losses(&self) -> impl Iterator<Item = (DropReason, Tally)> {
        let nothing = Tally::default();
        DropReason::ALL.iter().copied().zip(self.dropped).filter(move |(_, tally)| *tally != nothing)
    }
}

/// Writes one line for a log: `metrics are being dropped: 9 values, 9 lines (transport); last error: udp://agent:8125:
/// Connection refused (os error 111)`.
///
/// Refused values have no lines. The client's own telemetry has lines, but no values.
impl fmt::Display for LossNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.agent > 0 {
            write!(f, "agent {}: ", self.agent)?;
        }
        let seconds = self.lasted.as_secs();
        if let Some(probe) = &self.probe {
            return write!(
                f,
                "the watch of {probe} has not answered for {seconds} s: its gauges are absent until it does"
            );
        }
        match self.phase {
            LossPhase::Started => write!(f, "metrics are being dropped: "),
            LossPhase::Ongoing => write!(f, "metrics are still being dropped, for {seconds} s now: "),
            LossPhase::Ended => write!(f, "metrics are no longer dropped; over {seconds} s: "),
            LossPhase::AtShutdown => {
                write!(f, "metrics were being dropped at shutdown; over {seconds} s: ")
            }
            LossPhase::ProbeLate => write!(f, "a watch has not answered for {seconds} s: "),
        }?;
        Amount(self.dropped_total()).fmt(f)?;
        let losses: Vec<_> = self.losses().collect();
        match *losses {
            [] => {}
            // The total above already says it all.
            [(reason, _)] => write!(f, " ({reason})")?,
            _ => {
                for (place, (reason, tally)) in losses.iter().enumerate() {
                    let start = if place == 0 { " (" } else { "; " };
                    write!(f, "{start}{reason} {}", Amount(*tally))?;
                }
                f.write_str(")")?;
            }
        }
        self.last_error.as_ref().map_or(Ok(()), |error| write!(f, "; last error: {error}"))
    }
}

/// Writes `1 value, 2 lines`, and leaves out units with a count of 0.
struct Amount(Tally);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { values, lines, .. } = self.0;
        let ending = |n| if n == 1 { "" } else { "s" };
        match (values, lines) {
            (_, 0) => write!(f, "{values} value{}", ending(values)),
            (0, _) => write!(f, "{lines} line{}", ending(lines)),
            _ => write!(f, "{values} value{}, {lines} line{}", ending(values), ending(lines)),
        }
    }
}

/// The loss episodes of all agents, and the closure that receives the notices.
#[derive(Debug)]
pub(crate) struct Notices {
    listener: Listener,
    // One per agent.
    episodes: Vec<Episode>,
}

impl Notices {
    pub(crate) fn new(listener: Listener, agents: usize) -> Self {
        Self { listener, episodes: vec![Episode::default(); agents] }
    }

    /// Runs after a flush, and reports what has changed.
    pub(crate) fn look<'a>(&mut self, now: u64, ledgers: impl Iterator<Item = &'a Arc<Ledger>>) {
        self.tell(ledgers, |episode, counts| episode.look(now, counts));
    }

    /// Reports a probe that does not return.
    pub(crate) fn tell_of_late(&self, probe: String, lasted: Duration, ledger: &Ledger) {
        let (phase, dropped) = (LossPhase::ProbeLate, Dropped::default());
        // If another client is calling the closure, the notice is skipped. The statistics still name the probe.
        self.listener.tell(
            &LossNotice { phase, agent: 0, lasted, probe: Some(probe), last_error: None, dropped },
            ledger,
        );
    }

    /// No more notices are sent.
    pub(crate) fn let_go(self) {
        self.listener.retire();
    }

    /// Runs when the worker stops, and reports open episodes.
    pub(crate) fn end<'a>(mut self, now: u64, ledgers: impl Iterator<Item = &'a Arc<Ledger>>) {
        self.tell(ledgers, |episode, counts| episode.end(now, counts));
        self.listener.retire();
    }

    fn tell<'a>(
        &mut self,
        ledgers: impl Iterator<Item = &'a Arc<Ledger>>,
        mut ask: impl FnMut(&mut Episode, &AgentCounts) -> Option<LossNotice>,
    ) {
        for (agent, (episode, ledger)) in self.episodes.iter_mut().zip(ledgers).enumerate() {
            let before = episode.clone();
            let Some(notice) = ask(episode, &AgentCounts::of(&ledger.stats(0))) else { continue };
            if !self.listener.tell(&LossNotice { agent, ..notice }, ledger) {
                // If another client is calling the closure, the episode is restored. The next flush finds the same
                // losses and more.
                *episode = before;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_one_line_for_a_log() {
        let mut notice = LossNotice {
            phase: LossPhase::Started,
            agent: 0,
            lasted: Duration::ZERO,
            probe: None,
            last_error: None,
            dropped: Dropped::default(),
        };
        assert_eq!(notice.to_string(), "metrics are being dropped: 0 values");
        notice.dropped[DropReason::Unsupported as usize] = Tally::values(1);
        assert_eq!(notice.to_string(), "metrics are being dropped: 1 value (unsupported)");
        notice.dropped[DropReason::Unsupported as usize] = Tally::default();
        notice.dropped[DropReason::TooLarge as usize] = Tally { lines: 1, ..Tally::default() };
        notice.last_error = Some("unix:///run/dsd.socket: Permission denied".into());
        let line = "metrics are being dropped: 1 line (too_large); last error: \
                    unix:///run/dsd.socket: Permission denied";
        assert_eq!(notice.to_string(), line);
        notice.last_error = None;
        notice.dropped[DropReason::TooLarge as usize] = Tally::default();
        notice.dropped[DropReason::Invalid as usize] = Tally::values(3);
        notice.dropped[DropReason::Transport as usize] =
            Tally { values: 9, lines: 10, packets: 1, bytes: 99 };
        let losses = "12 values, 10 lines (invalid 3 values; transport 9 values, 10 lines)";
        assert_eq!(notice.to_string(), format!("metrics are being dropped: {losses}"));
        notice.lasted = Duration::from_millis(61_999);
        for (phase, start) in [
            (LossPhase::Ongoing, "metrics are still being dropped, for 61 s now"),
            (LossPhase::Ended, "metrics are no longer dropped; over 61 s"),
            (LossPhase::AtShutdown, "metrics were being dropped at shutdown; over 61 s"),
        ] {
            notice.phase = phase;
            assert_eq!(notice.to_string(), format!("{start}: {losses}"));
        }
        notice.agent = 2;
        assert!(notice.to_string().starts_with("agent 2: metrics were"), "{notice}");
    }
}
