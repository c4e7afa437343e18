//! What became of every value: accepted, sent, or dropped for a reason.

mod account;
mod reach;
mod striped;

use self::account::Account;
pub(crate) use self::account::Count;
pub(crate) use self::reach::Reach;
pub(crate) use self::striped::{Share, StripedCount};

use crate::fork::PerProcess;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::SystemTime;

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
    pub const ALL: [Self; 10] = [
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

/// An amount of data, in each of the units it takes on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        // Whoever records a value 2^64 times gets wrapped counts, on both sides of the books alike, and no panic.
        self.values = self.values.wrapping_add(other.values);
        self.lines = self.lines.wrapping_add(other.lines);
        self.packets = self.packets.wrapping_add(other.packets);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }
}

/// What the client did since it was built. [`Client::stats`](crate::Client::stats) takes it.
///
/// Once the worker is idle, as after a flush, `accepted` is `sent` plus everything `dropped`, in every unit. A
/// snapshot taken while the worker is at work is not one moment's: its numbers are read one after another.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What came in.
    pub accepted: Tally,
    /// What went out: over UDP handed to the kernel and not refused by the agent's host, over Unix datagrams in the
    /// agent's queue, over a connection wholly handed to the kernel, and what a writer wrote and flushed.
    ///
    /// It becomes less when a connection breaks before what it took has left this host, as far as the system says so
    /// (Linux): over TCP what the agent's host did not acknowledge, over a Unix stream what the agent may not have read.
    /// That is moved to [`Transport`](DropReason::Transport).
    pub sent: Tally,
    /// Registrations that got a handle which reports nothing.
    pub refused_registrations: u64,
    /// Tags left out: an empty key, a ninth single tag, one that is the client's own task id, or what an event or a service
    /// check has no room for.
    pub refused_tags: u64,
    /// Events and service checks of which the end of a text was cut, because no packet holds all of it.
    pub truncated_texts: u64,
    /// Calls that a bounded tag put under `other`, and calls by name for whose context there was no room.
    pub folded_values: u64,
    /// Registrations that got a handle of a metric's overflow context.
    pub folded_registrations: u64,
    /// Times that a value which is not finite made a gauge absent: once for each change from a level, or from never set, to
    /// none. It is no loss, and in no other count, because a gauge without a level says what there is to say. Sources that
    /// divide by an idle interval's count, as tokio-metrics does, set NaN all the time.
    pub unset_gauges: u64,
    /// Watches that were refused because a [pool or a queue](crate::WatchBuilder) with the same prefix and tags is being
    /// watched. Their status is never asked, and what they would have reported is in no other count.
    pub refused_watches: u64,
    /// Contexts that the client knows now.
    pub contexts: u64,
    /// Those of them that this agent can't tell from another, because their lines are the same: with agents of several
    /// [dialects](crate::Dialect), of which one writes in one word what another writes in two, with
    /// [`Dialect::Statsd`](crate::Dialect::Statsd), which has no tags, and with
    /// [`TaskIdOn::Levels`](crate::TaskIdOn::Levels), if a counter is used with `without_task_id()` and without. Counters add
    /// up at the server, and gauges overwrite each other.
    pub clashing_contexts: u64,
    /// Times a probe panicked.
    pub probe_panics: u64,
    /// Probes taken out after three panics in a row.
    pub probes_removed: u64,
    /// Times that a watched closure, or the one of [`on_loss`](crate::ClientBuilder::on_loss), had not returned after 1 s.
    pub probes_late: u64,
    /// Those that have not returned yet, by the tag that their gauges have, `pool:primary`, or as `on_loss`.
    pub late_probes: Vec<String>,
    /// Times that the closure of [`on_loss`](crate::ClientBuilder::on_loss) panicked: it is called no more.
    pub notice_panics: u64,
    /// Times the worker died and was started again.
    pub worker_restarts: u64,
    /// 1 where this client's task id is [shared](crate::TaskIdSourceKind::Shared) with other live tasks; more where a lease
    /// was lost several times and a bucket shared.
    pub shared_task_ids: u64,
    /// Times that a lease of the task id was lost: Redis did not answer, or the slot's file was removed and another process
    /// took it.
    pub lost_task_ids: u64,
    /// Flushes that the worker completed.
    pub flushes: u64,
    /// Why something was dropped as [`Transport`](DropReason::Transport) in the last flush that sent or dropped
    /// anything: the agent's address and the error, as in
    /// `unix:///var/run/datadog/dsd.socket: Permission denied (os error 13)`. `None` if nothing was.
    pub last_error: Option<Arc<str>>,
    /// The time of day at the end of the last flush that sent something. `None` if nothing was sent yet.
    pub last_sent_at: Option<SystemTime>,
    dropped: [Tally; DropReason::ALL.len()],
}

impl Stats {
    /// What was dropped for one reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> Tally {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// The reasons for which anything was dropped, and what that was.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// for (reason, lost) in client.stats().losses() {
    ///     eprintln!("{} values lost: {reason}", lost.values);
    /// }
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn losses(&self) -> impl Iterator<Item = (DropReason, Tally)> {
        let nothing = Tally::default();
        DropReason::ALL.into_iter().zip(self.dropped).filter(move |(_, tally)| *tally != nothing)
    }

    /// What was dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> Tally {
        self.dropped.iter().fold(Tally::default(), |mut sum, &tally| {
            sum += tally;
            sum
        })
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats")
            .field("accepted", &self.accepted)
            .field("sent", &self.sent)
            .field("dropped", &self.losses().collect::<Vec<_>>())
            .field("refused_registrations", &self.refused_registrations)
            .field("refused_tags", &self.refused_tags)
            .field("truncated_texts", &self.truncated_texts)
            .field("folded_values", &self.folded_values)
            .field("folded_registrations", &self.folded_registrations)
            .field("unset_gauges", &self.unset_gauges)
            .field("refused_watches", &self.refused_watches)
            .field("contexts", &self.contexts)
            .field("clashing_contexts", &self.clashing_contexts)
            .field("probe_panics", &self.probe_panics)
            .field("probes_removed", &self.probes_removed)
            .field("probes_late", &self.probes_late)
            .field("late_probes", &self.late_probes)
            .field("notice_panics", &self.notice_panics)
            .field("worker_restarts", &self.worker_restarts)
            .field("shared_task_ids", &self.shared_task_ids)
            .field("lost_task_ids", &self.lost_task_ids)
            .field("flushes", &self.flushes)
            .field("last_error", &self.last_error)
            .field("last_sent_at", &self.last_sent_at)
            .finish()
    }
}

/// In one line, for a log: `accepted 2879 values, sent 2870, dropped 9 (transport 9)`, and the last error behind it.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accepted, sent, dropped) = (self.accepted.values, self.sent.values, self.dropped_total().values);
        write!(f, "accepted {accepted} values, sent {sent}, dropped {dropped}")?;
        for (place, (reason, tally)) in self.losses().enumerate() {
            let start = if place == 0 { " (" } else { ", " };
            write!(f, "{start}{reason} {}", tally.values)?;
        }
        f.write_str(if self.losses().next().is_some() { ")" } else { "" })?;
        self.last_error.as_ref().map_or(Ok(()), |error| write!(f, "; last error: {error}"))
    }
}

/// The running count behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    reach: PerProcess<Reach>,
    accepted: Account,
    sent: Account,
    dropped: [Account; DropReason::ALL.len()],
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
