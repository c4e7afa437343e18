//! The handle to a client, and the guard that ends it.

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

/// What call sites use: cheap to clone, and nothing happens when a clone is dropped.
///
/// [`Client::builder`] sets one up; [`Client::disabled`] is one that does nothing.
///
/// Metrics are registered once and used through handles, or called by name with tags known at run time; see
/// [`MetricBuilder`](crate::MetricBuilder). Nothing here blocks on the agent or fails; what was lost is in [`stats`](Self::stats).
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// A client that does nothing: for a test, a tool or a library that takes a client and is to report nothing.
    ///
    /// It has no thread and no socket, and decides no task id: its own is `0000`, which no process has. All methods work. What
    /// it is given is dropped and in no count: its [`stats`](Self::stats) are those of a client that nobody used. What it is to
    /// watch is never asked, and dropped at once; `flush` is `Ok`. All such clients are one.
    ///
    /// A program that may be switched off needs a guard in both cases:
    /// [`ClientBuilder::disabled`](crate::ClientBuilder::disabled) gives it one.
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

    /// Whether this is a client that does [nothing](Self::disabled).
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

    /// The task id that everything this client sends is tagged with; `0000` of a [disabled](Self::disabled) one.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        fork::check();
        self.shared.task_id()
    }

    /// Sends an event. [`send_event`](Self::send_event) takes one with more to say.
    pub fn event(&self, title: &str, text: &str) {
        if !self.is_disabled() {
            self.send_event(Event::of(title, text));
        }
    }

    /// Sends an event. The global tags are added to its own.
    pub fn send_event(&self, mut event: Event) {
        event.bound();
        self.shared.offer(Record::Event(Box::new(event)));
    }

    /// Sends a service check. [`send_service_check`](Self::send_service_check) takes one with more to say.
    pub fn service_check(&self, name: &str, status: Status) {
        if !self.is_disabled() {
            self.send_service_check(ServiceCheck::new(name, status));
        }
    }

    /// Sends a service check. The global tags are added to its own.
    pub fn send_service_check(&self, mut check: ServiceCheck) {
        check.bound();
        self.shared.offer(Record::ServiceCheck(Box::new(check)));
    }

    /// Has the worker collect and send everything, and waits until it has, for at most `timeout`. The worker waits as long
    /// for what the agent needs: the address of its name, a connection, room for a packet. Without a caller it
    /// waits at most 200 ms. Of several callers the most patient one decides; each waits for its own timeout.
    ///
    /// `Ok` says that nothing was lost for want of time: all of it was handed to the system, or refused by it, as where
    /// nobody listens. What was refused is in [`stats`](Self::stats), with the reason in
    /// [`last_error`](Stats::last_error), and no error here.
    ///
    /// # Errors
    ///
    /// When the timeout is over before everything was handed to the system; what the agent did not take by then is
    /// dropped, and counted as [`Transport`](crate::DropReason::Transport). When the client was shut down. When it is called
    /// by the worker.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        if self.is_disabled() {
            return Ok(());
        }
        if fork::check() || !self.shared.has_worker(false) {
            return Err(FlushError::Stopped);
        }
        self.shared.post().flush(timeout)
    }

    /// What was accepted, sent and dropped so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// The same for one of several agents: 0 is the main one, those of [`also`](crate::ClientBuilder::also) follow in their
    /// order. `None` where there is no such agent. What was lost before it was on its way to any agent, as in a full
    /// channel, is in the main one's books alone.
    #[must_use]
    pub fn stats_of(&self, agent: usize) -> Option<Stats> {
        self.shared.stats_of(agent)
    }
}

/// Owns the worker. Dropping it flushes and stops the worker, within the
/// [shutdown timeout](crate::ClientBuilder::shutdown_timeout); clones of the [`Client`] go on working and report nothing.
///
/// Keep it in `main`, or wherever the program ends by returning or panicking. `std::process::exit`, an abort and a signal
/// that nobody handles, as `SIGTERM` at the end of a container, drop nothing, and a `static` is never dropped: what came
/// since the last flush is lost then, and nobody is left to count it. Call [`shutdown`](Self::shutdown) before.
#[derive(Debug)]
#[must_use = "the client stops when this is dropped: `let guard`, not `let _`"]
pub struct Guard {
    client: Client,
    timeout: Duration,
    stopped: bool,
    // Somebody to be told.
    when_ended: Option<fn()>,
}

impl Guard {
    pub(crate) fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout, stopped: false, when_ended: None }
    }

    /// Has `act` called once the worker has ended, or was given up.
    pub(crate) fn when_ended(self, act: fn()) -> Self {
        let mut guard = self;
        guard.when_ended = Some(act);
        guard
    }

    /// The client; clone it freely.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends everything and ends the worker, as dropping the guard does, with a timeout of its own and an answer. For the
    /// agent it waits as [`Client::flush`] does. What the agent did not take is in the client's [stats](Client::stats).
    ///
    /// What others keep in thread-locals of the worker's thread is not waited for: it is dropped when the thread ends.
    ///
    /// # Errors
    ///
    /// When that takes longer than `timeout`: something that the worker asked or sent to does not answer. If it is a watched
    /// closure, the thread is left to itself, and ends when it can; if it is the agent, what it did not take is dropped
    /// and counted.
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
        // The worker is the parent's, and in this process there was nothing to report.
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
