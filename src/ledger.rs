//! What became of every value: accepted, sent, or dropped for a reason.

mod account;
mod reach;
mod stats;
mod striped;

pub use self::stats::Stats;

use self::account::Account;
pub(crate) use self::account::Count;
pub(crate) use self::reach::Reach;
pub(crate) use self::striped::{Share, StripedCount};

use crate::process::fork::PerProcess;
use std::fmt;
use std::ops::AddAssign;

/// Why values were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The channel to the worker was full.
    ChannelFull,
    /// There was no room: a client had as many contexts as it may have and as many overflow contexts, or a set as many
    /// members.
    ContextLimit,
    /// A line did not fit into a packet. An event or a service check is cut before: see
    /// [`truncated_texts`](Stats::truncated_texts).
    TooLarge,
    /// The value can't be reported: not finite, negative where a server forbids it, under the name of another kind,
    /// or without a name.
    Invalid,
    /// The agent has no such thing: an event, a service check or a time of its own in the StatsD dialects, a time in
    /// DogStatsD before 1.3, or a time of what is no gauge and no counter.
    Unsupported,
    /// Each value of a distribution has a line of its own with [`Weights::Repeats`](crate::Weights::Repeats), the default
    /// of some dialects; of more than 1000 in a flush, a sample of 1000 was sent.
    Sampled,
    /// The lease of the task id was over while the packet was filled.
    LeaseLost,
    /// The agent was away, or did not take the packet in time.
    Transport,
    /// The worker was gone.
    AfterShutdown,
    /// The worker died while it had them in hand.
    WorkerPanic,
}

impl DropReason {
    /// All reasons, in the order of the way that data takes.
    pub const ALL: &'static [Self] = &[
        Self::ChannelFull,
        Self::ContextLimit,
        Self::TooLarge,
        Self::Invalid,
        Self::Unsupported,
        Self::Sampled,
        Self::LeaseLost,
        Self::Transport,
        Self::AfterShutdown,
        Self::WorkerPanic,
    ];

    pub(crate) const COUNT: usize = Self::ALL.len();

    /// The reason as it stands in telemetry: `channel_full`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChannelFull => "channel_full",
            Self::ContextLimit => "context_limit",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Sampled => "sampled",
            Self::LeaseLost => "lease_lost",
            Self::Transport => "transport",
            Self::AfterShutdown => "after_shutdown",
            Self::WorkerPanic => "worker_panic",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An amount of data, in each of the units it takes on its way. More values are the greater amount; of as many, more lines
/// are, then packets, then bytes.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// println!("sent so far: {}", client.stats().sent); // 5 values, 3 lines, 1 packet, 96 bytes
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Tally {
    /// What was reported: a gauge's reading, a counter's difference, each value of a distribution, each member of a
    /// set, each event and each service check. The client's own telemetry is not among them.
    pub values: u64,
    /// Lines on the wire, telemetry included.
    pub lines: u64,
    /// Packets: what one send carries.
    pub packets: u64,
    /// Bytes of lines.
    pub bytes: u64,
}

impl Tally {
    pub(crate) const fn values(values: u64) -> Self {
        Self { values, lines: 0, packets: 0, bytes: 0 }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units =
            [(self.values, "value"), (self.lines, "line"), (self.packets, "packet"), (self.bytes, "byte")];
        for (place, (amount, unit)) in units.into_iter().enumerate() {
            let (start, ending) = (if place == 0 { "" } else { ", " }, if amount == 1 { "" } else { "s" });
            write!(f, "{start}{amount} {unit}{ending}")?;
        }
        Ok(())
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        // Whoever records a value 2^64 times gets wrapped counts, on both sides of the books alike, and no panic.
        self.values = self.values.wrapping_add(other.values);
        self.lines = self.lines.wrapping_add(other.lines);
        self.packets = self.packets.wrapping_add(other.packets);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }
}

/// The running count behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    reach: PerProcess<Reach>,
    accepted: Account,
    sent: Account,
    dropped: [Account; DropReason::COUNT],
    pub(crate) refused_registrations: Count,
    pub(crate) refused_tags: Count,
    pub(crate) truncated_texts: Count,
    pub(crate) folded_values: StripedCount,
    pub(crate) folded_registrations: Count,
    pub(crate) unset_gauges: Count,
    pub(crate) refused_watches: Count,
    pub(crate) probe_panics: Count,
    pub(crate) probes_removed: Count,
    pub(crate) probes_late: Count,
    pub(crate) notice_panics: Count,
    pub(crate) worker_restarts: Count,
    pub(crate) shared_task_ids: Count,
    pub(crate) lost_task_ids: Count,
    pub(crate) flushes: Count,
}

impl Ledger {
    pub(crate) fn book_accepted(&self, tally: Tally) {
        self.accepted.add(tally);
    }

    pub(crate) fn book_sent(&self, tally: Tally) {
        self.sent.add(tally);
    }

    /// What was booked as sent was lost after all.
    pub(crate) fn book_lost(&self, tally: Tally) {
        // In this order, so that a snapshot never shows more than was accepted.
        self.sent.take_back(tally);
        self.book_dropped(DropReason::Transport, tally);
    }

    /// What the flushes to the agent came to, in this process.
    pub(crate) fn reach(&self) -> &Reach {
        self.reach.get()
    }

    /// Books what was accepted before as dropped.
    pub(crate) fn book_dropped(&self, reason: DropReason, tally: Tally) {
        if let Some(account) = self.dropped.get(reason as usize) {
            account.add(tally);
        }
    }

    /// Books values that never came as far as a line.
    pub(crate) fn refuse(&self, reason: DropReason, values: u64) {
        self.book_accepted(Tally::values(values));
        self.book_dropped(reason, Tally::values(values));
    }

    /// In a forked child: starts from 0.
    pub(crate) fn clear(&self) {
        self.reach.renew(Reach::default());
        let accounts = [&self.accepted, &self.sent].into_iter().chain(&self.dropped);
        let in_accounts =
            accounts.flat_map(|account| [&account.values, &account.lines, &account.packets, &account.bytes]);
        let counts = [
            &self.refused_registrations,
            &self.refused_tags,
            &self.truncated_texts,
            &self.probe_panics,
            &self.probes_removed,
            &self.probes_late,
            &self.notice_panics,
            &self.worker_restarts,
            &self.flushes,
            &self.shared_task_ids,
            &self.folded_registrations,
            &self.unset_gauges,
            &self.refused_watches,
            &self.lost_task_ids,
        ];
        self.folded_values.clear();
        in_accounts.chain(counts).for_each(Count::clear);
    }

    pub(crate) fn stats(&self, contexts: usize) -> Stats {
        Stats {
            // What left is read before what came in, so that a snapshot never shows more of it.
            sent: self.sent.get(),
            dropped: self.dropped.each_ref().map(Account::get),
            accepted: self.accepted.get(),
            refused_registrations: self.refused_registrations.get(),
            refused_tags: self.refused_tags.get(),
            truncated_texts: self.truncated_texts.get(),
            folded_values: self.folded_values.get(),
            folded_registrations: self.folded_registrations.get(),
            unset_gauges: self.unset_gauges.get(),
            refused_watches: self.refused_watches.get(),
            contexts: contexts as u64,
            // The index knows.
            clashing_contexts: 0,
            probe_panics: self.probe_panics.get(),
            probes_removed: self.probes_removed.get(),
            probes_late: self.probes_late.get(),
            late_probes: Vec::new(),
            notice_panics: self.notice_panics.get(),
            worker_restarts: self.worker_restarts.get(),
            shared_task_ids: self.shared_task_ids.get(),
            lost_task_ids: self.lost_task_ids.get(),
            flushes: self.flushes.get(),
            last_error: self.reach().last_error(),
            last_sent_at: self.reach().last_sent_at(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_one_line_for_a_log() {
        let ledger = Ledger::default();
        ledger.book_accepted(Tally::values(7));
        ledger.book_sent(Tally::values(7));
        assert_eq!(ledger.stats(0).to_string(), "accepted 7 values, sent 7, dropped 0");
        ledger.refuse(DropReason::Invalid, 2);
        ledger.refuse(DropReason::ChannelFull, 1);
        let line = "accepted 10 values, sent 7, dropped 3 (channel_full 1, invalid 2)";
        assert_eq!(ledger.stats(0).to_string(), line);
        ledger.reach().note(false, Some("udp://agent:8125: Connection refused"));
        let with_error = format!("{line}; last error: udp://agent:8125: Connection refused");
        assert_eq!(ledger.stats(0).to_string(), with_error);
        ledger.reach().note(false, None::<&str>);
        assert_eq!(ledger.stats(0).to_string(), with_error, "a flush of nothing says nothing");
        ledger.reach().note(true, None::<&str>);
        assert_eq!(ledger.stats(0).to_string(), line);
    }

    #[test]
    fn what_was_lost_after_it_was_sent_is_dropped_and_no_longer_sent() {
        let (ledger, packet) = (Ledger::default(), Tally { values: 7, lines: 3, packets: 1, bytes: 30 });
        for _ in 0..2 {
            ledger.book_accepted(packet);
            ledger.book_sent(packet);
        }
        ledger.book_lost(packet);
        let stats = ledger.stats(0);
        assert_eq!((stats.sent, stats.dropped(DropReason::Transport)), (packet, packet));
    }
}
