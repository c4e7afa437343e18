//! The public statistics of a client.

use super::{DropReason, Tally};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// The statistics of a client since it was built. [`Client::stats`](crate::Client::stats) returns a snapshot.
///
/// Once the worker is idle, for example after a flush, `accepted` is `sent` plus everything `dropped`, in every unit.
/// While the worker is running, the numbers of one snapshot belong to slightly different moments, because they are read
/// one after another.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The amount that the client accepted.
    pub accepted: Tally,
    /// The amount that was sent. What counts as sent depends on the transport:
    ///
    /// - Over UDP, the kernel took it, and the agent's host did not refuse it.
    /// - Over Unix datagrams, it is in the agent's queue.
    /// - Over a connection, the kernel took all of it.
    /// - With a writer, it was written and flushed.
    ///
    /// On Linux the amount shrinks when a connection breaks and the system reports data as undelivered. Over TCP that
    /// is what the agent's host did not acknowledge, and over a Unix stream what the agent may not have read. This data
    /// is moved to [`Transport`](DropReason::Transport).
    pub sent: Tally,
    /// The number of registrations that returned a handle which reports nothing.
    pub refused_registrations: u64,
    /// The number of tags that were left out. A tag is left out if its key is empty, if it is the ninth single tag or a
    /// later one, if it is the client's own task id, or if an event or a service check has no room for it.
    pub refused_tags: u64,
    /// The number of events and service checks whose text was truncated to fit into a packet.
    pub truncated_texts: u64,
    /// The number of calls whose tags were replaced: a bounded tag used `other`, or a call by name found no room for
    /// its context.
    pub folded_values: u64,
    /// The number of registrations that returned a handle of a metric's overflow context.
    pub folded_registrations: u64,
    /// The number of times that a value which is not finite made a gauge absent. A gauge is counted when it changes
    /// from a level, or from never set, to absent.
    ///
    /// This is no loss and is in no other count, because a gauge without a level has nothing to report. Sources that
    /// divide by the count of an idle interval, such as tokio-metrics, set NaN all the time.
    pub unset_gauges: u64,
    /// The number of watches that were refused because a [pool or a queue](crate::WatchBuilder) with the same prefix
    /// and tags is already watched. The status of a refused watch is never polled. What it would have reported is in no
    /// other count.
    pub refused_watches: u64,
    /// The number of contexts that the client knows now.
    pub contexts: u64,
    /// The number of those contexts that this agent can't tell apart from another one, because their lines are the
    /// same. At the server, counters add up and gauges overwrite each other. This happens
    ///
    /// - with agents of several [dialects](crate::Dialect), if one dialect writes as one word what another writes as
    ///   two;
    /// - with [`Dialect::Statsd`](crate::Dialect::Statsd), which has no tags;
    /// - with [`TaskIdOn::Levels`](crate::TaskIdOn::Levels), if a counter is used both with and without
    ///   `without_task_id()`.
    pub clashing_contexts: u64,
    /// The number of panics in probes.
    pub probe_panics: u64,
    /// The number of probes that were removed after three consecutive panics.
    pub probes_removed: u64,
    /// The number of times that a watched closure, or the [`on_loss`](crate::ClientBuilder::on_loss) closure, had not
    /// returned after 1 s.
    pub probes_late: u64,
    /// The closures that have still not returned, by the tag of their gauges, for example `pool:primary`, or as
    /// `on_loss`.
    pub late_probes: Vec<String>,
    /// The number of panics in the [`on_loss`](crate::ClientBuilder::on_loss) closure. It is not called again after a
    /// panic.
    pub notice_panics: u64,
    /// The number of times that the worker panicked and was restarted.
    pub worker_restarts: u64,
    /// 1 if this client's task id is [shared](crate::TaskIdSourceKind::Shared) with other live tasks. It is more than 1
    /// if a lease was lost several times and a bucket was shared each time.
    pub shared_task_ids: u64,
    /// The number of times that a lease of the task id was lost. A lease is lost if Redis does not answer, or if the
    /// slot's file was removed and another process took the slot.
    pub lost_task_ids: u64,
    /// The number of flushes that the worker completed.
    pub flushes: u64,
    /// The error of the last flush that sent or dropped anything, if it dropped something as
    /// [`Transport`](DropReason::Transport). It names the agent's address, as in
    /// `unix:///var/run/datadog/dsd.socket: Permission denied (os error 13)`. It is `None` if that flush dropped
    /// nothing for this reason.
    pub last_error: Option<Arc<str>>,
    /// The time of day at the end of the last flush that sent something. It is `None` if nothing was sent yet.
    pub last_sent_at: Option<SystemTime>,
    pub(super) dropped: [Tally; DropReason::COUNT],
}

impl Stats {
    /// Returns the amount dropped for one reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> Tally {
        self.dropped.get(reason as usize).copied().unwrap_or_default()
    }

    /// Iterates over the reasons for which something was dropped, with the amounts.
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

    /// Returns the amount dropped for all reasons together.
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

/// Writes one line for a log: `accepted 2879 values, sent 2870, dropped 9 (transport 9)`, followed by the last error,
/// if any.
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
