//! From settings to a running client: everything is checked before anything is started.

mod spelling;

use super::serverless;
use super::{
    ClientBuilder, DEFAULT_AGENT, DEFAULT_CHANNEL_CAPACITY, DEFAULT_COLLECT_INTERVAL, DEFAULT_CONTEXT_LIMIT,
    DEFAULT_FLUSH_INTERVAL, DEFAULT_METRIC_CONTEXT_LIMIT, DEFAULT_SHUTDOWN_TIMEOUT,
};
use crate::agent::Agent;
use crate::aggregate::Aggregate;
use crate::client::{Client, Guard};
use crate::clock::{Clock, nanos};
use crate::encode::{Dialect, Encoder, Globals};
use crate::env::{self, Environment};
use crate::error::ConfigError;
use crate::fork;
use crate::index::Limits;
use crate::keeper::IdleGauges;
use crate::ledger::Ledger;
use crate::notice::Notices;
use crate::origin::Origin;
use crate::packet::{Outbox, Sender};
use crate::registry::Registry;
use crate::route::Route;
use crate::shared::Shared;
use crate::task_id::{self, TASK_ID_KEY, TaskId, TaskIdClaim, TaskIdOn, Variables};
use crate::telemetry::{Taken, Telemetry};
use crate::transport::{self, Address, SharedWriter, Transport, WriterTransport};
use crate::worker::{Intervals, Schedule, Worker, WorkerThread, random_phase};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Agents that a client sends to beside the main one.
const MAX_OTHERS: usize = 3;
const MIN_INTERVAL: Duration = Duration::from_millis(1);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);
const MAX_CHANNEL_CAPACITY: usize = 1 << 20;
const MAX_CONTEXT_LIMIT: usize = 1_000_000;

/// With the `_` behind a user's own tag of that key, what a key may have.
const MAX_TASK_ID_KEY: usize = 99;

/// Names are cut after 200 bytes, and what is cut must be neither the task id nor all of a metric's own name.
const MAX_PREFIX: usize = 150;
const MAX_PREFIX_BEFORE_TASK_ID: usize = 100;

impl ClientBuilder {
    /// Starts the worker.
    ///
    /// # Errors
    ///
    /// When a setting or a variable is unusable (the error names it and its value), when there is no task id to be
    /// had, or when the thread can't be started. An agent that is away is no error: it may come.
    pub fn build(mut self) -> Result<Guard, ConfigError> {
        fork::after_fork();
        // Before anything is made that a child could find half-made.
        fork::expect_forks();
        let timeout = self.shutdown_timeout.unwrap_or(DEFAULT_SHUTDOWN_TIMEOUT);
        let limits = self.check()?;
        let thread = WorkerThread::start().map_err(|error| ConfigError::Thread(error.to_string()))?;
        // The last that can fail: no id is decided, and no lease held, by what is refused.
        let claim = self.claimed_task_id(None)?;
        let spelling = self.spelling(claim.known_task_id())?;
        // The worker is the one to keep it.
        let writer = self.writer.as_mut().map(SharedWriter::release);
        let shared = Arc::new(Shared::new(self.make_clock(), limits, spelling, &claim, self));
        shared.note_sharing(&claim);
        let worker = shared.settings().worker(&shared, claim, Registry::default())?;
        drop(writer);
        shared.post().employ(thread.hand(Box::new(worker)));
        fork::expect(&shared);
        #[cfg(feature = "testing")]
        if let Some(clock) = &shared.settings().clock {
            clock.drive(&shared);
        }
        Ok(Guard::new(Client::new(shared), timeout))
    }

    /// Whether the settings can be used. Nothing is taken, decided or started.
    fn check(&self) -> Result<Limits, ConfigError> {
        within("channel_capacity", self.records(), 1, MAX_CHANNEL_CAPACITY)?;
        within("also", self.others.len(), 0, MAX_OTHERS)?;
        self.check_tags()?;
        self.intervals()?;
        self.checked_idle_gauges()?;
        let address = self.address()?;
        let main = self.main_agent(&address);
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

    /// The worker of a client, in its process or in a child forked from it.
    pub(crate) fn worker(
        &self,
        shared: &Arc<Shared>,
        claim: Arc<TaskIdClaim>,
        registry: Registry,
    ) -> Result<Worker, ConfigError> {
        let address = self.address()?;
        let agent = self.main_agent(&address);
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
            idle_gauges,
            registry,
            aggregate: Aggregate::default(),
            probes: Vec::new(),
            losses: claim.identity().losses(),
            claim,
            task_id,
            leased: None,
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

    pub(crate) fn kinds_with_task_id(&self) -> TaskIdOn {
        self.task_id_on
    }

    /// Whether the main agent gets distributions as summaries.
    pub(crate) fn sends_summaries(&self) -> bool {
        self.agent.sends_summaries()
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

    /// What the channel holds.
    pub(crate) fn records(&self) -> usize {
        self.channel_capacity.unwrap_or(DEFAULT_CHANNEL_CAPACITY)
    }

    /// The agents beside the main one.
    pub(crate) fn other_agents(&self) -> impl Iterator<Item = &Agent> {
        self.others.iter()
    }

    /// The main agent's route, then those of the others.
    fn routes(
        &self,
        main: &Agent,
        address: &Address,
        origin: &Origin,
        shared: &Shared,
        task_id: TaskId,
    ) -> Result<Vec<Route>, ConfigError> {
        let sender = || Sender { identity: shared.post().identity.clone(), task_id };
        main.check_address(address)?;
        let (max_packet_size, texts) = (main.packet_size(address)?, address.text_packet_size());
        let transport = self.make_transport(address.clone());
        let outbox = Outbox::new(max_packet_size, transport, Arc::clone(&shared.ledger), sender());
        let mut outbox = outbox.with_texts_of(texts);
        if self.sends_to_address() {
            outbox = outbox.at(address);
        }
        let mut routes = vec![self.route(main, outbox, task_id, origin, &shared.ledger)?];
        for (agent, ledger) in self.others.iter().zip(&shared.other_ledgers) {
            let address = Self::address_of(agent)?;
            agent.check_address(&address)?;
            let (max_packet_size, texts) = (agent.packet_size(&address)?, address.text_packet_size());
            let transport = transport::connect(address.clone());
            let outbox = Outbox::new(max_packet_size, transport, Arc::clone(ledger), sender());
            let outbox = outbox.with_texts_of(texts).at(&address);
            routes.push(self.route(agent, outbox, task_id, origin, ledger)?);
        }
        Ok(routes)
    }

    fn route(
        &self,
        agent: &Agent,
        outbox: Outbox,
        task_id: TaskId,
        origin: &Origin,
        ledger: &Arc<Ledger>,
    ) -> Result<Route, ConfigError> {
        let (tags, format) = (self.global_tags(agent), agent.format()?);
        self.check_prefix(format.task_id_in_names)?;
        let globals = Globals {
            prefix: &self.prefix,
            tags: &tags,
            task_id_key: self.reserved_key(),
            task_id: task_id.as_str(),
            task_id_on: self.task_id_on,
            origin,
        };
        let mut encoder = Encoder::new(format, globals);
        let telemetry = self
            .telemetry
            .unwrap_or(true)
            .then(|| Telemetry::new(&mut encoder, outbox.transport_name(), task_id));
        Ok(Route { encoder, outbox, telemetry, taken: Taken::default(), ledger: Arc::clone(ledger) })
    }

    /// A name is cut at its end: a prefix that leaves no room would make one name of all.
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

    /// Starts the worker, and makes the client the process-wide one that the macros use. That can be done once a
    /// process, whatever becomes of the guard: in tests use [`build`](Self::build) and pass the client.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and when a client was installed before.
    pub fn install(mut self) -> Result<Guard, ConfigError> {
        self.installed = true;
        crate::client::install(|| self.build())
    }

    fn address(&self) -> Result<Address, ConfigError> {
        if self.writer.is_some() {
            return Ok(Address::Stdout);
        }
        if let Some(agent) = &self.agent.address {
            return Address::parse(agent).map_err(|reason| ConfigError::setting("agent", agent, reason));
        }
        if let Some(environment) = &self.environment {
            let socket =
                || self.files_root().filter(|_| self.agent.is_dogstatsd()).and_then(env::agent_socket);
            if let Some(address) = environment.address()?.or_else(socket) {
                return Ok(address);
            }
        }
        Address::parse(DEFAULT_AGENT).map_err(|reason| ConfigError::setting("agent", DEFAULT_AGENT, reason))
    }

    /// The address of an agent beside the main one.
    fn address_of(agent: &Agent) -> Result<Address, ConfigError> {
        let text = agent.address.as_deref().unwrap_or(DEFAULT_AGENT);
        Address::parse(text).map_err(|reason| ConfigError::setting("also", text, reason))
    }

    /// The environment's tags, then the explicit ones; those go before the environment's of the same key.
    fn global_tags(&self, agent: &Agent) -> Vec<(String, String)> {
        let from_env =
            self.environment.as_ref().map(|vars| vars.tags(agent.is_dogstatsd())).unwrap_or_default();
        let set_here = |key: &str| self.tags.iter().any(|(set, _)| set == key);
        from_env.into_iter().filter(|(key, _)| !set_here(key)).chain(self.tags.iter().cloned()).collect()
    }

    /// The key of the tag that carries the task id.
    fn reserved_key(&self) -> &str {
        self.task_id_key.as_deref().unwrap_or(TASK_ID_KEY)
    }

    fn check_tags(&self) -> Result<(), ConfigError> {
        let reserved = self.reserved_key();
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'/');
        let starts_well = reserved.starts_with(|first: char| first.is_ascii_lowercase());
        if !starts_well || reserved.len() > MAX_TASK_ID_KEY || !reserved.bytes().all(is_plain) {
            let reason =
                format_args!("it must be 1 to {MAX_TASK_ID_KEY} of a-z 0-9 _ - . / and start with a letter");
            return Err(ConfigError::setting("task_id_key", reserved, reason));
        }
        if let Some((key, value)) = self.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(reserved)) {
            let reason = "the key is reserved: the task id is set with task_id() or TASKTAG_TASK_ID";
            return Err(ConfigError::setting("tag", format_args!("{key}:{value}"), reason));
        }
        Ok(())
    }

    /// The task id of a forked child's client. What could be had in the parent may be out of reach here: a directory that is
    /// gone, or that the child gave up its right to write in. It shares a bucket then.
    pub(crate) fn childs_task_id(&self, parents: TaskId) -> Arc<TaskIdClaim> {
        self.claimed_task_id(Some(parents)).unwrap_or_else(|_| {
            if self.task_id_source.is_some() && !self.installed {
                Arc::new(TaskIdClaim::shared(self.task_id_pool.unwrap_or_default()))
            } else {
                TaskId::claim_stand_in()
            }
        })
    }

    /// The task id of a client, and what keeps it; in a forked child, given its parent's.
    fn claimed_task_id(&self, parents: Option<TaskId>) -> Result<Arc<TaskIdClaim>, ConfigError> {
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
            Some(source) if !self.installed => match TaskId::from_variable(pool)? {
                Some(id) => alone(id),
                None => source.claim_with(pool, variables, parents).map(Arc::new),
            },
            _ => TaskId::claim_current(source, self.task_id_pool, variables),
        }
    }

    /// The main agent, with the dialect that the environment knows of if none is set.
    fn main_agent(&self, address: &Address) -> Agent {
        let serverless = |environment| serverless::is_behind(address, environment, self.files_root());
        let agent = self.agent.clone();
        if self.environment.as_ref().is_some_and(serverless) {
            agent.presume(Dialect::DatadogServerless)
        } else {
            agent
        }
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
        // What a program's tests capture is the same on every machine.
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

    /// Whether there is neither a writer nor a capture in the agent's place.
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

    /// When the first flush comes: in a program's tests always after a whole interval.
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

#[cfg(test)]
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
