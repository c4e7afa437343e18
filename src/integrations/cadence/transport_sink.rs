//! A cadence sink over tasktag's transports.

use super::process_sink::{ProcessSink, Settings};
use super::refused::Refused;
use super::{sink_stats, timer};
use crate::ledger::DropReason;
use crate::process::fork::{self, PerProcess};
use crate::setup::config::DEFAULT_FLUSH_INTERVAL;
use crate::setup::{self, agent::Agent};
use crate::vocabulary::error::ConfigError;
use crate::wire::transport::Address;
use cadence::{MetricSink, SinkStats};
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

const MIN_INTERVAL: Duration = Duration::from_millis(1);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// Sends a cadence client's lines unchanged over one of tasktag's [transports](crate::ClientBuilder::agent): UDP over
/// IPv4 and IPv6, Unix datagrams and streams, TCP.
///
/// Lines are packed into packets of the transport's size. Packets are sent
///
/// - when enough of them are full for one system call (at most 32 packets and 256 KiB);
/// - every 2 s;
/// - by `flush`;
/// - when the last clone is dropped.
///
/// One thread, `tasktag-sinks`, keeps the 2 s for all sinks of the process, and ends with the last of them. The sink
/// reconnects a broken connection and resolves a name again.
///
/// If the agent stops reading, the sink blocks for at most 200 ms in any 2 s, however often it flushes, and for at most
/// 200 ms in each call of `flush`. Calls that come meanwhile wait too. An unreachable agent is retried at the same
/// interval. A [`QueuingMetricSink`](cadence::QueuingMetricSink) in front keeps this wait away from call sites.
///
/// `stats` counts what was sent and what was lost. A line that contains a line break, which would be two lines, is
/// refused.
///
/// Nothing is aggregated and no tag is added. [`CadenceSink`](super::CadenceSink) does both, and
/// [`TaskIdExt`](super::TaskIdExt) adds the task id only.
///
/// ```
/// use cadence::prelude::*;
/// use cadence::{QueuingMetricSink, StatsdClient};
/// use tasktag::integrations::cadence::{TaskIdExt, TransportSink};
///
/// let sink = TransportSink::to("unix:///var/run/datadog/dsd.socket")?;
/// let queue = QueuingMetricSink::with_capacity(sink, 4096);
/// let statsd = StatsdClient::builder("shop", queue).with_task_id().build();
/// statsd.gauge("pool.busy", 3u64)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until a client of cadence has the sink"]
pub struct TransportSink {
    owner: Arc<Owner>,
}

impl TransportSink {
    /// Makes a sink to an agent's address, in the form that [`ClientBuilder::agent`](crate::ClientBuilder::agent)
    /// takes.
    ///
    /// # Errors
    ///
    /// Fails if the address is invalid or the thread can't be started. An unreachable agent is no error, because it may
    /// come up later.
    pub fn to(address: &str) -> Result<Self, ConfigError> {
        Self::builder(address).build()
    }

    /// Starts a builder for a sink with other settings.
    pub fn builder(address: &str) -> TransportSinkBuilder {
        TransportSinkBuilder {
            agent: Agent::at(address),
            address: address.to_owned(),
            interval: DEFAULT_FLUSH_INTERVAL,
        }
    }
}

/// Configures a [`TransportSink`].
#[derive(Clone, Debug)]
#[must_use = "nothing is set up until `build` is called"]
pub struct TransportSinkBuilder {
    agent: Agent,
    address: String,
    interval: Duration,
}

impl TransportSinkBuilder {
    /// Sets the packet size in bytes; see [`ClientBuilder::max_packet_size`](crate::ClientBuilder::max_packet_size).
    pub fn max_packet_size(mut self, bytes: usize) -> Self {
        self.agent = self.agent.max_packet_size(bytes);
        self
    }

    /// Sets how long a line waits for others at most, from 1 ms to 1 h. Defaults to [`DEFAULT_FLUSH_INTERVAL`].
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Makes the sink.
    ///
    /// # Errors
    ///
    /// Fails if the address or a setting is invalid, or the thread can't be started.
    pub fn build(self) -> Result<TransportSink, ConfigError> {
        let address = Address::parse(&self.address)
            .map_err(|reason| ConfigError::setting("agent", &self.address, reason))?;
        if !(MIN_INTERVAL..=MAX_INTERVAL).contains(&self.interval) {
            let reason = format_args!("it must be from {MIN_INTERVAL:?} to {MAX_INTERVAL:?}");
            return Err(ConfigError::setting("flush_interval", format_args!("{:?}", self.interval), reason));
        }
        let max_packet_size = self.agent.packet_size(&address)?;
        let settings = Settings { address, max_packet_size, interval: self.interval };
        setup::expect_forks();
        let _whole = fork::make_whole();
        let process_sink = Arc::new(ProcessSink::new(&settings));
        timer::attend(&process_sink).map_err(|error| ConfigError::Thread(error.to_string()))?;
        Ok(TransportSink { owner: Arc::new(Owner { settings, process_sink: PerProcess::new(process_sink) }) })
    }
}

/// Shared by the clones of a sink. Dropping the last one flushes.
struct Owner {
    settings: Settings,
    process_sink: PerProcess<Arc<ProcessSink>>,
}

impl Owner {
    fn process_sink(&self) -> &ProcessSink {
        let process_sink = self.process_sink.get();
        if process_sink.is_here() { process_sink } else { self.sink_of_child() }
    }

    /// In a forked child, the lines and the connection are the parent's, and another thread may have been changing
    /// them.
    #[cold]
    fn sink_of_child(&self) -> &ProcessSink {
        let _whole = fork::make_whole();
        if !self.process_sink.get().is_here() {
            let process_sink = Arc::new(ProcessSink::new(&self.settings));
            // Without a thread, lines leave when packets are full, by `flush`, and on the last drop.
            let _ = timer::attend(&process_sink);
            self.process_sink.renew(process_sink);
        }
        self.process_sink.get()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let process_sink = self.process_sink.get();
        if process_sink.is_here() {
            process_sink.flush();
            timer::wake();
        } else {
            mem::forget(Arc::clone(process_sink));
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl MetricSink for TransportSink {
    fn emit(&self, metric: &str) -> io::Result<usize> {
        self.owner.process_sink().put(metric).map_or(Ok(metric.len()), |reason| Err(Refused(reason).into()))
    }

    fn flush(&self) -> io::Result<()> {
        if self.owner.process_sink().flush() { Ok(()) } else { Err(Refused(DropReason::Transport).into()) }
    }

    fn stats(&self) -> SinkStats {
        sink_stats(&self.owner.process_sink().stats())
    }
}
