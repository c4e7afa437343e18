//! How a client is set up: every setting in one place, checked once.

mod agent;
mod build;
mod environment;
mod origin;
mod serverless;

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

/// Where the agent is when nobody says.
pub const DEFAULT_AGENT: &str = "udp://127.0.0.1:8125";
/// Time between flushes: the official Datadog clients' interval, five of which are one of the Agent's.
pub const DEFAULT_FLUSH_INTERVAL: Duration = Duration::from_secs(2);
/// Time between collections, which ask the probes and empty the channel.
pub const DEFAULT_COLLECT_INTERVAL: Duration = Duration::from_millis(250);
/// Records that the channel holds.
pub const DEFAULT_CHANNEL_CAPACITY: usize = 8192;
/// Contexts that a client knows at a time.
pub const DEFAULT_CONTEXT_LIMIT: usize = 2000;
/// Contexts of one metric.
pub const DEFAULT_METRIC_CONTEXT_LIMIT: usize = 200;
/// The longest that dropping the [`Guard`](crate::Guard) takes.
pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Sets up a client. [`Client::builder`](crate::Client::builder) gives one.
///
/// What is set here goes before what the environment says, in whatever order the two are called.
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
    // Whether it is the process-wide one, whose task id is the process's.
    installed: bool,
    #[cfg(feature = "testing")]
    pub(crate) memory: Option<Arc<transport::Memory>>,
    #[cfg(feature = "testing")]
    pub(crate) clock: Option<crate::process::clock::ManualClock>,
    #[cfg(feature = "testing")]
    pub(crate) system_root: Option<std::path::PathBuf>,
}

impl ClientBuilder {
    /// Where the agent is. Defaults to [`DEFAULT_AGENT`].
    ///
    /// | address | what is there |
    /// |---|---|
    /// | `udp://host:port` | UDP |
    /// | `unix:///path/to/socket` or `unixgram://…` | Unix datagrams |
    /// | `unix:@name` | the same on Linux, to a socket that has a name and no file |
    /// | `unixstream:///path/to/socket` | a Unix stream in the Datadog Agent's framing, each packet behind its length |
    /// | `tcp://host:port` | TCP, a line behind the other |
    /// | `stdout:` | this process's standard output; nothing else ever writes there |
    /// | `null:` | nobody: the client is [disabled](Self::disabled). Another agent, by [`also`](Self::also), takes everything and sends nothing |
    ///
    /// The port may be left out; it is 8125 then. A name is resolved by a thread of its own, again when sends fail, and
    /// every minute. A connection that breaks is made again, by TCP on a thread of its own: after 25 ms, then twice
    /// that, and so on up to 5 s, each up to a half shorter at random. A packet that it took in part is dropped,
    /// and the next connection begins with a whole one; a server that reads an unended line at the end of a connection as
    /// a whole one may misread that. An agent that takes nothing holds the worker for at most 100 ms a flush, one that
    /// is slow for at most 200 ms.
    pub fn agent(mut self, address: impl Into<String>) -> Self {
        self.agent.address = Some(address.into());
        self
    }

    /// Writes to `writer` instead of sending to an agent: a file, a pipe, a buffer of a test. Lines are written as they
    /// are, whole packets at a time, by a thread of their own named `tasktag-writer`, and the writer is flushed at the
    /// end of a flush. One that fails, panics or takes longer than 100 ms costs what it was given, counted as
    /// [`DropReason::Transport`](crate::DropReason::Transport). Goes before [`agent`](Self::agent).
    /// Defaults to none.
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

    /// Sends everything to another agent too, up to three of them: for the time of a move from one to another. Each
    /// has its own [books](crate::Client::stats_of): one that is away costs the others nothing but the wait for it,
    /// 100 ms a flush at most, 200 ms where it is only slow. Defaults to none.
    pub fn also(mut self, agent: Agent) -> Self {
        self.others.push(agent);
        self
    }

    /// What every metric's name starts with; a `.` is put behind it. Events and service checks have none.
    /// Up to 150 bytes, 100 with [`task_id_in_names`](Self::task_id_in_names); in all, a name is cut after 200. Defaults to
    /// nothing.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Adds a tag to everything that is sent. Global tags come behind a context's own, in the order they were added,
    /// those of the environment first and the task id last. The [key of the task id](Self::task_id_key)
    /// is an error here.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Gives this client another task id than the process's. Defaults to [`TaskId::current`].
    pub fn task_id(mut self, task_id: TaskId) -> Self {
        self.task_id = Some(task_id);
        self
    }

    /// The key of the tag that carries the task id: 1 to 99 of `a-z 0-9 _ - . /`, of which the first is a letter. Defaults
    /// to `task_id`. Another key is an error when the client is built.
    ///
    /// The key is the client's alone: a tag of your own with it, in any case, is sent under the key with `_` behind it. So
    /// where a workflow engine has its own `task_id`, that one is sent as `task_id_`, or as it is with another key here:
    ///
    /// ```
    /// let guard = tasktag::Client::builder().task_id_key("bucket").build()?;
    /// // `stage.rows:10|g|#task_id:resize,bucket:0042`
    /// guard.client().gauge("stage.rows").tag("task_id", "resize").set(10.0);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn task_id_key(mut self, key: impl Into<String>) -> Self {
        self.task_id_key = Some(key.into());
        self
    }

    /// The pool that the process's task id is drawn from, if it is not drawn yet. Defaults to
    /// [`TaskIdPool::DEFAULT`], 1000 buckets.
    pub fn task_id_pool(mut self, pool: TaskIdPool) -> Self {
        self.task_id_pool = Some(pool);
        self
    }

    /// Where the task id comes from, unless [`task_id`](Self::task_id) or `TASKTAG_TASK_ID` fixes it. Defaults to
    /// [`TaskIdSource::random`].
    ///
    /// A client that is [installed](Self::install) decides the id of the process by it: [`TaskId::current`] is the
    /// same, and a lease is held until the process ends. A client that is [built](Self::build) takes an id of its own,
    /// and gives a lease back when its guard was dropped and its worker has ended. The variables of a platform
    /// are the process's, or those of [`from_vars`](Self::from_vars).
    ///
    /// ```
    /// use tasktag::{Client, TaskIdSource, TaskIdSourceKind};
    ///
    /// let guard = Client::builder()
    ///     .task_id_from(TaskIdSource::detect())
    ///     .build()?;
    /// if guard.client().task_id().source() == TaskIdSourceKind::Shared {
    ///     eprintln!("more tasks than buckets: gauges of two may overwrite each other");
    /// }
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn task_id_from(mut self, source: TaskIdSource) -> Self {
        self.task_id_source = Some(source);
        self
    }

    /// The kinds of metrics that carry the task id. Defaults to [`TaskIdOn::AllKinds`]. What is
    /// [`without_task_id`](crate::MetricBuilder::without_task_id) never does. Events, service checks and
    /// [telemetry](Self::telemetry) always do.
    pub fn task_id_on(mut self, kinds: TaskIdOn) -> Self {
        self.task_id_on = kinds;
        self
    }

    /// Time between flushes, 1 ms to 1 h. Defaults to [`DEFAULT_FLUSH_INTERVAL`].
    ///
    /// The first flush comes after a random part of the interval, so that tasks that are started together don't flush
    /// together. The others follow in exact steps, as the operating system wakes the worker. A
    /// [`flush`](crate::Client::flush) by a caller comes on top and moves none of them. Steps that were missed, because
    /// the process stood still or a flush took longer, are made up for by one flush.
    ///
    /// The interval should divide the time that a server adds up over: 10 s in the Datadog Agent, in etsy's StatsD and
    /// in Telegraf. 2 s and 5 s do. With 3 s, a window gets three flushes or four, and a constant rate looks like
    /// one that changes by a third.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = Some(interval);
        self
    }

    /// Time between collections, 1 ms to 1 h: how often probes are asked, and so how finely their peaks are seen.
    /// Defaults to [`DEFAULT_COLLECT_INTERVAL`].
    pub fn collect_interval(mut self, interval: Duration) -> Self {
        self.collect_interval = Some(interval);
        self
    }

    /// Records that the channel holds between two collections, 1 to 1,048,576: events, service checks and set
    /// members. Gauges, counters and distributions do not use it. Defaults to [`DEFAULT_CHANNEL_CAPACITY`].
    pub fn channel_capacity(mut self, records: usize) -> Self {
        self.channel_capacity = Some(records);
        self
    }

    /// Contexts (a name with its tags) that the client knows at a time, 1 to 1,000,000. What comes then is folded into
    /// one overflow context a metric, which has the tag `tasktag_overflow:true` in place of its own: counters add up, distributions
    /// and sets unite, gauges show the last value, and `<name>.folded` counts how often that happened. There may be
    /// as many overflow contexts again; beyond them values are dropped as `context_limit`. A distribution takes 64 KiB a
    /// context, and up to 176 KiB if many threads record at once.
    ///
    /// A context that was only called by name is forgotten after 150 flushes without a call, or after two if there was
    /// no room for another. A gauge stays as long as there is room; [`Gauge`](crate::Gauge#how-long-a-gauge-is-sent) says which
    /// leaves first.
    ///
    /// A thread finds what it calls by name without a lock, and for that holds the contexts that it called lately, forgotten
    /// ones too, until it calls others or ends. Of distributions that is 64 a thread at most, and 2048 in all threads together:
    /// 128 MiB of tables, or up to 352 MiB if many threads recorded in each at once. They can't be taken from a thread that is silent,
    /// as that would cost each call by name a lock or an atomic exchange. Defaults to [`DEFAULT_CONTEXT_LIMIT`].
    pub fn context_limit(mut self, contexts: usize) -> Self {
        self.context_limit = Some(contexts);
        self
    }

    /// Contexts of one metric, 1 to 1,000,000: an unbounded tag overflows by itself, and leaves the other metrics their
    /// room. Families of closed tags and bounded tags have limits of their own, and are not concerned. Defaults to
    /// [`DEFAULT_METRIC_CONTEXT_LIMIT`].
    pub fn metric_context_limit(mut self, contexts: usize) -> Self {
        self.metric_context_limit = Some(contexts);
        self
    }

    /// Ends gauges that nobody set for this long, at least 1 ms, and that have no registered handle: those called by name, by
    /// the `metrics` facade or by cadence. A gauge ends at the first flush that comes this long after the one that
    /// reported its last setting. It is back when it is set again. Defaults to none: such a gauge is sent as long as there is
    /// [room](crate::Gauge#how-long-a-gauge-is-sent) for its context.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tasktag::Client;
    ///
    /// // What was not set for an hour is about something that is gone.
    /// let guard = Client::builder().idle_gauges(Duration::from_secs(3600)).build()?;
    /// guard.client().gauge("upload.rate").tag("upload", "a5f3").set(12.5);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn idle_gauges(mut self, time: Duration) -> Self {
        self.idle_gauges = Some(time);
        self
    }

    /// The longest that dropping the [`Guard`](crate::Guard) takes, and that the last flush waits for an agent's name, a
    /// connection or a slow agent. Defaults to [`DEFAULT_SHUTDOWN_TIMEOUT`].
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Whether the client reports its own counts, every 10 s, under `datadog.dogstatsd.client.` (in the StatsD
    /// dialects under `tasktag.client.`). Defaults to `true`.
    pub fn telemetry(mut self, telemetry: bool) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Calls a closure when values start to be dropped, at most once in a
    /// [`LOSS_NOTICE_INTERVAL`](crate::LOSS_NOTICE_INTERVAL) while that goes on, and when it has ended: after such an
    /// interval in which nothing was dropped and something was sent. Each agent's books have notices of their own. What was
    /// dropped between two flushes is told after the second; what is open, or dropped with the last flush, at the
    /// shutdown; what comes after it, to nobody. What is [`Unsupported`](crate::DropReason::Unsupported) is told once.
    /// Defaults to none.
    ///
    /// It is called on the thread `tasktag-probes`, with no lock held. If it does not return, it is left behind like a
    /// watched closure ([`WatchBuilder::watch`](crate::WatchBuilder::watch)). It may use the client; a
    /// [`flush`](crate::Client::flush) in it is refused as [`OnWorker`](crate::FlushError::OnWorker). One that panics is
    /// called no more, counted as [`notice_panics`](crate::Stats::notice_panics), unless the program is built with
    /// `panic = "abort"`, which ends at the first panic. It is dropped when the worker ends,
    /// unless a clone of the builder has it too; of several clients with one closure, one that finds another
    /// at it tells after its next flush. A forked child has a copy of it, as of all memory, and calls that for its own losses;
    /// one that was forked while its parent's worker was at it never does.
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
