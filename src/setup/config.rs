//! The settings of a client. All are kept in one place and checked once.

mod agent;
mod build;
mod environment;
mod origin;
mod serverless;
mod task_id;

use self::origin::OriginSettings;
use crate::callback::notice::{Listener, LossNotice};
use crate::setup::agent::Agent;
use crate::setup::env::Environment;
use crate::task_id::{TaskId, TaskIdOn, TaskIdPool, TaskIdSource};
#[cfg(feature = "testing")]
use crate::wire::transport;
use crate::wire::transport::SharedWriter;
use std::io::Write;
#[cfg(feature = "testing")]
use std::sync::Arc;
use std::time::Duration;

/// The agent's address if neither the program nor the environment sets one.
pub const DEFAULT_AGENT: &str = "udp://127.0.0.1:8125";
/// The time between flushes, which is that of the official Datadog clients. Five of them are one flush interval of the
/// Agent.
pub const DEFAULT_FLUSH_INTERVAL: Duration = Duration::from_secs(2);
/// The time between collections, which poll the probes and empty the channel.
pub const DEFAULT_COLLECT_INTERVAL: Duration = Duration::from_millis(250);
/// The number of records that the channel holds.
pub const DEFAULT_CHANNEL_CAPACITY: usize = 8192;
/// The number of contexts that a client keeps at a time.
pub const DEFAULT_CONTEXT_LIMIT: usize = 2000;
/// The number of contexts that one metric has at a time.
pub const DEFAULT_METRIC_CONTEXT_LIMIT: usize = 200;
/// The longest time that dropping the [`Guard`](crate::Guard) takes.
pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Builds a client. [`Client::builder`](crate::Client::builder) returns a builder.
///
/// Settings made in code take precedence over the environment, regardless of call order.
///
/// ```
/// use std::time::Duration;
/// use tasktag::{Client, Dialect};
///
/// let guard = Client::builder()
///     .agent("udp://127.0.0.1:8125")
///     .dialect(Dialect::DogStatsd)
///     .prefix("shop")
///     .tag("region", "eu")
///     .flush_interval(Duration::from_secs(5))
///     .build()?;
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is set up until `build` or `install` is called"]
pub struct ClientBuilder {
    agent: Agent,
    others: Vec<Agent>,
    writer: Option<SharedWriter>,
    prefix: String,
    tags: Vec<(String, String)>,
    task_id: Option<TaskId>,
    task_id_key: Option<String>,
    task_id_pool: Option<TaskIdPool>,
    task_id_source: Option<TaskIdSource>,
    task_id_on: TaskIdOn,
    flush_interval: Option<Duration>,
    collect_interval: Option<Duration>,
    channel_capacity: Option<usize>,
    context_limit: Option<usize>,
    metric_context_limit: Option<usize>,
    idle_gauges: Option<Duration>,
    shutdown_timeout: Option<Duration>,
    telemetry: Option<bool>,
    on_loss: Option<Listener>,
    origin: OriginSettings,
    environment: Option<Environment>,
    disabled: Option<bool>,
    // Whether this is the process-wide client, whose task id is that of the process.
    installed: bool,
    #[cfg(feature = "testing")]
    pub(crate) memory: Option<Arc<transport::Memory>>,
    #[cfg(feature = "testing")]
    pub(crate) clock: Option<crate::process::clock::ManualClock>,
    #[cfg(feature = "testing")]
    pub(crate) system_root: Option<std::path::PathBuf>,
}

impl ClientBuilder {
    /// Sets the agent's address. Defaults to [`DEFAULT_AGENT`].
    ///
    /// | address | transport |
    /// |---|---|
    /// | `udp://host:port` | UDP |
    /// | `unix:///path/to/socket` or `unixgram://…` | Unix datagrams |
    /// | `unix:@name` | Unix datagrams to an abstract socket, on Linux |
    /// | `unixstream:///path/to/socket` | a Unix stream in the Datadog Agent's framing, in which each packet follows its length |
    /// | `tcp://host:port` | TCP, one line after another |
    /// | `stdout:` | the process's standard output. With any other address, the client never writes there |
    /// | `null:` | none. As the main agent's address, it [disables](Self::disabled) the client. Another agent, added with [`also`](Self::also), accepts everything and sends nothing |
    ///
    /// The port defaults to 8125. A host name is resolved on a separate thread, every minute and again if sends fail.
    ///
    /// A broken connection is made again after 25 ms. If that fails, each wait is twice as long as the one before, up
    /// to 5 s. Every wait is shortened by a random amount of up to a half. TCP connections are made on a separate
    /// thread. A packet that was sent in part is dropped, and the next connection begins with a whole packet. A server
    /// may misread the cut line if it accepts an unterminated line at the end of a connection.
    ///
    /// An agent that reads nothing holds up the worker for at most 100 ms per flush, and a slow agent for at most 200
    /// ms.
    pub fn agent(mut self, address: impl Into<String>) -> Self {
        self.agent.address = Some(address.into());
        self
    }

    /// Writes to `writer` instead of sending to an agent. A writer may be a file, a pipe or the buffer of a test, and
    /// it takes precedence over [`agent`](Self::agent). Defaults to none.
    ///
    /// A separate thread named `tasktag-writer` writes the lines unchanged, in whole packets, and flushes the writer at
    /// the end of each flush. If the writer fails, panics or takes longer than 100 ms, what it was given is lost and
    /// counted as [`DropReason::Transport`](crate::DropReason::Transport).
    ///
    /// ```
    /// use std::fs::File;
    /// use tasktag::Client;
    ///
    /// # let path = std::env::temp_dir().join(format!("tasktag-{}.log", std::process::id()));
    /// let guard = Client::builder().writer(File::create(&path)?).build()?;
    /// guard.client().counter("jobs.done").increment(1);
    /// drop(guard);
    /// # let lines = std::fs::read_to_string(&path)?;
    /// # assert!(lines.starts_with("jobs.done:1|c|#task_id:"), "{lines}");
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writer(mut self, writer: impl Write + Send + 'static) -> Self {
        self.writer = Some(SharedWriter::new(writer));
        self
    }

    /// Sends everything to another agent as well, for example during a migration. Up to three agents can be added, and
    /// a fourth is an error of [`build`](Self::build). Each agent has its own [statistics](crate::Client::stats_of). An
    /// agent that is away costs the others nothing but the wait for it, which is at most 100 ms per flush. A slow agent
    /// costs at most 200 ms. Defaults to none.
    ///
    /// ```
    /// use tasktag::{Agent, Client, Dialect};
    ///
    /// let guard = Client::builder()
    ///     .agent("udp://127.0.0.1:8125")
    ///     .also(Agent::at("udp://127.0.0.1:9125").dialect(Dialect::TaggedStatsd))
    ///     .build()?;
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn also(mut self, agent: Agent) -> Self {
        self.others.push(agent);
        self
    }

    /// Sets the prefix of all metric names. The client puts a `.` after it. Events and service checks have no prefix.
    /// The prefix has up to 150 bytes, and up to 100 with [`task_id_in_names`](Self::task_id_in_names); a longer one is
    /// an error of [`build`](Self::build). A whole name is cut after 200 bytes. Defaults to nothing.
    ///
    /// ```
    /// let guard = tasktag::Client::builder().prefix("shop").build()?;
    /// guard.client().counter("signups").increment(1); // `shop.signups:1|c|#task_id:0042`
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Adds a tag to everything that is sent. Global tags follow the tags of a context. Those of the environment come
    /// first, then those added here in call order, and the task id comes last. A tag with the
    /// [key of the task id](Self::task_id_key) is an error of [`build`](Self::build).
    ///
    /// ```
    /// let guard = tasktag::Client::builder().tag("region", "eu").build()?;
    /// guard.client().counter("signups").increment(1); // `signups:1|c|#region:eu,task_id:0042`
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Sets the time between flushes, from 1 ms to 1 h. Defaults to [`DEFAULT_FLUSH_INTERVAL`].
    ///
    /// The first flush is due after a random part of the interval, so that tasks that were started together do not
    /// flush together. The others follow in exact steps, subject to when the operating system wakes the worker. A
    /// [`flush`](crate::Client::flush) by a caller is an additional one and does not move the others. If the process
    /// stood still or a flush took longer than the interval, one flush makes up for all that were missed.
    ///
    /// The interval should divide the server's aggregation window, which is 10 s in the Datadog Agent, in etsy's StatsD
    /// and in Telegraf. 2 s and 5 s do. With 3 s, a window contains three or four flushes, and a constant rate appears
    /// to change by a third.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let guard = tasktag::Client::builder().flush_interval(Duration::from_secs(5)).build()?;
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = Some(interval);
        self
    }

    /// Sets the time between collections, from 1 ms to 1 h. Each collection polls the probes, so a shorter interval
    /// catches shorter peaks. Defaults to [`DEFAULT_COLLECT_INTERVAL`].
    ///
    /// A collection also empties the [channel](Self::channel_capacity). A client without watches leaves out the
    /// collections that would find nothing: it wakes up only to flush. Something that then uses the channel is
    /// collected at once, and so is never there for longer than this interval.
    pub fn collect_interval(mut self, interval: Duration) -> Self {
        self.collect_interval = Some(interval);
        self
    }

    /// Sets the number of records that the channel holds between two collections, from 1 to 1,048,576. Events, service
    /// checks and set members are records, and so are values with a timestamp. Other values of gauges and counters do
    /// not use the channel, and those of distributions only if these find no room. Defaults to
    /// [`DEFAULT_CHANNEL_CAPACITY`].
    ///
    /// A record wakes a worker that [rests](Self::collect_interval), by one system call without a lock.
    pub fn channel_capacity(mut self, records: usize) -> Self {
        self.channel_capacity = Some(records);
        self
    }

    /// Sets the number of contexts (names with their tags) that the client keeps at a time, from 1 to 1,000,000.
    /// Defaults to [`DEFAULT_CONTEXT_LIMIT`].
    ///
    /// Values of further contexts are folded into one overflow context per metric, which has the tag
    /// `tasktag_overflow:true` in place of their tags. In it, counters add up, distributions and sets are merged, and a
    /// gauge shows the last value. The metric `<name>.folded` counts how often this happened. There may be as many
    /// overflow contexts again; values beyond them are dropped as `context_limit`.
    /// [Limits](crate::guide::limits#memory) says what a context of each kind takes.
    ///
    /// A context that was only called by name is forgotten after 150 flushes without a call, or after two if there was
    /// no room for another. A gauge stays as long as there is room. [`Gauge`](crate::Gauge#how-long-a-gauge-is-sent)
    /// describes which gauges leave first.
    ///
    /// To find contexts by name without a lock, each thread holds those that it called recently, until it calls others
    /// or ends. It also holds those that were forgotten meanwhile. Of distributions, one thread holds at most 64, and
    /// all threads together hold at most 2048. These take 1 MiB of tables if they hold few values, and up to 342 MiB
    /// if each of them is as busy as can be. An idle thread keeps what it holds, because taking it away would cost each
    /// call by name a lock or an atomic exchange.
    pub fn context_limit(mut self, contexts: usize) -> Self {
        self.context_limit = Some(contexts);
        self
    }

    /// Sets the number of contexts of one metric, from 1 to 1,000,000. A metric with an unbounded tag then overflows
    /// alone, and leaves room for the others. Families of closed tags and bounded tags have limits of their own, and
    /// this one does not apply to them. Defaults to [`DEFAULT_METRIC_CONTEXT_LIMIT`].
    pub fn metric_context_limit(mut self, contexts: usize) -> Self {
        self.metric_context_limit = Some(contexts);
        self
    }

    /// Ends gauges that were not set for `time`, which is at least 1 ms, and that have no registered handle. These are
    /// the gauges set by name, through the `metrics` facade or through cadence. A gauge ends at the first flush that
    /// comes this long after the flush that reported its last setting. It returns when it is set again. Defaults to
    /// none: such a gauge is sent as long as there is [room](crate::Gauge#how-long-a-gauge-is-sent) for its context.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasktag::Client;
    ///
    /// // A gauge that was not set for an hour describes an upload that has ended.
    /// let guard = Client::builder().idle_gauges(Duration::from_secs(3600)).build()?;
    /// guard.client().gauge("upload.rate").tag("upload", "a5f3").set(12.5);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn idle_gauges(mut self, time: Duration) -> Self {
        self.idle_gauges = Some(time);
        self
    }

    /// Sets the longest time that dropping the [`Guard`](crate::Guard) takes. It also limits how long the last flush
    /// waits for name resolution, a connection or a slow agent. Defaults to [`DEFAULT_SHUTDOWN_TIMEOUT`].
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Sets whether the client reports its own statistics every 10 s, under `datadog.dogstatsd.client.` (in the StatsD
    /// dialects under `tasktag.client.`). Defaults to `true`.
    pub fn telemetry(mut self, telemetry: bool) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Calls a closure when values start to be dropped, at most once per
    /// [`LOSS_NOTICE_INTERVAL`](crate::LOSS_NOTICE_INTERVAL) while losses continue, and once when they have ended.
    /// Losses have ended after such an interval in which nothing was dropped and something was sent. Each agent's
    /// losses are reported separately. Defaults to none.
    ///
    /// Losses between two flushes are reported after the second flush. The shutdown reports ongoing losses and those of
    /// the last flush. Losses after the shutdown are not reported. [`Unsupported`](crate::DropReason::Unsupported)
    /// values are reported once.
    ///
    /// The closure runs on the thread `tasktag-probes`, with no lock held. If it does not return, its thread is
    /// abandoned, as with a watched closure ([`WatchBuilder::watch`](crate::WatchBuilder::watch)). It may use the
    /// client, but a [`flush`](crate::Client::flush) in it returns the error [`OnWorker`](crate::FlushError::OnWorker).
    /// A closure that panics is counted in [`notice_panics`](crate::Stats::notice_panics), and is not called again. If
    /// the program is built with `panic = "abort"`, the first panic ends it instead.
    ///
    /// The closure is dropped when the worker stops, unless a cloned builder still holds it. If several clients share
    /// it, only one calls it at a time; the others retry after their next flush. A forked child has its own copy, and
    /// calls that for its own losses. A child never calls it if the parent's worker was calling it during the fork.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use tasktag::Client;
    ///
    /// let (to_operator, notices) = mpsc::channel();
    /// let guard = Client::builder()
    ///     .agent("unix:///nobody/listens")
    ///     .on_loss(move |notice| drop(to_operator.send(notice.to_string())))
    ///     .telemetry(false)
    ///     .build()?;
    /// guard.client().counter("jobs.done").increment(1);
    /// drop(guard);
    /// # #[cfg(unix)]
    /// assert!(notices.recv()?.ends_with("No such file or directory (os error 2)"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_loss(mut self, act: impl FnMut(&LossNotice) + Send + 'static) -> Self {
        self.on_loss = Some(Listener::new(act));
        self
    }
}
