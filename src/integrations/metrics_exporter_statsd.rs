//! [metrics-exporter-statsd](https://docs.rs/metrics-exporter-statsd) 0.9: its recorder with the task
//! id, and over our client.
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
//! It is the first of two steps: call sites and the recorder stay, and what the recorder sends is aggregated, flushed in time
//! and counted. What the recorder itself throws away does not come so far: `increment` and `decrement` of a gauge and `absolute`
//! of a counter. The second step is the feature `metrics`, whose recorder has them and costs a call site less.
//!
//! What is set goes with the second step, so that dashboards find what they found before:
//!
//! | metrics-exporter-statsd | with [`metrics::Recorder`](https://docs.rs/tasktag/latest/tasktag/integrations/metrics/struct.Recorder.html) |
//! |---|---|
//! | `.build(Some("shop"))` | [`ClientBuilder::prefix`](crate::ClientBuilder::prefix), of the client |
//! | `.with_default_tag(key, value)` | [`ClientBuilder::tag`](crate::ClientBuilder::tag), of the client |
//! | histograms are `h`, unless `.histogram_is_distribution()` | they are `d`, unless `.histograms_as(HistogramKind::Histogram)` |
//! | `.histogram_is_timer()`: seconds are sent as milliseconds | `.timings_by_unit()`, for those that are described in seconds or whose name ends in `_seconds`; `HistogramKind::Timing` converts nothing |
//! | a label `histogram` says which of them one is | it is a tag like any other, and arrives: take it out |
//!
//! How lines become our metrics is said at [`cadence`](super::cadence). The feature brings `metrics-exporter-statsd` with
//! `cadence`, `metrics` and `thiserror`.

use super::cadence::CadenceSink;
use crate::api::client::Client;
use crate::task_id::{TASK_ID_KEY, TaskId};
use metrics_exporter_statsd::StatsdBuilder;

/// Adds the task id to what metrics-exporter-statsd sends: each of the two methods does, and both together add it once.
pub trait StatsdBuilderExt: Sized {
    /// Adds the tag `task_id:0042`, with the [process's id](TaskId::current), for a recorder that keeps its own sink. To be called once.
    #[must_use]
    fn with_task_id(self) -> Self;

    /// Has the recorder report through a client: a [`CadenceSink`] goes under it. The client adds its task id, and no host,
    /// port, queue or buffer of the builder is used any more.
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
