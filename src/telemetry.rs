//! What the client says about itself on the wire.

use crate::encode::{Encoder, Line};
use crate::ledger::{DropReason, Stats};
use crate::packet::Outbox;
use crate::tag::Tags;
use crate::task_id::{TaskId, TaskIdPool};
use std::fmt;

/// How often: the official Datadog clients' interval.
pub(crate) const INTERVAL_NANOS: u64 = 10 * 1_000_000_000;

/// The stats as counters: what was added since they were last sent. Datadog's own names where it has them, under
/// `datadog.dogstatsd.client.`; in plain StatsD under `tasktag.client.`. Nothing is sent for 0.
///
/// Besides, three gauges of the task ids, in all dialects under `tasktag.task_id.`.
///
/// Source of the names: <https://docs.datadoghq.com/developers/dogstatsd/high_throughput/#client-side-telemetry>.
pub(crate) struct Telemetry {
    counters: Vec<Counter>,
    pool: TaskIdPool,
    // `pool_size`, `live` and `fill`.
    task_ids: [Line; 3],
}

struct Counter {
    line: Line,
    read: Box<dyn Fn(&Stats) -> u64 + Send>,
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
        let mut add = |name, extra: Option<(&str, &str)>, read: Box<dyn Fn(&Stats) -> u64 + Send>| {
            let tags = base.iter().copied().chain(extra).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            let line = encoder.telemetry_line(name, &Tags::new(tags));
            telemetry.counters.push(Counter { line, read, sent: 0 });
        };
        // Datadog's.
        add("metrics", None, Box::new(|stats| stats.accepted.values));
        add("bytes_sent", None, Box::new(|stats| stats.sent.bytes));
        add("bytes_dropped", None, Box::new(|stats| stats.dropped_total().bytes));
        add("bytes_dropped_writer", None, Box::new(|stats| stats.dropped(DropReason::Transport).bytes));
        add("packets_sent", None, Box::new(|stats| stats.sent.packets));
        add("packets_dropped", None, Box::new(|stats| stats.dropped_total().packets));
        add("packets_dropped_writer", None, Box::new(|stats| stats.dropped(DropReason::Transport).packets));
        add(
            "metric_dropped_on_receive",
            None,
            Box::new(|stats| stats.dropped(DropReason::ChannelFull).values),
        );
        // Ours.
        add("lines_sent", None, Box::new(|stats| stats.sent.lines));
        add("values_sent", None, Box::new(|stats| stats.sent.values));
        for reason in DropReason::ALL {
            let extra = Some(("reason", reason.as_str()));
            add("values_dropped", extra, Box::new(move |stats| stats.dropped(reason).values));
            add("lines_dropped", extra, Box::new(move |stats| stats.dropped(reason).lines));
        }
        add("registrations_refused", None, Box::new(|stats| stats.refused_registrations));
        add("tags_refused", None, Box::new(|stats| stats.refused_tags));
        add("values_folded", None, Box::new(|stats| stats.folded_values));
        add("probe_panics", None, Box::new(|stats| stats.probe_panics));
        add("probes_removed", None, Box::new(|stats| stats.probes_removed));
        add("task_ids_lost", None, Box::new(|stats| stats.lost_task_ids));
        add("task_ids_shared", None, Box::new(|stats| stats.shared_task_ids));
        add("worker_restarts", None, Box::new(|stats| stats.worker_restarts));
        telemetry
    }

    /// Goes on with the same counts under another task id.
    pub(crate) fn rename(&mut self, encoder: &mut Encoder, transport: &'static str, task_id: TaskId) {
        let mut renamed = Self::new(encoder, transport, task_id);
        for (counter, before) in renamed.counters.iter_mut().zip(&self.counters) {
            counter.sent = before.sent;
        }
        *self = renamed;
    }

    /// Reports what was added to the stats, and how many task ids are leased where that is known. None of it is a
    /// user's value.
    pub(crate) fn flush(
        &mut self,
        stats: &Stats,
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
            let total = (counter.read)(stats);
            let added = total.saturating_sub(counter.sent);
            counter.sent = total;
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
