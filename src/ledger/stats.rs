//! What a client did since it was built, as its users see it.

use super::{DropReason, Tally};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

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
    pub(super) dropped: [Tally; DropReason::COUNT],
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
        DropReason::ALL.iter().copied().zip(self.dropped).filter(move |(_, tally)| *tally != nothing)
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
