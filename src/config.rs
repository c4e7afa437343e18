//! How a client is set up: every setting in one place, checked once.

use crate::aggregate::Aggregate;
use crate::client::{Client, Guard};
use crate::clock::{Clock, nanos};
use crate::encode::{Dialect, Encoder};
use crate::env::Environment;
use crate::error::ConfigError;
use crate::packet::Outbox;
use crate::registry::Registry;
use crate::shared::Shared;
use crate::task_id::{
    self, TASK_ID_KEY, TASK_ID_VARIABLE, TaskId, TaskIdClaim, TaskIdPool, TaskIdSource, TaskIdSourceKind,
    Variables,
};
use crate::telemetry::Telemetry;
use crate::transport::{self, Address, Transport};
use crate::worker::{Intervals, Schedule, Worker};
use std::sync::Arc;
use std::time::Duration;

/// Where the agent is when nobody says.
pub const DEFAULT_AGENT: &str = "udp://127.0.0.1:8125";
/// Time between flushes, less up to a tenth of jitter: the official Datadog clients' interval.
pub const DEFAULT_FLUSH_INTERVAL: Duration = Duration::from_secs(2);
/// Time between collections, which ask the probes and empty the channel.
pub const DEFAULT_COLLECT_INTERVAL: Duration = Duration::from_millis(250);
/// Records that the channel holds.
pub const DEFAULT_CHANNEL_CAPACITY: usize = 8192;
/// Contexts that a client knows at a time.
pub const DEFAULT_CONTEXT_LIMIT: usize = 2000;
/// The longest that dropping the [`Guard`] takes.
pub const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

const MIN_PACKET_SIZE: usize = 64;
/// What an IPv4 datagram can carry.
const MAX_PACKET_SIZE: usize = 65_507;
const MIN_INTERVAL: Duration = Duration::from_millis(1);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const MAX_CHANNEL_CAPACITY: usize = 1 << 20;
const MAX_CONTEXT_LIMIT: usize = 1_000_000;

/// Sets up a client. [`Client::builder`] gives one.
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
    agent: Option<String>,
    dialect: Dialect,
    prefix: String,
    tags: Vec<(String, String)>,
    task_id: Option<TaskId>,
    task_id_pool: Option<TaskIdPool>,
    task_id_source: Option<TaskIdSource>,
    flush_interval: Option<Duration>,
    collect_interval: Option<Duration>,
    channel_capacity: Option<usize>,
    context_limit: Option<usize>,
    max_packet_size: Option<usize>,
    shutdown_timeout: Option<Duration>,
    telemetry: Option<bool>,
    environment: Option<Environment>,
    #[cfg(feature = "testing")]
    pub(crate) memory: Option<Arc<transport::Memory>>,
    #[cfg(feature = "testing")]
    pub(crate) clock: Option<crate::testing::ManualClock>,
}

impl ClientBuilder {
    /// Where the agent is: `udp://host:port` or `unix:///path/to/socket`. The port may be left out; it is 8125 then.
    /// A name is resolved by a thread of its own, again when sends fail, and every minute.
    /// Defaults to [`DEFAULT_AGENT`].
    pub fn agent(mut self, address: impl Into<String>) -> Self {
        self.agent = Some(address.into());
        self
    }

    /// What the agent understands. Defaults to [`Dialect::DogStatsd`].
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// What every metric's name starts with; a `.` is put behind it. Events and service checks have none.
    /// Defaults to nothing.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Adds a tag to everything that is sent. Global tags come behind a context's own, in the order they were added,
    /// those of the environment first and the task id last. The key `task_id` is reserved.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Gives this client another task id than the process's. Defaults to [`TaskId::current`].
    pub fn task_id(mut self, task_id: TaskId) -> Self {
        self.task_id = Some(task_id);
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

    /// Time between flushes, 1 ms to 1 h, less up to a tenth of jitter. Defaults to [`DEFAULT_FLUSH_INTERVAL`].
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

    /// Contexts (a name with its tags) that the client knows at a time, 1 to 1,000,000. A registration beyond gets a
    /// handle that reports nothing, a call by name is dropped; both are counted. A distribution takes 64 KiB a context. A
    /// context that was only called by name is forgotten after 150 flushes without a call. Defaults to
    /// [`DEFAULT_CONTEXT_LIMIT`].
    pub fn context_limit(mut self, contexts: usize) -> Self {
        self.context_limit = Some(contexts);
        self
    }

    /// Bytes of a packet, 64 to 65,507. Defaults to 1432 for UDP and 8192 for Unix sockets (2048
    /// outside Linux, where systems take no more by default).
    pub fn max_packet_size(mut self, bytes: usize) -> Self {
        self.max_packet_size = Some(bytes);
        self
    }

    /// The longest that dropping the [`Guard`] takes. Defaults to [`DEFAULT_SHUTDOWN_TIMEOUT`].
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = Some(timeout);
        self
    }

    /// Whether the client reports its own counts, every 10 s, under `datadog.dogstatsd.client.` (in both StatsD
    /// dialects under `tasktag.client.`). Defaults to `true`.
    pub fn telemetry(mut self, telemetry: bool) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Reads the environment for what is not set here. An empty variable counts as absent.
    ///
    /// The agent's address: `DD_DOGSTATSD_URL`, else `DD_AGENT_HOST` with `DD_DOGSTATSD_PORT`, else `STATSD_HOST` with
    /// `STATSD_PORT`, else one of the ports alone on this host. Global tags: `DD_TAGS` (`key:value`, separated by commas or spaces), `DD_ENV`, `DD_SERVICE`,
    /// `DD_VERSION`, and in DogStatsD `DD_ENTITY_ID`. A tag set here goes before one of the same key.
    ///
    /// `TASKTAG_TASK_ID` is read with or without this call.
    pub fn from_env(self) -> Self {
        let vars = std::env::vars_os().filter_map(|(key, value)| {
            // What is not Unicode in a value leaves its mark, and is found unusable where it matters.
            Some((key.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        // The task id is the process's, decided once.
        self.from_vars(vars.filter(|(key, _)| key != TASK_ID_VARIABLE))
    }

    /// As [`from_env`](Self::from_env), with variables from elsewhere: a file, a secret store, a test. A
    /// `TASKTAG_TASK_ID` among them is this client's alone.
    pub fn from_vars<K: Into<String>, V: Into<String>>(
        mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment = Some(Environment::new(vars.into_iter().map(|(k, v)| (k.into(), v.into()))));
        self
    }

    /// Starts the worker.
    ///
    /// # Errors
    ///
    /// When a setting or a variable is unusable (the error names it and its value), when there is no task id to be
    /// had, or when the thread can't be started. An agent that is away is no error: it may come.
    pub fn build(self) -> Result<Guard, ConfigError> {
        self.start(false)
    }

    fn start(self, installed: bool) -> Result<Guard, ConfigError> {
        let (address, tags) = (self.address()?, self.global_tags());
        let claim = self.claimed_task_id(installed)?;
        let task_id = claim.task_id();
        let max_packet_size = self.packet_size(&address)?;
        let intervals = Intervals {
            flush: interval("flush_interval", self.flush_interval.unwrap_or(DEFAULT_FLUSH_INTERVAL))?,
            collect: interval("collect_interval", self.collect_interval.unwrap_or(DEFAULT_COLLECT_INTERVAL))?,
        };
        let capacity = self.channel_capacity.unwrap_or(DEFAULT_CHANNEL_CAPACITY);
        let contexts = self.context_limit.unwrap_or(DEFAULT_CONTEXT_LIMIT);
        let shared = Arc::new(Shared::new(
            self.make_clock(),
            within("channel_capacity", capacity, 1, MAX_CHANNEL_CAPACITY)?,
            within("context_limit", contexts, 1, MAX_CONTEXT_LIMIT)?,
        ));
        shared.ledger.shared_task_ids.add(u64::from(task_id.source() == TaskIdSourceKind::Shared));
        let mut encoder = Encoder::new(self.dialect, &self.prefix, &tags, task_id.as_str());
        let outbox = Outbox::new(max_packet_size, self.make_transport(address), Arc::clone(&shared.ledger));
        let telemetry = self
            .telemetry
            .unwrap_or(true)
            .then(|| Telemetry::new(&mut encoder, outbox.transport_name(), task_id));
        let worker = Worker {
            shared: Arc::clone(&shared),
            encoder,
            outbox,
            telemetry,
            intervals,
            schedule: Schedule::from(shared.clock.now(), intervals),
            registry: Registry::default(),
            aggregate: Aggregate::default(),
            probes: Vec::new(),
            claim,
            leased: None,
        };
        let thread = worker.spawn().map_err(|error| ConfigError::Thread(error.to_string()))?;
        #[cfg(feature = "testing")]
        if let Some(clock) = &self.clock {
            clock.drive(&shared);
        }
        let timeout = self.shutdown_timeout.unwrap_or(DEFAULT_SHUTDOWN_TIMEOUT);
        Ok(Guard::new(Client::new(shared, task_id), thread, timeout))
    }

    /// Starts the worker, and makes the client the process-wide one that the macros use. That can be done once a
    /// process, whatever becomes of the guard: in tests use [`build`](Self::build) and pass the client.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and when a client was installed before.
    pub fn install(self) -> Result<Guard, ConfigError> {
        crate::client::install(|| self.start(true))
    }

    fn address(&self) -> Result<Address, ConfigError> {
        if let Some(agent) = &self.agent {
            return Address::parse(agent).map_err(|reason| ConfigError::setting("agent", agent, reason));
        }
        let from_env = self.environment.as_ref().map_or(Ok(None), Environment::address)?;
        let default = || Address::parse(DEFAULT_AGENT);
        from_env
            .map_or_else(default, Ok)
            .map_err(|reason| ConfigError::setting("agent", DEFAULT_AGENT, reason))
    }

    /// The environment's tags, then the explicit ones; those go before the environment's of the same key.
    fn global_tags(&self) -> Vec<(String, String)> {
        let from_env = self.environment.as_ref().map(|vars| vars.tags(self.dialect)).unwrap_or_default();
        let set_here = |key: &str| self.tags.iter().any(|(set, _)| set == key);
        from_env.into_iter().filter(|(key, _)| !set_here(key)).chain(self.tags.iter().cloned()).collect()
    }

    fn claimed_task_id(&self, installed: bool) -> Result<Arc<TaskIdClaim>, ConfigError> {
        if let Some((key, value)) = self.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(TASK_ID_KEY)) {
            let reason = "the key is reserved: the task id is set with task_id() or TASKTAG_TASK_ID";
            return Err(ConfigError::setting("tag", format_args!("{key}:{value}"), reason));
        }
        let pool = self.task_id_pool.unwrap_or_default();
        let alone = |id| Ok(Arc::new(TaskIdClaim::new(id)));
        if let Some(id) = self.task_id {
            return alone(id);
        }
        if let Some(text) = self.environment.as_ref().and_then(Environment::task_id) {
            return alone(pool.parse_variable(text)?);
        }
        let variables: Variables<'_> = match &self.environment {
            Some(environment) => &|name| environment.get(name).map(ToOwned::to_owned),
            None => &task_id::from_process,
        };
        let source = self.task_id_source.as_ref();
        match source {
            // A client of its own, whatever the process decided; but the variable still goes first.
            Some(source) if !installed => match TaskId::from_variable(pool)? {
                Some(id) => alone(id),
                None => source.claim_with(pool, variables).map(Arc::new),
            },
            _ => TaskId::claim_current(source, self.task_id_pool, variables),
        }
    }

    fn packet_size(&self, address: &Address) -> Result<usize, ConfigError> {
        let size = self.max_packet_size.unwrap_or_else(|| address.max_packet_size());
        within("max_packet_size", size, MIN_PACKET_SIZE, MAX_PACKET_SIZE)
    }

    #[cfg(not(feature = "testing"))]
    #[allow(clippy::unused_self, reason = "its twin below uses it")]
    fn make_clock(&self) -> Clock {
        Clock::monotonic()
    }

    #[cfg(feature = "testing")]
    fn make_clock(&self) -> Clock {
        self.clock.clone().map_or_else(Clock::monotonic, Clock::Manual)
    }

    #[cfg(not(feature = "testing"))]
    #[allow(clippy::unused_self, reason = "its twin below uses it")]
    fn make_transport(&self, address: Address) -> Box<dyn Transport> {
        transport::connect(address)
    }

    #[cfg(feature = "testing")]
    fn make_transport(&self, address: Address) -> Box<dyn Transport> {
        match &self.memory {
            Some(memory) => Box::new(transport::MemoryTransport(Arc::clone(memory))),
            None => transport::connect(address),
        }
    }
}

fn within(setting: &'static str, value: usize, min: usize, max: usize) -> Result<usize, ConfigError> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::setting(setting, value, format_args!("it must be from {min} to {max}")))
    }
}

fn interval(setting: &'static str, value: Duration) -> Result<u64, ConfigError> {
    if (MIN_INTERVAL..=MAX_INTERVAL).contains(&value) {
        Ok(nanos(value))
    } else {
        let reason = format_args!("it must be from {MIN_INTERVAL:?} to {MAX_INTERVAL:?}");
        Err(ConfigError::setting(setting, format_args!("{value:?}"), reason))
    }
}
