//! Makes a running client from its settings. Everything is checked before anything is started.

mod routes;
mod spelling;
mod task_id;
mod workforce;

use super::serverless;
use super::{
    ClientBuilder, DEFAULT_AGENT, DEFAULT_CHANNEL_CAPACITY, DEFAULT_COLLECT_INTERVAL, DEFAULT_CONTEXT_LIMIT,
    DEFAULT_FLUSH_INTERVAL, DEFAULT_METRIC_CONTEXT_LIMIT, DEFAULT_SHUTDOWN_TIMEOUT,
};
use crate::api::client::{Client, Guard};
use crate::callback::notice::Notices;
use crate::context::handle_cache::IdleGauges;
use crate::context::index::Limits;
use crate::mailbox::shared::{SeriesRules, Shared, Sizes};
use crate::mailbox::workforce::Workforce;
#[cfg(feature = "testing")]
use crate::process::clock::Driven;
use crate::process::clock::{Clock, nanos};
use crate::process::fork::{self, Resident};
use crate::setup::agent::Agent;
use crate::setup::env::{self, Environment};
use crate::task_id::TaskIdClaim;
use crate::vocabulary::error::ConfigError;
use crate::wire::encode::{Dialect, Spelling};
use crate::wire::origin::Origin;
use crate::wire::transport::{self, Address, SharedWriter, Transport, WriterTransport};
use crate::worker::aggregate::Aggregate;
use crate::worker::registry::Registry;
use crate::worker::{Intervals, Schedule, Worker, WorkerThread, random_phase};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The maximum number of agents besides the main one.
const MAX_OTHERS: usize = 3;
const MIN_INTERVAL: Duration = Duration::from_millis(1);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const MAX_CHANNEL_CAPACITY: usize = 1 << 20;
const MAX_CONTEXT_LIMIT: usize = 1_000_000;

/// Names are cut after 200 bytes. The cut must not remove the task id, or all of a metric's own name.
const MAX_PREFIX: usize = 150;
const MAX_PREFIX_BEFORE_TASK_ID: usize = 100;

impl Client {
    /// Returns a builder for a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

impl ClientBuilder {
    /// Starts the worker and returns the guard of the client.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting or a variable is unusable, if no task id can be obtained, or if the thread can't
    /// be started. The error names the setting or variable and its value. An unreachable agent is not an error, because
    /// it may become reachable later.
    pub fn build(mut self) -> Result<Guard, ConfigError> {
        fork::after_fork();
        // This comes before anything is made that a child could find incomplete.
        crate::setup::expect_forks();
        let timeout = self.shutdown_timeout.unwrap_or(DEFAULT_SHUTDOWN_TIMEOUT);
        let limits = self.check()?;
        if self.is_disabled()? {
            return Ok(Guard::new(Client::disabled(), timeout));
        }
        let thread = WorkerThread::start().map_err(|error| ConfigError::Thread(error.to_string()))?;
        // This is the last step that can fail, so a refused client decides no id and holds no lease.
        let claim = self.claimed_task_id(None)?;
        let spelling = self.spelling(claim.known_task_id())?;
        // From here on, only the worker keeps the writer.
        let writer = self.writer.as_mut().map(SharedWriter::release);
        let settings = Arc::new(self);
        let shared = settings.shared(limits, spelling, &claim);
        shared.note_sharing(&claim);
        let worker = settings.worker(&shared, claim, Registry::default())?;
        drop(writer);
        shared.post().employ(thread.hand(Box::new(worker)));
        fork::expect(Arc::downgrade(&shared) as Weak<dyn Resident>);
        #[cfg(feature = "testing")]
        if let Some(clock) = &settings.clock {
            clock.drive(Arc::downgrade(&shared) as Weak<dyn Driven>);
        }
        Ok(Guard::new(Client::new(shared), timeout))
    }

    fn shared(self: &Arc<Self>, limits: Limits, spelling: Spelling, claim: &Arc<TaskIdClaim>) -> Arc<Shared> {
        let sizes = Sizes { agents: 1 + self.others.len(), channel_capacity: self.records() };
        let series =
            SeriesRules { task_id_on: self.task_id_on, sends_summaries: self.agent.sends_summaries() };
        let workforce = Arc::clone(self) as Arc<dyn Workforce<Shared>>;
        Arc::new(Shared::new(self.make_clock(), limits, spelling, claim, sizes, series, workforce))
    }

    /// Checks whether the settings can be used. It claims, decides and starts nothing.
    fn check(&self) -> Result<Limits, ConfigError> {
        within("channel_capacity", self.records(), 1, MAX_CHANNEL_CAPACITY)?;
        within("also", self.others.len(), 0, MAX_OTHERS)?;
        self.check_tags()?;
        self.intervals()?;
        self.checked_idle_gauges()?;
        let address = self.address()?;
        let main = self.main_agent(&address)?;
        self.resolved_origin(&main)?;
        self.check_agent(&main, &address)?;
        for agent in &self.others {
            self.check_agent(agent, &Self::address_of(agent)?)?;
        }
        self.limits()
    }

    fn check_agent(&self, agent: &Agent, address: &Address) -> Result<(), ConfigError> {
        agent.check_address(address)?;
        agent.packet_size(address)?;
        self.check_prefix(agent.format()?.task_id_in_names)
    }

    fn intervals(&self) -> Result<Intervals, ConfigError> {
        Ok(Intervals {
            flush: interval("flush_interval", self.flush_interval.unwrap_or(DEFAULT_FLUSH_INTERVAL))?,
            collect: interval("collect_interval", self.collect_interval.unwrap_or(DEFAULT_COLLECT_INTERVAL))?,
        })
    }

    /// Makes the worker of a client, in its own process or in a child forked from it.
    fn worker(
        &self,
        shared: &Arc<Shared>,
        claim: Arc<TaskIdClaim>,
        registry: Registry,
    ) -> Result<Worker, ConfigError> {
        let address = self.address()?;
        let agent = self.main_agent(&address)?;
        let origin = self.resolved_origin(&agent)?;
        let intervals = self.intervals()?;
        let idle_gauges = self.checked_idle_gauges()?;
        let task_id = claim.known_task_id();
        let routes = self.routes(&agent, &address, &origin, shared, task_id)?;
        let notices = self.on_loss.clone().map(|listener| Notices::new(listener, routes.len()));
        claim.employ();
        shared.post().probes.begin(intervals.collect, notices);
        Ok(Worker {
            shared: Arc::clone(shared),
            post: shared.share_post(),
            generation: fork::generation(),
            routes,
            schedule: Schedule::from(shared.clock.now(), intervals, self.phase(intervals.flush)),
            found_nothing: false,
            idle_gauges,
            registry,
            aggregate: Aggregate::default(),
            probes: Vec::new(),
            losses: claim.identity().losses(),
            claim,
            task_id,
        })
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        let client = self.context_limit.unwrap_or(DEFAULT_CONTEXT_LIMIT);
        let metric = self.metric_context_limit.unwrap_or(DEFAULT_METRIC_CONTEXT_LIMIT);
        Ok(Limits {
            client: within("context_limit", client, 1, MAX_CONTEXT_LIMIT)?,
            metric: within("metric_context_limit", metric, 1, MAX_CONTEXT_LIMIT)?,
        })
    }

    fn checked_idle_gauges(&self) -> Result<IdleGauges, ConfigError> {
        match self.idle_gauges {
            Some(time) if time < MIN_INTERVAL => {
                let reason = format_args!("it must be at least {MIN_INTERVAL:?}");
                Err(ConfigError::setting("idle_gauges", format_args!("{time:?}"), reason))
            }
            time => Ok(IdleGauges(time.map(nanos))),
        }
    }

    /// Returns the capacity of the channel.
    fn records(&self) -> usize {
        self.channel_capacity.unwrap_or(DEFAULT_CHANNEL_CAPACITY)
    }

    /// Checks the length of the prefix. A name is cut at its end, so a prefix that leaves no room would make all names
    /// the same.
    fn check_prefix(&self, is_before_task_id: bool) -> Result<(), ConfigError> {
        let (most, place) = if is_before_task_id {
            (MAX_PREFIX_BEFORE_TASK_ID, "before a task id ")
        } else {
            (MAX_PREFIX, "")
        };
        if self.prefix.len() <= most {
            return Ok(());
        }
        let reason = format!("{place}it must have up to {most} bytes");
        Err(ConfigError::setting("prefix", &self.prefix, reason))
    }

    /// Starts the worker, and installs the client as the process-wide one that the macros use. In tests, use
    /// [`build`](Self::build) and pass the client, or let the macros use it with
    /// [`with_local_client`](crate::with_local_client).
    ///
    /// Once the guard of an installed client was dropped or [shut down](crate::Guard::shutdown), another client may be
    /// installed, with another address or other settings. The macros then use that client. Handles and clones of the
    /// earlier client stay with it, and report nothing.
    ///
    /// The task id that was decided with the first client remains that of the process. A lease in Redis is released
    /// when the last client ends, and is not acquired again. Later clients share a bucket, and count that. If
    /// [`TaskId::decide`](crate::TaskId::decide) was called before, it keeps the lease.
    ///
    /// Call sites of macros keep handles of the first installed client, so its memory is kept until the process exits.
    /// Of any number of later clients, only the last one is kept, and each thread keeps the one that it used last. A
    /// macro calls a later client by name, which costs a few times as much.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`build`](Self::build), and an error if an installed client has not ended.
    pub fn install(mut self) -> Result<Guard, ConfigError> {
        self.installed = true;
        crate::api::installed::install(|| self.build())
    }

    /// Returns the agent's address as it was set or found. The command `tasktag` shows it.
    #[doc(hidden)]
    pub fn agent_address(&self) -> Result<String, ConfigError> {
        self.address().map(|address| address.to_string())
    }

    fn address(&self) -> Result<Address, ConfigError> {
        if self.writer.is_some() {
            return Ok(Address::Stdout);
        }
        if let Some(agent) = &self.agent.address {
            return Address::parse(agent).map_err(|reason| ConfigError::setting("agent", agent, reason));
        }
        if let Some(environment) = &self.environment {
            let is_dogstatsd = self.told_agent()?.is_dogstatsd();
            let socket = || self.files_root().filter(|_| is_dogstatsd).and_then(env::agent_socket);
            if let Some(address) = environment.address()?.or_else(socket) {
                return Ok(address);
            }
        }
        Address::parse(DEFAULT_AGENT).map_err(|reason| ConfigError::setting("agent", DEFAULT_AGENT, reason))
    }

    /// Returns the address of an agent other than the main one.
    fn address_of(agent: &Agent) -> Result<Address, ConfigError> {
        let text = agent.address.as_deref().unwrap_or(DEFAULT_AGENT);
        Address::parse(text).map_err(|reason| ConfigError::setting("also", text, reason))
    }

    /// Returns the tags of the environment, and then those set in code, which take precedence over the environment's
    /// tags with the same key.
    fn global_tags(&self, agent: &Agent) -> Vec<(String, String)> {
        let from_env =
            self.environment.as_ref().map(|vars| vars.tags(agent.is_dogstatsd())).unwrap_or_default();
        let set_here = |key: &str| self.tags.iter().any(|(set, _)| set == key);
        from_env.into_iter().filter(|(key, _)| !set_here(key)).chain(self.tags.iter().cloned()).collect()
    }

    /// Returns whether the client does nothing.
    fn is_disabled(&self) -> Result<bool, ConfigError> {
        if self.sends_to_address() && self.address()? == Address::Null {
            return Ok(true);
        }
        match (self.disabled, &self.environment) {
            (Some(disabled), _) => Ok(disabled),
            (None, Some(environment)) => environment.is_disabled(),
            (None, None) => Ok(false),
        }
    }

    /// Returns the main agent. If no dialect is set, it has the one that the environment names.
    fn told_agent(&self) -> Result<Agent, ConfigError> {
        let agent = self.agent.clone();
        let named = self.environment.as_ref().map(Environment::dialect).transpose()?.flatten();
        Ok(named.into_iter().fold(agent, Agent::presume))
    }

    /// Returns the main agent. If no dialect is set or named, it has the one that is detected in the environment.
    fn main_agent(&self, address: &Address) -> Result<Agent, ConfigError> {
        let serverless = |environment| serverless::is_behind(address, environment, self.files_root());
        let agent = self.told_agent()?;
        Ok(if self.environment.as_ref().is_some_and(serverless) {
            agent.presume(Dialect::DatadogServerless)
        } else {
            agent
        })
    }

    fn resolved_origin(&self, main: &Agent) -> Result<Origin, ConfigError> {
        if main.is_dogstatsd() || self.others.iter().any(Agent::is_dogstatsd) {
            self.origin.resolve(self.environment.as_ref(), self.files_root())
        } else {
            Ok(Origin::none())
        }
    }

    #[cfg(not(feature = "testing"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "its twin below uses it")]
    fn files_root(&self) -> Option<&Path> {
        Some(Path::new("/"))
    }

    #[cfg(feature = "testing")]
    fn files_root(&self) -> Option<&Path> {
        // A capture must be the same on every machine.
        let default = self.memory.is_none().then_some(Path::new("/"));
        self.system_root.as_deref().or(default)
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

    /// Returns whether the agent is replaced by neither a writer nor a capture.
    fn sends_to_address(&self) -> bool {
        #[cfg(feature = "testing")]
        if self.memory.is_some() {
            return false;
        }
        self.writer.is_none()
    }

    #[cfg(not(feature = "testing"))]
    #[allow(clippy::unused_self, reason = "its twin below uses it")]
    fn phase(&self, interval: u64) -> u64 {
        random_phase(interval)
    }

    /// Returns the time until the first flush. In a program's tests it is always a whole interval.
    #[cfg(feature = "testing")]
    fn phase(&self, interval: u64) -> u64 {
        if self.memory.is_some() || self.clock.is_some() { interval } else { random_phase(interval) }
    }

    #[cfg(not(feature = "testing"))]
    fn make_transport(&self, address: Address) -> Box<dyn Transport> {
        self.connect(address)
    }

    #[cfg(feature = "testing")]
    fn make_transport(&self, address: Address) -> Box<dyn Transport> {
        match &self.memory {
            Some(memory) => Box::new(transport::MemoryTransport::new(Arc::clone(memory))),
            None => self.connect(address),
        }
    }

    fn connect(&self, address: Address) -> Box<dyn Transport> {
        match &self.writer {
            Some(writer) => Box::new(WriterTransport::new(writer)),
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

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::Capture;

    #[test]
    fn a_client_reads_its_own_systems_files_but_with_a_capture_none() {
        assert_eq!(Client::builder().files_root(), Some(Path::new("/")));
        let captured = Client::builder().capture(&Capture::new());
        assert_eq!(captured.files_root(), None);
        assert_eq!(captured.system_root("elsewhere").files_root(), Some(Path::new("elsewhere")));
    }
}
