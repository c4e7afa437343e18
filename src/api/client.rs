//! The handle to a client, and the guard that shuts it down.

use crate::api::disabled::disabled;
use crate::ledger::Stats;
use crate::mailbox::record::Record;
use crate::mailbox::shared::Shared;
use crate::process::fork;
use crate::task_id::TaskId;
use crate::vocabulary::error::FlushError;
use crate::vocabulary::event::{Event, ServiceCheck, Status};
use std::sync::Arc;
use std::time::Duration;

/// Sends metrics, events and service checks. A clone is cheap, and dropping one has no effect.
///
/// [`Client::builder`] sets up a client. [`Client::disabled`] returns one that does nothing.
///
/// Metrics are registered once and used through handles, or called by name with tags known at run time; see
/// [`MetricBuilder`](crate::MetricBuilder). No method but [`flush`](Self::flush) waits for the agent or returns an
/// error. [`stats`](Self::stats) reports what was lost.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// Returns a client that does nothing, for a test, a tool or a library that requires a client and should report
    /// nothing.
    ///
    /// It has no thread and no socket, and decides no task id. Its own task id is `0000`, which no process has. All
    /// methods work. Values are dropped and not counted, so its [`stats`](Self::stats) are those of an unused client. A
    /// closure that it should watch is never called, and is dropped at once. `flush` returns `Ok`. All disabled clients
    /// are the same one.
    ///
    /// A program that may be switched off needs a guard in either case.
    /// [`ClientBuilder::disabled`](crate::ClientBuilder::disabled) provides one.
    ///
    /// ```
    /// use tasktag::Client;
    ///
    /// let client = Client::disabled();
    /// client.counter("jobs.done").increment(1);
    /// assert!(client.is_disabled());
    /// assert_eq!(client.stats().accepted.values, 0);
    /// ```
    #[must_use]
    pub fn disabled() -> Self {
        Self { shared: Arc::clone(&disabled().shared) }
    }

    /// Returns whether this client does [nothing](Self::disabled).
    #[must_use]
    #[inline]
    pub fn is_disabled(&self) -> bool {
        self.shared.is_disabled
    }

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the task id that this client tags its metrics with. It is `0000` for a [disabled](Self::disabled)
    /// client.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// // What the graphs call this process, for its log.
    /// println!("metrics of this process have {}", client.task_id().tag());
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        fork::check();
        self.shared.task_id()
    }

    /// Returns how many live tasks have an id of this client's pool, as it was known up to 10 s ago: its own, and those
    /// of others that lease from the same directory or the same key. It is `None` if the id is not
    /// [leased](crate::TaskIdSource::leased), until the client's first collection, and while Redis does not answer.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// assert_eq!(guard.client().live_tasks(), None, "its id is random");
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn live_tasks(&self) -> Option<u32> {
        fork::check();
        self.shared.post().leased()
    }

    /// Sends an event with a title and a text. Use [`send_event`](Self::send_event) for one with more fields.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// client.event("deploy", "version 1.4.2 serves");
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn event(&self, title: &str, text: &str) {
        if !self.is_disabled() {
            self.send_event(Event::of(title, text));
        }
    }

    /// Sends an event. The global tags are added to its own.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::{AlertType, Event};
    ///
    /// let full = Event::new("disk full", "the spool takes no more jobs").alert_type(AlertType::Error);
    /// client.send_event(full.tag("disk", "spool"));
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn send_event(&self, mut event: Event) {
        event.bound();
        self.shared.offer(Record::Event(Box::new(event)));
    }

    /// Sends a service check with a name and a status. Use [`send_service_check`](Self::send_service_check) for one
    /// with more fields.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::Status;
    ///
    /// client.service_check("shop.database", Status::Ok);
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn service_check(&self, name: &str, status: Status) {
        if !self.is_disabled() {
            self.send_service_check(ServiceCheck::new(name, status));
        }
    }

    /// Sends a service check. The global tags are added to its own.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::{ServiceCheck, Status};
    ///
    /// let check = ServiceCheck::new("shop.database", Status::Warning).message("the replica is 40 s behind");
    /// client.send_service_check(check.tag("db", "replica"));
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn send_service_check(&self, mut check: ServiceCheck) {
        check.bound();
        self.shared.offer(Record::ServiceCheck(Box::new(check)));
    }

    /// Makes the worker collect and send everything, and waits until it is done, for at most `timeout`. It blocks the
    /// thread: asynchronous code calls it on a thread for blocking calls.
    ///
    /// The worker waits for the agent as long as the caller does: for name resolution, for a connection, and for room
    /// for a packet. Without a caller it waits for at most 200 ms. If several callers wait, the longest timeout applies
    /// to the worker, and each caller waits for its own.
    ///
    /// `Ok` means that nothing was lost for lack of time: the system accepted everything, or refused it, for example
    /// because nobody listens. A refusal is not an error here. [`stats`](Self::stats) counts what was refused, with the
    /// reason in [`last_error`](Stats::last_error).
    ///
    /// # Errors
    ///
    /// Returns [`TimedOut`](FlushError::TimedOut) if the timeout expires before everything was handed to the system.
    /// What the agent did not take by then is dropped, and counted as [`Transport`](crate::DropReason::Transport).
    /// Returns [`Stopped`](FlushError::Stopped) if the client was shut down, and [`OnWorker`](FlushError::OnWorker) if
    /// one of the client's own threads calls it.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use std::time::Duration;
    ///
    /// // A process that is frozen between two requests sends what it has before it answers.
    /// client.counter("requests").increment(1);
    /// if let Err(error) = client.flush(Duration::from_millis(500)) {
    ///     eprintln!("metrics: {error}");
    /// }
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        if self.is_disabled() {
            return Ok(());
        }
        if fork::check() || !self.shared.has_worker(false) {
            return Err(FlushError::Stopped);
        }
        self.shared.post().flush(timeout)
    }

    /// Returns the amounts accepted, sent and dropped so far.
    ///
    /// ```
    /// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
    /// # let client = guard.client();
    /// use tasktag::DropReason;
    ///
    /// let stats = client.stats();
    /// if stats.dropped(DropReason::Transport).values > 0 {
    ///     eprintln!("the agent did not take everything: {:?}", stats.last_error);
    /// }
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Returns the statistics of one of several agents. Index 0 is the main agent, and those of
    /// [`also`](crate::ClientBuilder::also) follow in their order. It returns `None` if there is no such agent. What
    /// was lost before it was on its way to any agent, for example in a full channel, is counted for the main agent
    /// only.
    ///
    /// ```
    /// use tasktag::{Agent, Client};
    ///
    /// let guard = Client::builder()
    ///     .agent("udp://127.0.0.1:8125")
    ///     .also(Agent::at("udp://127.0.0.1:9125"))
    ///     .build()?;
    /// let (old, new) = (guard.client().stats_of(0), guard.client().stats_of(1));
    /// assert!(old.is_some() && new.is_some());
    /// assert_eq!(guard.client().stats_of(2), None, "there are two agents");
    /// # Ok::<(), tasktag::ConfigError>(())
    /// ```
    #[must_use]
    pub fn stats_of(&self, agent: usize) -> Option<Stats> {
        self.shared.stats_of(agent)
    }
}

/// Owns the worker. Dropping the guard flushes and stops the worker, within the
/// [shutdown timeout](crate::ClientBuilder::shutdown_timeout). Clones of the [`Client`] still work after that, and
/// report nothing.
///
/// Keep the guard in `main`, or wherever the program ends by returning or panicking. It is not dropped by
/// `std::process::exit`, by an abort, or by a signal that nobody handles, such as `SIGTERM` at the end of a container.
/// A `static` is never dropped either. What came since the last flush is then lost, and nobody is left to count it.
/// Call [`shutdown`](Self::shutdown) before.
///
/// In an asynchronous program, keep the guard outside the runtime, because dropping it blocks the thread. Handle
/// `SIGTERM` in the future that the runtime runs, for example with `tokio::signal` and the graceful shutdown of axum.
///
/// ```no_run
/// use std::time::Duration;
/// use tasktag::Client;
///
/// # async fn serve(client: Client) {}
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let guard = Client::builder().prefix("shop").from_env().install()?;
///     let runtime = tokio::runtime::Runtime::new()?;
///     // `serve` returns after a SIGTERM, when the last request was answered.
///     runtime.block_on(serve(guard.client().clone()));
///     guard.shutdown(Duration::from_secs(3))?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "the client stops when this is dropped: `let guard`, not `let _`"]
pub struct Guard {
    client: Client,
    timeout: Duration,
    stopped: bool,
    // A callback for the end of the worker.
    when_ended: Option<fn()>,
}

impl Guard {
    pub(crate) fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout, stopped: false, when_ended: None }
    }

    /// Calls `act` once the worker has ended or was abandoned.
    pub(crate) fn when_ended(self, act: fn()) -> Self {
        let mut guard = self;
        guard.when_ended = Some(act);
        guard
    }

    /// Returns the client, which may be cloned freely.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends everything and stops the worker. It does the same as dropping the guard, with an explicit timeout and a
    /// result. It waits for the agent as [`Client::flush`] does. The client's [stats](Client::stats) count what the
    /// agent did not take.
    ///
    /// It does not wait for the destructors of other crates' thread-locals on the worker's thread. They run when the
    /// thread ends.
    ///
    /// # Errors
    ///
    /// Returns [`TimedOut`](FlushError::TimedOut) if the shutdown takes longer than `timeout`, because a watched
    /// closure or the agent does not respond. If it is a watched closure, its thread is abandoned and ends when it can.
    /// If it is the agent, what it did not take is dropped and counted.
    pub fn shutdown(mut self, timeout: Duration) -> Result<(), FlushError> {
        self.stop(timeout)
    }

    fn stop(&mut self, timeout: Duration) -> Result<(), FlushError> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        let ended = self.end_worker(timeout);
        self.when_ended.into_iter().for_each(|act| act());
        ended
    }

    fn end_worker(&self, timeout: Duration) -> Result<(), FlushError> {
        if self.client.is_disabled() {
            return Ok(());
        }
        // The worker belongs to the parent, and this process had nothing to report.
        if fork::is_newborn() {
            return Err(FlushError::Stopped);
        }
        if fork::check() || !self.client.shared.has_worker(true) {
            return Err(FlushError::Stopped);
        }
        self.client.shared.post().stop(timeout)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let timeout = self.timeout;
        let _ = self.stop(timeout);
    }
}
