//! What is told of losses: that they start, that they go on, and that they have ended.

mod episode;
mod listener;

pub(crate) use self::listener::Listener;

use self::episode::{Books, Episode};
use crate::ledger::{DropReason, Ledger, Tally};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Time between two notices of losses that go on, and the time without a loss after which they have ended.
pub const LOSS_NOTICE_INTERVAL: Duration = Duration::from_secs(60);

/// Where losses stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossPhase {
    /// The flush that is just over was the first to find something dropped. What is
    /// [`Unsupported`](DropReason::Unsupported), and stays so for as long as the program runs, is told this once, and no
    /// notice of another phase speaks of it.
    Started,
    /// Something is still dropped, a [`LOSS_NOTICE_INTERVAL`] or more after the last notice.
    Ongoing,
    /// For a [`LOSS_NOTICE_INTERVAL`] nothing was dropped, and something was sent.
    Ended,
    /// The client has ended, and the losses had not, or its last flush made some.
    AtShutdown,
    /// A watched closure has not returned for 1 s. Nothing is lost: its gauges are absent until it returns.
    ProbeLate,
}

impl LossPhase {
    /// The phase as it stands in logs: `started`.
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

/// What [`ClientBuilder::on_loss`](crate::ClientBuilder::on_loss) is told: one agent's losses from their start until now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LossNotice {
    /// Where the losses stand.
    pub phase: LossPhase,
    /// Whose books they are in, as in [`Client::stats_of`](crate::Client::stats_of): 0 is the main agent's.
    pub agent: usize,
    /// Time between the flush that found the first loss and the one that found the latest.
    pub lasted: Duration,
    /// What is late, by the tag that its gauges have: `pool:primary`. Only of [`ProbeLate`](LossPhase::ProbeLate).
    pub probe: Option<String>,
    /// Why the agent was not reached, as in [`Stats::last_error`](crate::Stats::last_error), at the last loss for
    /// [`Transport`](DropReason::Transport). `None` where there was no such loss, and once the agent is reached again.
    pub last_error: Option<Arc<str>>,
    dropped: Dropped,
}

/// What was dropped, by reason.
type Dropped = [Tally; DropReason::COUNT];

impl LossNotice {
    /// What was dropped for one reason, from the losses' start until now.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> Tally {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// What was dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> Tally {
        let mut total = Tally::default();
        self.dropped.iter().for_each(|tally| total += *tally);
        total
    }

    /// The reasons for which anything was dropped, and what that was.
    pub fn losses(&self) -> impl Iterator<Item = (DropReason, Tally)> {
        let nothing = Tally::default();
        DropReason::ALL.iter().copied().zip(self.dropped).filter(move |(_, tally)| *tally != nothing)
    }
}

/// In one line, for a log: `metrics are being dropped: 9 values, 9 lines (transport); last error: udp://agent:8125:
/// Connection refused (os error 111)`. Values that were refused had no line yet, and the client's own telemetry has lines
/// and no values.
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
            // All of it, as it was just said.
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

/// `1 value, 2 lines`, without what there is none of.
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

/// What each agent's losses came to, and who is told.
#[derive(Debug)]
pub(crate) struct Notices {
    listener: Listener,
    // One for each agent.
    episodes: Vec<Episode>,
}

impl Notices {
    pub(crate) fn new(listener: Listener, agents: usize) -> Self {
        Self { listener, episodes: vec![Episode::default(); agents] }
    }

    /// A flush is over: tells what has changed.
    pub(crate) fn look<'a>(&mut self, now: u64, ledgers: impl Iterator<Item = &'a Arc<Ledger>>) {
        self.tell(ledgers, |episode, books| episode.look(now, books));
    }

    /// Tells that a probe does not answer.
    pub(crate) fn tell_of_late(&self, probe: String, lasted: Duration, ledger: &Ledger) {
        let (phase, dropped) = (LossPhase::ProbeLate, Dropped::default());
        // Another client may be at the closure: then this one's stats have to do.
        self.listener.tell(
            &LossNotice { phase, agent: 0, lasted, probe: Some(probe), last_error: None, dropped },
            ledger,
        );
    }

    /// Nobody will be told any more.
    pub(crate) fn let_go(self) {
        self.listener.retire();
    }

    /// The worker ends: tells what is open.
    pub(crate) fn end<'a>(mut self, now: u64, ledgers: impl Iterator<Item = &'a Arc<Ledger>>) {
        self.tell(ledgers, |episode, books| episode.end(now, books));
        self.listener.retire();
    }

    fn tell<'a>(
        &mut self,
        ledgers: impl Iterator<Item = &'a Arc<Ledger>>,
        mut ask: impl FnMut(&mut Episode, &Books) -> Option<LossNotice>,
    ) {
        for (agent, (episode, ledger)) in self.episodes.iter_mut().zip(ledgers).enumerate() {
            let before = episode.clone();
            let Some(notice) = ask(episode, &Books::of(&ledger.stats(0))) else { continue };
            if !self.listener.tell(&LossNotice { agent, ..notice }, ledger) {
                // Whoever has the closure now gives it back: the next flush finds the same, and more.
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
