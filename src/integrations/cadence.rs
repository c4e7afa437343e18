//! [cadence](https://docs.rs/cadence) 1.8: its clients report through a tasktag client, and call sites stay as they
//! are.
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
//! * [`CadenceSink`] replaces cadence's own sinks. It reads each line as it is emitted and records it under its name. A
//!   million updates therefore become a hundred lines at a flush, no caller waits, and losses are counted. A
//!   `QueuingMetricSink` around it only adds a thread, whose `flush` does not wait for what is in its queue.
//! * [`TransportSink`] sends lines unchanged over tasktag's transports, and flushes on time.
//! * [`TaskIdExt`] adds the task id to a client with other sinks.
//!
//! # Differences from cadence
//!
//! | cadence | here |
//! |---|---|
//! | a meter (`m`) | is a counter, as on servers |
//! | a sampling rate | weights counters (rounded to the nearest whole number) and values of distributions (by `trunc(1 / rate)`, as the Datadog Agent does). Gauges and sets have none. A rate that is not above 0 and at most 1 makes the line unreadable |
//! | a decremented counter | counts down, below 0 too; `statsd_exporter` drops a negative line. With an explicit timestamp, it is refused |
//! | an explicit timestamp | is kept for gauges and counters. Other kinds are refused as `unsupported`, because the Agent would discard them |
//! | a container id | is left out: the client detects its own, or takes it from [`container_id`](crate::ClientBuilder::container_id) |
//! | one name with two kinds | a counter may share its name with a timing, histogram or distribution, as on servers. Of other kinds the first one is kept, and the second is refused as `invalid` |
//! | a tag `task_id` | is left out and counted in `refused_tags` if it is the process's id, because the client adds its own, once. Any other one is sent as `task_id_` |
//! | NaN or infinity | makes a gauge [absent](crate::Gauge). It is refused as `invalid` for other kinds, and for a gauge with an explicit timestamp |
//! | a line that can't be read | is refused as `invalid` |
//! | a name with a `:`, for example a Rust path | ends before the last `:`, and is cleaned like every name: `my_crate::worker` becomes `my_crate__worker`. In timings, histograms and distributions, a part that is a number is a value, because cadence packs several values into one line |
//! | tags that contain `,` or <code>&#124;</code> | are not escaped by cadence. They are read as further tags, or the line is refused; they never make a second metric |
//! | a prefix | cadence's is part of the name. The client's own prefix, if any, comes before it |
//!
//! The feature brings `cadence` and no other dependency. cadence's own MSRV is 1.70.

mod line;
mod process_sink;
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

/// How many tags of a line are read without an allocation.
const TAGS_IN_PLACE: usize = 16;

/// The default timeout of [`CadenceSink::flush`](MetricSink::flush).
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Records what a cadence client emits in a [`Client`]. Values are aggregated by context and sent at the next flush,
/// with the client's global tags and task id.
///
/// The sink is cheap to clone, and dropping a clone stops nothing. A known metric allocates nothing, except in cadence
/// itself, which formats a line for each value. Only members of sets and values with an explicit timestamp cross the
/// client's [channel](crate::ClientBuilder::channel_capacity).
///
/// `emit` never waits. It returns the length of the line. If the line was dropped at once, it returns an error that
/// holds a [`Refused`], which cadence passes to its error handler or returns from `try_send`. Later losses are counted
/// in [`Client::stats`].
///
/// `stats` reports the bytes and packets that the whole client sent and dropped. Each value that was dropped before it
/// became a line counts as a packet.
#[derive(Clone, Debug)]
#[must_use = "nothing is reported until a client of cadence has the sink"]
pub struct CadenceSink {
    client: Client,
    flush_timeout: Duration,
}

impl CadenceSink {
    /// Makes a sink over a client. The sink stops when the client's guard is dropped.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), flush_timeout: FLUSH_TIMEOUT }
    }

    /// Sets how long `StatsdClient::flush` waits at most until everything is sent. Defaults to 1 s.
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

    /// Records all values. Returns why the last dropped value was dropped.
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

    /// Whether a tag repeats the client's own task id, as [`TaskIdExt`] does. Any other one belongs to somebody else.
    fn is_own_task_id(&self, (key, value): (&str, &str)) -> bool {
        let is = |id: TaskId| id.as_str() == value;
        key.eq_ignore_ascii_case(TASK_ID_KEY)
            && (is(self.client.task_id()) || TaskId::decided().is_some_and(is))
    }

    /// Whether values recorded now will no longer be sent. They are counted all the same.
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
