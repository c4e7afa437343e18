//! [metrics-exporter-statsd](https://docs.rs/metrics-exporter-statsd) 0.9: adds the task id to its recorder, and sends
//! through a tasktag client.
//!
//! ```
//! use metrics_exporter_statsd::StatsdBuilder;
//! use tasktag::Client;
//! use tasktag::integrations::metrics_exporter_statsd::StatsdBuilderExt;
//!
//! let guard = Client::builder().agent("udp://127.0.0.1:8125").build()?;
//! let recorder = StatsdBuilder::from("", 0).with_client(guard.client()).build(Some("shop"))?;
//! metrics::set_global_recorder(recorder)?;
//! metrics::gauge!("pool.busy").set(3.0); // shop.pool.busy:3|g|#task_id:0042, at the next flush
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This is the first of two migration steps. Call sites and the recorder stay, and what the recorder sends is
//! aggregated, flushed on time and counted. The recorder itself discards `increment` and `decrement` of a gauge and
//! `absolute` of a counter. The second step is the feature `metrics`, whose recorder supports them and costs less at
//! each call site.
//!
//! The second step moves these settings, so that dashboards keep working:
//!
//! | metrics-exporter-statsd | with [`metrics::Recorder`](https://docs.rs/tasktag/latest/tasktag/integrations/metrics/struct.Recorder.html) |
//! |---|---|
//! | `.build(Some("shop"))` | [`ClientBuilder::prefix`](crate::ClientBuilder::prefix), on the client |
//! | `.with_default_tag(key, value)` | [`ClientBuilder::tag`](crate::ClientBuilder::tag), on the client |
//! | histograms are `h`, unless `.histogram_is_distribution()` | histograms are `d`, unless `.histograms_as(HistogramKind::Histogram)` |
//! | `.histogram_is_timer()` sends seconds as milliseconds | `.timings_by_unit()` does so for histograms that are described in seconds or whose name ends in `_seconds`; `HistogramKind::Timing` converts nothing |
//! | a label `histogram` selects the kind | the label is an ordinary tag and is sent: remove it |
//!
//! [`cadence`](super::cadence) describes how lines become metrics. The feature brings `metrics-exporter-statsd`,
//! `cadence`, `metrics` and `thiserror`.

use super::cadence::CadenceSink;
use crate::api::client::Client;
use crate::task_id::{TASK_ID_KEY, TaskId};
use metrics_exporter_statsd::StatsdBuilder;

/// Adds the task id to what metrics-exporter-statsd sends. Either method does so; both together add it once.
pub trait StatsdBuilderExt: Sized {
    /// Adds the tag `task_id:0042`, with the [process's id](TaskId::current), to a recorder that keeps its own sink.
    /// Call it once.
    #[must_use]
    fn with_task_id(self) -> Self;

    /// Makes the recorder report through a client, by a [`CadenceSink`]. The client adds its task id. The builder's
    /// host, port, queue and buffer are no longer used.
    #[must_use]
    fn with_client(self, client: &Client) -> Self;
}

impl StatsdBuilderExt for StatsdBuilder {
    fn with_task_id(self) -> Self {
        self.with_default_tag(TASK_ID_KEY, TaskId::current().as_str())
    }

    fn with_client(self, client: &Client) -> Self {
        self.with_sink(CadenceSink::new(client))
    }
}
