//! Decides when a loss notice is due. The input is a state, a time and the statistics of one agent.

use super::{Dropped, LOSS_NOTICE_INTERVAL, LossNotice, LossPhase};
use crate::ledger::{DropReason, Stats, Tally};
use crate::process::clock::nanos;
use std::sync::Arc;
use std::time::Duration;

/// The statistics of one agent that matter here.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentCounts {
    dropped: Dropped,
    // Values that the agent's dialect does not support.
    unsupported: Tally,
    sent_lines: u64,
    last_error: Option<Arc<str>>,
}

impl AgentCounts {
    pub(super) fn of(stats: &Stats) -> Self {
        let is_loss = |reason: &DropReason| *reason != DropReason::Unsupported;
        let dropped = |reason| Some(reason).filter(is_loss).map(|reason| stats.dropped(reason));
        Self {
            dropped: std::array::from_fn(|place| {
                DropReason::ALL.get(place).copied().and_then(dropped).unwrap_or_default()
            }),
            unsupported: stats.dropped(DropReason::Unsupported),
            sent_lines: stats.sent.lines,
            last_error: stats.last_error.clone(),
        }
    }
}

/// A series of losses, from the first until they end. It is closed while nothing is being lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Episode {
    // The amounts at the last look.
    dropped: Dropped,
    open: Option<Open>,
    // Whether unsupported values were already reported.
    told_unsupported: bool,
}

#[derive(Clone, Debug)]
struct Open {
    // The amounts before the first loss.
    dropped_before: Dropped,
    first_loss: u64,
    last_loss: u64,
    last_told: u64,
    // The lines sent until the last loss.
    sent_lines: u64,
}

impl Episode {
    /// Runs after a flush.
    pub(super) fn look(&mut self, now: u64, counts: &AgentCounts) -> Option<LossNotice> {
        let notice = self.look_at_losses(now, counts);
        self.add_unsupported(LossPhase::Started, counts, notice)
    }

    /// Reports unsupported values once. They continue for as long as the program runs, and the agent works as it
    /// should.
    fn add_unsupported(
        &mut self,
        phase: LossPhase,
        counts: &AgentCounts,
        notice: Option<LossNotice>,
    ) -> Option<LossNotice> {
        if self.told_unsupported || counts.unsupported == Tally::default() {
            return notice;
        }
        self.told_unsupported = true;
        let mut notice = notice.unwrap_or(LossNotice {
            phase,
            agent: 0,
            lasted: Duration::ZERO,
            probe: None,
            last_error: None,
            dropped: Dropped::default(),
        });
        if let Some(tally) = notice.dropped.get_mut(DropReason::Unsupported as usize) {
            *tally = counts.unsupported;
        }
        Some(notice)
    }

    fn look_at_losses(&mut self, now: u64, counts: &AgentCounts) -> Option<LossNotice> {
        let is_new = self.open.is_none();
        let grew = self.take_in(now, counts);
        let open = self.open.as_mut()?;
        if grew {
            let due = now.saturating_sub(open.last_told) >= nanos(LOSS_NOTICE_INTERVAL);
            let phase = if is_new { LossPhase::Started } else { LossPhase::Ongoing };
            if !is_new && !due {
                return None;
            }
            open.last_told = now;
            return Some(open.notice(phase, counts));
        }
        // If nothing was sent either, it is unknown whether the agent can be reached.
        let is_over = now.saturating_sub(open.last_loss) >= nanos(LOSS_NOTICE_INTERVAL)
            && counts.sent_lines != open.sent_lines;
        self.open.take_if(|_| is_over).map(|open| open.notice(LossPhase::Ended, counts))
    }

    /// Runs after the last flush.
    pub(super) fn end(&mut self, now: u64, counts: &AgentCounts) -> Option<LossNotice> {
        self.take_in(now, counts);
        let notice = self.open.take().map(|open| open.notice(LossPhase::AtShutdown, counts));
        self.add_unsupported(LossPhase::AtShutdown, counts, notice)
    }

    /// Returns whether something was dropped since the last look. If so, an episode is open.
    fn take_in(&mut self, now: u64, counts: &AgentCounts) -> bool {
        if counts.dropped == self.dropped {
            return false;
        }
        let dropped_before = std::mem::replace(&mut self.dropped, counts.dropped);
        let open = self.open.get_or_insert(Open {
            dropped_before,
            first_loss: now,
            last_loss: now,
            last_told: now,
            sent_lines: 0,
        });
        open.last_loss = now;
        open.sent_lines = counts.sent_lines;
        true
    }
}

impl Open {
    fn notice(&self, phase: LossPhase, counts: &AgentCounts) -> LossNotice {
        let mut dropped = counts.dropped;
        for (tally, before) in dropped.iter_mut().zip(self.dropped_before) {
            *tally = difference(*tally, before);
        }
        let lasted = Duration::from_nanos(self.last_loss.saturating_sub(self.first_loss));
        let has_error = dropped.get(DropReason::Transport as usize) != Some(&Tally::default());
        let last_error = counts.last_error.clone().filter(|_| has_error);
        LossNotice { phase, agent: 0, lasted, probe: None, last_error, dropped }
    }
}

/// Returns the growth of a count. Counts wrap around, so the subtraction does too.
fn difference(after: Tally, before: Tally) -> Tally {
    Tally {
        values: after.values.wrapping_sub(before.values),
        lines: after.lines.wrapping_sub(before.lines),
        packets: after.packets.wrapping_sub(before.packets),
        bytes: after.bytes.wrapping_sub(before.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const INTERVAL: u64 = LOSS_NOTICE_INTERVAL.as_secs();

    /// Statistics that a test adds to, with the episode that reads them.
    #[derive(Debug, Default)]
    struct Fixture {
        counts: AgentCounts,
        episode: Episode,
    }

    impl Fixture {
        fn drop(&mut self, reason: DropReason, tally: Tally) {
            self.counts.dropped[reason as usize] += tally;
        }

        /// Flushes at `second`, after values were lost and lines were sent. Returns the notice's phase, total and
        /// length.
        fn flush(&mut self, second: u64, lost: u64, sent: u64) -> Option<(LossPhase, u64, u64)> {
            self.drop(DropReason::Transport, Tally::values(lost));
            self.counts.sent_lines += sent;
            let notice = self.episode.look(second * SECOND, &self.counts);
            notice.map(|notice| (notice.phase, notice.dropped_total().values, notice.lasted.as_secs()))
        }
    }

    #[test]
    fn an_outage_is_told_at_its_start_then_once_a_minute_and_at_its_end() {
        use LossPhase::{Ended, Ongoing, Started};
        let mut fixture = Fixture::default();
        for (second, lost, sent, told) in [
            (0, 0, 5, None),
            (2, 0, 5, None),
            (4, 3, 0, Some((Started, 3, 0))),
            (6, 1, 1, None),
            (63, 1, 0, None),
            (64, 1, 0, Some((Ongoing, 6, 60))),
            (123, 1, 0, None),
            // A flush without a loss causes no notice, however long ago the last notice was.
            (130, 0, 5, None),
            (182, 0, 5, None),
            (183, 0, 0, Some((Ended, 7, 119))),
            (184, 0, 5, None),
            // The next episode counts from 0.
            (185, 2, 0, Some((Started, 2, 0))),
            (1000, 0, 5, Some((Ended, 2, 0))),
            (1001, 0, 5, None),
        ] {
            assert_eq!(fixture.flush(second, lost, sent), told, "at {second} s");
        }
    }

    #[test]
    fn what_is_not_supported_is_told_once_and_does_not_begin_losses() {
        let mut fixture = Fixture::default();
        fixture.counts.unsupported = Tally::values(5);
        assert_eq!(fixture.flush(0, 0, 9), Some((LossPhase::Started, 5, 0)));
        for second in 1..3 * INTERVAL {
            fixture.counts.unsupported += Tally::values(5);
            assert_eq!(fixture.flush(second, 0, 9), None);
        }
        assert_eq!(fixture.flush(3 * INTERVAL, 2, 9), Some((LossPhase::Started, 2, 0)), "what is a loss");
        let last = fixture.episode.end(0, &fixture.counts).unwrap();
        assert_eq!((last.phase, last.dropped_total().values), (LossPhase::AtShutdown, 2));

        let mut fixture = Fixture::default();
        fixture.counts.unsupported = Tally::values(5);
        assert_eq!(fixture.flush(0, 2, 9), Some((LossPhase::Started, 7, 0)), "both in one");
        assert_eq!(fixture.flush(INTERVAL, 0, 9), Some((LossPhase::Ended, 2, 0)));

        let mut fixture = Fixture::default();
        fixture.counts.unsupported = Tally::values(5);
        let last = fixture.episode.end(0, &fixture.counts).unwrap();
        assert_eq!((last.phase, last.dropped_total().values), (LossPhase::AtShutdown, 5));
    }

    #[test]
    fn a_loss_on_the_way_is_told_with_its_error_and_others_are_not() {
        let mut fixture = Fixture::default();
        fixture.counts.last_error = Some("udp://agent:8125: Connection refused".into());
        fixture.drop(DropReason::Invalid, Tally::values(1));
        let notice = fixture.episode.look(0, &fixture.counts).unwrap();
        assert_eq!(notice.last_error, None);
        fixture.drop(DropReason::Transport, Tally::values(1));
        let notice = fixture.episode.look(INTERVAL * SECOND, &fixture.counts).unwrap();
        assert_eq!(notice.last_error, fixture.counts.last_error);
    }

    #[test]
    fn losses_have_not_ended_where_nothing_was_sent_since() {
        let mut fixture = Fixture::default();
        assert_eq!(fixture.flush(0, 1, 7), Some((LossPhase::Started, 1, 0)));
        assert_eq!(fixture.flush(INTERVAL, 0, 0), None);
        assert_eq!(fixture.flush(10 * INTERVAL, 0, 0), None);
        assert_eq!(fixture.flush(20 * INTERVAL, 1, 0), Some((LossPhase::Ongoing, 2, 20 * INTERVAL)));
        assert_eq!(fixture.flush(30 * INTERVAL, 0, 1), Some((LossPhase::Ended, 2, 20 * INTERVAL)));
    }

    #[test]
    fn each_reason_has_its_own_figures_from_the_losses_start() {
        let mut fixture = Fixture::default();
        let before = Tally { values: 9, lines: 9, packets: 9, bytes: 9 };
        fixture.drop(DropReason::Invalid, before);
        fixture.drop(DropReason::Sampled, before);
        assert!(fixture.episode.look(0, &fixture.counts).is_some());
        fixture.counts.sent_lines += 1;
        assert!(fixture.episode.look(INTERVAL * SECOND, &fixture.counts).is_some());

        fixture.drop(DropReason::Invalid, Tally::values(2));
        // Lines of the client's own telemetry, which carry no values.
        fixture.drop(DropReason::Transport, Tally { values: 0, lines: 3, packets: 1, bytes: 60 });
        let notice = fixture.episode.look(2 * INTERVAL * SECOND, &fixture.counts).unwrap();
        assert_eq!(notice.phase, LossPhase::Started);
        let expected = [
            (DropReason::Invalid, Tally::values(2)),
            (DropReason::Transport, Tally { values: 0, lines: 3, packets: 1, bytes: 60 }),
        ];
        assert_eq!(notice.losses().collect::<Vec<_>>(), expected);
        assert_eq!(notice.dropped(DropReason::Invalid), Tally::values(2));
        assert_eq!(notice.dropped(DropReason::Sampled), Tally::default());
        assert_eq!(notice.dropped_total(), Tally { values: 2, lines: 3, packets: 1, bytes: 60 });
    }

    #[test]
    fn the_end_tells_what_is_open_and_what_the_last_flush_lost_and_nothing_else() {
        let mut fixture = Fixture::default();
        assert_eq!(fixture.episode.end(0, &fixture.counts), None);

        assert_eq!(fixture.flush(10, 2, 0), Some((LossPhase::Started, 2, 0)));
        fixture.flush(12, 0, 5);
        let open = fixture.episode.end(20 * SECOND, &fixture.counts).unwrap();
        assert_eq!((open.phase, open.dropped_total().values), (LossPhase::AtShutdown, 2));
        assert_eq!(open.lasted, Duration::ZERO, "the last flush lost nothing");

        fixture.drop(DropReason::Transport, Tally::values(1));
        let last = fixture.episode.end(30 * SECOND, &fixture.counts).unwrap();
        assert_eq!((last.phase, last.dropped_total().values), (LossPhase::AtShutdown, 1));
        assert_eq!(fixture.episode.end(40 * SECOND, &fixture.counts), None);
    }

    #[test]
    fn books_that_wrap_are_told_as_what_they_grew_by() {
        let mut fixture = Fixture::default();
        fixture.drop(DropReason::Transport, Tally::values(u64::MAX));
        fixture.episode.dropped = fixture.counts.dropped;
        assert_eq!(fixture.flush(0, 3, 0), Some((LossPhase::Started, 3, 0)));
    }

    /// Every loss is in exactly one episode, episodes begin and end in turn, and two notices of one episode are at
    /// least the interval apart.
    #[test]
    fn every_loss_is_in_one_episode_and_no_two_notices_of_one_are_close() {
        arbtest::arbtest(|u| {
            let (mut fixture, mut second, mut lost_total) = (Fixture::default(), 0, 0);
            let (mut in_episodes, mut last_told): (u64, Option<(u64, u64)>) = (0, None);
            for _ in 0..u.int_in_range(0..=60)? {
                second += u.int_in_range(0..=2 * INTERVAL)?;
                let lost = u.int_in_range(0..=3_u64)?.saturating_sub(2);
                let sent = u.int_in_range(0..=1)?;
                lost_total += lost;
                match (fixture.flush(second, lost, sent), last_told) {
                    (Some((LossPhase::Started, told, 0)), None) => {
                        assert_eq!(told, lost);
                        last_told = Some((second, told));
                    }
                    (Some((LossPhase::Ongoing, told, _)), Some((at, before))) => {
                        assert!(lost > 0 && told > before && second - at >= INTERVAL);
                        last_told = Some((second, told));
                    }
                    (Some((LossPhase::Ended, told, _)), Some((at, _))) => {
                        assert!(lost == 0 && second - at >= INTERVAL);
                        in_episodes += told;
                        last_told = None;
                    }
                    (None, None) => assert_eq!(lost, 0, "a first loss is told at once"),
                    (None, Some((at, _))) => assert!(lost == 0 || second - at < INTERVAL),
                    other => panic!("{other:?}"),
                }
            }
            let open = fixture.episode.end(second * SECOND, &fixture.counts);
            assert_eq!(open.is_some(), last_told.is_some());
            in_episodes += open.map_or(0, |notice| notice.dropped_total().values);
            assert_eq!(in_episodes, lost_total);
            Ok(())
        });
    }
}
