//! Counts what became of every value: accepted, sent, or dropped for a reason.

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

/// The reason why values were dropped.
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use tasktag::DropReason;
///
/// client.timing("db.query").record(f64::NAN);
/// let lost = client.stats().dropped(DropReason::Invalid);
/// assert_eq!(lost.values, 1);
/// assert_eq!(DropReason::Invalid.to_string(), "invalid");
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The channel to the worker was full.
    ChannelFull,
    /// A limit was reached. Either the client already had the maximum number of contexts and the same number of
    /// overflow contexts, or a set had the maximum number of members.
    ContextLimit,
    /// A line did not fit into a packet. Events and service checks are truncated instead: see
    /// [`truncated_texts`](Stats::truncated_texts).
    TooLarge,
    /// The value can't be reported. It is not finite, it is negative and a server forbids that, its name belongs to a
    /// metric of another kind, or it has no name.
    Invalid,
    /// The agent does not support it. The StatsD dialects have no events, no service checks and no explicit timestamps.
    /// DogStatsD has timestamps since version 1.3, for gauges and counters only.
    Unsupported,
    /// A distribution had more than 1000 values in one flush, and a sample of 1000 was sent. This happens with
    /// [`Weights::Repeats`](crate::Weights::Repeats), the default of some dialects, which writes one line per value.
    Sampled,
    /// The lease of the task id expired while the packet was being filled.
    LeaseLost,
    /// The agent could not be reached, or did not take the packet in time.
    Transport,
    /// The worker had stopped.
    AfterShutdown,
    /// The worker panicked while it was processing them.
    WorkerPanic,
}

impl DropReason {
    /// All reasons, in the order in which data can meet them.
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

    /// The name of the reason in telemetry, for example `channel_full`.
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

/// An amount of data, in values, lines, packets and bytes. Tallies are ordered by values first, then by lines, packets
/// and bytes.
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
    /// The number of values: readings of gauges, differences of counters, values of distributions, members of sets,
    /// events and service checks. The client's own telemetry is not included.
    pub values: u64,
    /// The number of lines on the wire, including the client's own telemetry.
    pub lines: u64,
    /// The number of packets. A packet is what one send carries.
    pub packets: u64,
    /// The number of bytes in the lines.
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
        // After 2^64 values the counts wrap around instead of panicking. The counts of accepted and of sent or dropped
        // values wrap alike.
        self.values = self.values.wrapping_add(other.values);
        self.lines = self.lines.wrapping_add(other.lines);
        self.packets = self.packets.wrapping_add(other.packets);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }
}

/// The running counts behind [`Stats`].
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

    /// Moves an amount from sent to lost.
    pub(crate) fn book_lost(&self, tally: Tally) {
        // This order ensures that a snapshot never shows more sent and dropped values than accepted ones.
        self.sent.take_back(tally);
        self.book_dropped(DropReason::Transport, tally);
    }

    /// The results of this process's flushes to the agent.
    pub(crate) fn reach(&self) -> &Reach {
        self.reach.get()
    }

    /// Counts an amount as dropped that was accepted before.
    pub(crate) fn book_dropped(&self, reason: DropReason, tally: Tally) {
        if let Some(account) = self.dropped.get(reason as usize) {
            account.add(tally);
        }
    }

    /// Counts values as dropped that never became a line.
    pub(crate) fn refuse(&self, reason: DropReason, values: u64) {
        self.book_accepted(Tally::values(values));
        self.book_dropped(reason, Tally::values(values));
    }

    /// Resets the counts to 0 in a forked child.
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
            // Outgoing counts are read before incoming ones, so that a snapshot never shows more values leaving than
            // arriving.
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
            // The index fills this in.
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
