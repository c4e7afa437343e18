//! [cadence](https://docs.rs/cadence) 1.8: its clients report through ours, and its call sites stay as they are.
//!
//! ```
//! use cadence::prelude::*;
//! use cadence::StatsdClient;
//! use tasktag::Client;
//! use tasktag::integrations::cadence::CadenceSink;
//!
//! let guard = Client::builder().agent("udp://127.0.0.1:8125").build()?;
//! let statsd = StatsdClient::from_sink("shop", CadenceSink::new(guard.client()));
//! statsd.gauge("pool.busy", 3u64)?; // shop.pool.busy:3|g|#task_id:0042, at the next flush
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`CadenceSink`] takes the place of cadence's own sinks: each line is read where it is emitted and recorded by its name, so that a
//!   million updates are a hundred lines at a flush, nobody waits, and what is lost is counted. That is so of a
//!   `QueuingMetricSink` too: around this one it only adds a thread, whose `flush` does not wait for what is in its queue.
//! * [`TransportSink`] sends lines as they are, over our transports, and flushes in time.
//! * [`TaskIdExt`] adds the task id to a client with other sinks.
//!
//! # Where the fit is not perfect
//!
//! | cadence | here |
//! |---|---|
//! | a meter (`m`) | a counter, as servers have it |
//! | a sampling rate | weighs counters (to the nearest whole number) and values of distributions (by `1 / rate` without its fraction, as the Datadog Agent does); gauges and sets have none. One that is not above 0 and at most 1 makes the line unreadable |
//! | a counter that is decremented | counted down, below 0 too: `statsd_exporter` drops such a line. With a time of its own, it is refused |
//! | a time of its own | kept for gauges and counters; refused as `unsupported` for the rest, which the Agent would throw away |
//! | a container id | left out: the client has found its own, or was told by [`container_id`](crate::ClientBuilder::container_id) |
//! | one name under two kinds | a counter and a timing, a histogram or a distribution stand beside each other, as servers have it; of other kinds the first one stays, and the other is refused as `invalid` |
//! | a tag `task_id` | left out, and counted in `refused_tags`, where it is the process's id: the client's is added, once. Another one is sent as `task_id_` |
//! | NaN or infinity | makes a gauge [absent](crate::Gauge); refused as `invalid` for other kinds, and for a gauge with a time of its own |
//! | a line that can't be read | refused as `invalid` |
//! | a name with a `:` in it, as of a Rust path | the name is what stands before the last `:`, and is cleaned as every name is: `my_crate::worker` is `my_crate__worker`. A part that is a number is a value in timings, histograms and distributions, into one line of which cadence packs several |
//! | tags with `,` or <code>&#124;</code> in them | cadence does not escape them. They are read as further tags, or the line is refused; no second metric comes of them |
//! | a prefix | cadence's is part of the name. The client's is put before it, if it has one too |
//!
//! The feature brings `cadence`, and nothing that is not there already. cadence's own MSRV is 1.70.

mod desk;
mod line;
mod refused;
mod task_id;
mod timer;
mod transport_sink;

pub use self::refused::Refused;
pub use self::task_id::TaskIdExt;
pub use self::transport_sink::{TransportSink, TransportSinkBuilder};

use self::line::{Count, Line, number};
use crate::api::client::Client;
use crate::ledger::{DropReason, Stats};
use crate::task_id::{TASK_ID_KEY, TaskId};
use crate::vocabulary::error::FlushError;
use crate::vocabulary::kind::Kind;
use cadence::{MetricSink, SinkStats};
use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};

/// Tags of a line that are read in place; a line with more of them allocates.
const TAGS_IN_PLACE: usize = 16;

/// The longest that [`CadenceSink::flush`](MetricSink::flush) takes by default.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Records what a cadence client emits in a [`Client`]: aggregated by context, sent at the timed flush, with the global
/// tags and the task id of the client.
///
/// Cheap to clone; dropping a clone stops nothing. Nothing is allocated for a metric that is known, but by cadence, which
/// formats a line for each. Only set members and values with a time of their own cross the client's
/// [channel](crate::ClientBuilder::channel_capacity).
///
/// `emit` never waits. It answers with the length of the line, or with an error that holds a [`Refused`] if the line was
/// dropped there and then: it goes to cadence's error handler, or out of `try_send`. What is lost later is in
/// [`Client::stats`], and `stats` shows the whole client's: its bytes and packets sent and dropped, each value that
/// was dropped before it had a line as a packet.
#[derive(Clone, Debug)]
#[must_use = "nothing is reported until a client of cadence has the sink"]
pub struct CadenceSink {
    client: Client,
    flush_timeout: Duration,
}

impl CadenceSink {
    /// A sink over a client. The client's guard is what ends it.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), flush_timeout: FLUSH_TIMEOUT }
    }

    /// The longest that `StatsdClient::flush` waits until everything has left. Defaults to 1 s.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }

    fn take(&self, text: &str) -> Option<DropReason> {
        let Some(line) = Line::read(text) else { return self.refuse(DropReason::Invalid, 1) };
        let (mut places, mut len, mut task_ids) = ([("", ""); TAGS_IN_PLACE], 0, 0);
        for tag in line.tags() {
            if self.is_own_task_id(tag) {
                task_ids += 1;
                continue;
            }
            if let Some(place) = places.get_mut(len) {
                *place = tag;
            }
            len += 1;
        }
        self.client.shared().ledger.refused_tags.add(task_ids);
        if let Some(tags) = places.get(..len) {
            return self.record(&line, tags);
        }
        let tags: Vec<_> = line.tags().filter(|tag| !self.is_own_task_id(*tag)).collect();
        self.record(&line, &tags)
    }

    /// Records all values, and says of the last one that was dropped why it was.
    fn record(&self, line: &Line<'_>, tags: &[(&str, &str)]) -> Option<DropReason> {
        let at = match line.seconds {
            None => None,
            Some(seconds) => match SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
                None => return self.refuse(DropReason::Invalid, line.weighed_values()),
                at => at,
            },
        };
        match (line.kind, at) {
            (Kind::Gauge, at) => each(line, |value| self.gauge(line.name, tags, value, at)),
            (Kind::Counter, at) => each(line, |value| self.counter(line, tags, value, at)),
            (_, Some(_)) => self.refuse(DropReason::Unsupported, line.weighed_values()),
            (Kind::Set, None) => self.client.set(line.name).tags(tags).try_insert(line.member()),
            (kind, None) => {
                let weight = line.weight();
                each(line, |value| self.distribution(line.name, kind, tags, value, weight))
            }
        }
    }

    #[inline]
    fn gauge(
        &self,
        name: &str,
        tags: &[(&str, &str)],
        value: &str,
        at: Option<SystemTime>,
    ) -> Option<DropReason> {
        let Ok(level) = value.parse() else { return self.refuse(DropReason::Invalid, 1) };
        let gauge = self.client.gauge(name).tags(tags);
        match at {
            None => gauge.try_set(level),
            Some(at) => gauge.try_set_at(level, at),
        }
    }

    #[inline]
    fn counter(
        &self,
        line: &Line<'_>,
        tags: &[(&str, &str)],
        value: &str,
        at: Option<SystemTime>,
    ) -> Option<DropReason> {
        let counter = self.client.counter(line.name).tags(tags).beside();
        match (line.count(value), at) {
            (Some(Count::Up(n)), None) => counter.try_increment(n),
            (Some(Count::Down(n)), None) => counter.try_decrement(n),
            (Some(Count::Up(n)), Some(at)) => counter.try_increment_at(n, at),
            (Some(Count::Down(_)), Some(_)) | (None, _) => self.refuse(DropReason::Invalid, 1),
        }
    }

    #[inline]
    fn distribution(
        &self,
        name: &str,
        kind: Kind,
        tags: &[(&str, &str)],
        value: &str,
        weight: u64,
    ) -> Option<DropReason> {
        let Some(value) = number(value) else { return self.refuse(DropReason::Invalid, weight) };
        let metric = match kind {
            Kind::Timing => self.client.timing(name),
            Kind::Histogram => self.client.histogram(name),
            _ => self.client.distribution(name),
        };
        metric.tags(tags).beside().try_record_many(value, weight)
    }

    fn refuse(&self, reason: DropReason, values: u64) -> Option<DropReason> {
        self.client.shared().refuse(reason, values)
    }

    /// Whether a tag says what the client says anyway, as one by [`TaskIdExt`] does. Another one is somebody else's.
    fn is_own_task_id(&self, (key, value): (&str, &str)) -> bool {
        let is = |id: TaskId| id.as_str() == value;
        key.eq_ignore_ascii_case(TASK_ID_KEY)
            && (is(self.client.task_id()) || TaskId::decided().is_some_and(is))
    }

    /// Whether nothing that is recorded now will be sent. It is in the books all the same.
    fn is_over(&self) -> bool {
        self.client.shared().post().channel.is_closed()
    }
}

fn each(line: &Line<'_>, record: impl Fn(&str) -> Option<DropReason>) -> Option<DropReason> {
    line.values().fold(None, |dropped, value| record(value).or(dropped))
}

impl MetricSink for CadenceSink {
    fn emit(&self, metric: &str) -> io::Result<usize> {
        let dropped = self.take(metric).or_else(|| self.is_over().then_some(DropReason::AfterShutdown));
        dropped.map_or(Ok(metric.len()), |reason| Err(Refused(reason).into()))
    }

    fn flush(&self) -> io::Result<()> {
        self.client.flush(self.flush_timeout).map_err(|error| {
            let kind = match error {
                FlushError::TimedOut(_) => ErrorKind::TimedOut,
                FlushError::Stopped => ErrorKind::BrokenPipe,
                FlushError::OnWorker => ErrorKind::Deadlock,
            };
            io::Error::new(kind, error)
        })
    }

    fn stats(&self) -> SinkStats {
        sink_stats(&self.client.stats())
    }
}

fn sink_stats(stats: &Stats) -> SinkStats {
    let dropped = stats.losses().map(|(reason, tally)| match reason {
        DropReason::Transport | DropReason::LeaseLost | DropReason::WorkerPanic => tally.packets,
        _ => tally.values,
    });
    SinkStats {
        bytes_sent: stats.sent.bytes,
        packets_sent: stats.sent.packets,
        bytes_dropped: stats.dropped_total().bytes,
        packets_dropped: dropped.fold(0, u64::wrapping_add),
    }
}
