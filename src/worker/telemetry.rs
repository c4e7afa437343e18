//! The client's own telemetry.

use crate::ledger::{DropReason, Stats};
use crate::task_id::{TaskId, TaskIdPool};
use crate::vocabulary::kind::Kind;
use crate::vocabulary::tag::Tags;
use crate::wire::encode::{Encoder, Line};
use crate::wire::packet::Outbox;
use std::fmt;

/// The interval of the telemetry, which is that of the official Datadog clients.
pub(crate) const INTERVAL_NANOS: u64 = 10 * 1_000_000_000;

/// The statistics as counters of what was added since they were last sent. Nothing is sent for 0.
///
/// They have Datadog's own names where Datadog has a name, under `datadog.dogstatsd.client.`. In the StatsD dialects
/// they are under `tasktag.client.`. In addition there are three gauges of the task ids, which are under
/// `tasktag.task_id.` in all dialects.
///
/// Source of the names: <https://docs.datadoghq.com/developers/dogstatsd/high_throughput/#client-side-telemetry>.
pub(crate) struct Telemetry {
    counters: Vec<Counter>,
    pool: TaskIdPool,
    // `pool_size`, `live` and `fill`.
    task_ids: [Line; 3],
}

/// What the worker accepted from users for one agent, in Datadog's units.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    of_type: [TakenOfType; TYPES.len()],
    pub(crate) events: u64,
    pub(crate) service_checks: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct TakenOfType {
    values: u64,
    // The number of times that a context had something to report at a flush.
    contexts: u64,
}

/// Datadog's names of the metric types.
const TYPES: [&str; 6] = ["gauge", "count", "set", "timing", "histogram", "distribution"];

fn type_of(kind: Kind) -> usize {
    match kind {
        Kind::Gauge | Kind::Occupancy => 0,
        Kind::Counter => 1,
        Kind::Set => 2,
        Kind::Timing => 3,
        Kind::Histogram => 4,
        Kind::Distribution => 5,
    }
}

impl Taken {
    /// Notes a context's values at a flush.
    pub(crate) fn note(&mut self, kind: Kind, values: u64) {
        if let Some(taken) = self.of_type.get_mut(type_of(kind)).filter(|_| values != 0) {
            taken.values = taken.values.wrapping_add(values);
            taken.contexts += 1;
        }
    }

    fn contexts(&self) -> u64 {
        self.of_type.iter().map(|taken| taken.contexts).sum()
    }
}

type Read = Box<dyn Fn(&Stats, &Taken) -> u64 + Send>;

struct Counter {
    line: Line,
    read: Read,
    sent: u64,
}

impl Telemetry {
    pub(crate) fn new(encoder: &mut Encoder, transport: &'static str, task_id: TaskId) -> Self {
        let source = Tags::new(vec![("task_id_source".to_owned(), task_id.source().to_string())]);
        let task_ids = ["pool_size", "live", "fill"]
            .map(|name| encoder.own_gauge_line(&format!("task_id.{name}"), &source));
        let mut telemetry = Self { counters: Vec::new(), pool: task_id.pool(), task_ids };
        let base = [
            ("client", "rust"),
            ("client_version", env!("CARGO_PKG_VERSION")),
            ("client_transport", transport),
            ("task_id_source", task_id.source().as_str()),
        ];
        let mut add = |name, extra: Option<(&str, &str)>, read: Read| {
            let tags = base.iter().copied().chain(extra).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            let line = encoder.telemetry_line(name, &Tags::new(tags));
            telemetry.counters.push(Counter { line, read, sent: 0 });
        };
        // Names that Datadog defines.
        add("metrics", None, Box::new(|stats, _| stats.accepted.values));
        add("bytes_sent", None, Box::new(|stats, _| stats.sent.bytes));
        add("bytes_dropped", None, Box::new(|stats, _| stats.dropped_total().bytes));
        add("bytes_dropped_writer", None, Box::new(|stats, _| stats.dropped(DropReason::Transport).bytes));
        add("packets_sent", None, Box::new(|stats, _| stats.sent.packets));
        add("packets_dropped", None, Box::new(|stats, _| stats.dropped_total().packets));
        add(
            "packets_dropped_writer",
            None,
            Box::new(|stats, _| stats.dropped(DropReason::Transport).packets),
        );
        add(
            "metric_dropped_on_receive",
            None,
            Box::new(|stats, _| stats.dropped(DropReason::ChannelFull).values),
        );
        add("events", None, Box::new(|_, taken| taken.events));
        add("service_checks", None, Box::new(|_, taken| taken.service_checks));
        add("aggregated_context", None, Box::new(|_, taken| taken.contexts()));
        for (place, name) in TYPES.into_iter().enumerate() {
            let of_type = move |taken: &Taken| taken.of_type.get(place).copied().unwrap_or_default();
            let extra = Some(("metrics_type", name));
            add("metrics_by_type", extra, Box::new(move |_, taken| of_type(taken).values));
            add("aggregated_context_by_type", extra, Box::new(move |_, taken| of_type(taken).contexts));
        }
        // Names that this crate adds.
        add("lines_sent", None, Box::new(|stats, _| stats.sent.lines));
        add("values_sent", None, Box::new(|stats, _| stats.sent.values));
        for &reason in DropReason::ALL {
            let extra = Some(("reason", reason.as_str()));
            add("values_dropped", extra, Box::new(move |stats, _| stats.dropped(reason).values));
            add("lines_dropped", extra, Box::new(move |stats, _| stats.dropped(reason).lines));
        }
        add("registrations_refused", None, Box::new(|stats, _| stats.refused_registrations));
        add("tags_refused", None, Box::new(|stats, _| stats.refused_tags));
        add("texts_truncated", None, Box::new(|stats, _| stats.truncated_texts));
        add("values_folded", None, Box::new(|stats, _| stats.folded_values));
        add("registrations_folded", None, Box::new(|stats, _| stats.folded_registrations));
        add("gauges_unset", None, Box::new(|stats, _| stats.unset_gauges));
        add("watches_refused", None, Box::new(|stats, _| stats.refused_watches));
        add("probe_panics", None, Box::new(|stats, _| stats.probe_panics));
        add("probes_removed", None, Box::new(|stats, _| stats.probes_removed));
        add("notice_panics", None, Box::new(|stats, _| stats.notice_panics));
        add("task_ids_lost", None, Box::new(|stats, _| stats.lost_task_ids));
        add("task_ids_shared", None, Box::new(|stats, _| stats.shared_task_ids));
        add("worker_restarts", None, Box::new(|stats, _| stats.worker_restarts));
        telemetry
    }

    /// Continues the same counts under another task id.
    pub(crate) fn rename(&mut self, encoder: &mut Encoder, transport: &'static str, task_id: TaskId) {
        let mut renamed = Self::new(encoder, transport, task_id);
        for (counter, before) in renamed.counters.iter_mut().zip(&self.counters) {
            counter.sent = before.sent;
        }
        *self = renamed;
    }

    /// Reports what was added to the statistics, and the number of leased task ids if that is known. None of this
    /// counts as a user's value.
    pub(crate) fn flush(
        &mut self,
        stats: &Stats,
        taken: &Taken,
        leased: Option<u32>,
        encoder: &mut Encoder,
        outbox: &mut Outbox,
    ) {
        let size = f64::from(self.pool.size());
        let leased = leased.map(f64::from);
        for (line, level) in self.task_ids.iter().zip([Some(size), leased, leased.map(|live| live / size)]) {
            if let Some(level) = level {
                outbox.report(encoder.gauge(line, level), 0);
            }
        }
        for counter in &mut self.counters {
            let total = (counter.read)(stats, taken);
            let added = total.saturating_sub(counter.sent);
            // The sent amount may shrink. It has to grow back before anything is reported again.
            counter.sent = counter.sent.max(total);
            if added != 0 {
                outbox.report(encoder.count(&counter.line, added), 0);
            }
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("counters", &self.counters.len()).finish_non_exhaustive()
    }
}
