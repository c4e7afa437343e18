//! `tasktag send`: one metric, event or service check, as a program would send it.

use crate::arguments::{Check, Event, IdSource, Send, Sender, Sent};
use crate::outcome::Failure;
use std::time::Duration;
use tasktag::{Client, Guard, Metric, MetricBuilder, ServiceCheck, TaskIdSource};

/// The longest that sending takes.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Nothing leaves by itself: the client flushes once, at its end.
const NEVER: Duration = Duration::from_secs(3600);

/// Sends what the arguments say.
pub(crate) fn send(arguments: &Send) -> Result<(), Failure> {
    match &arguments.what {
        Sent::Gauge(number) => number.sender.send(|client| {
            number.sender.tag(client.gauge(&number.name)).set(number.value);
        }),
        Sent::Counter(count) => count.sender.send(|client| {
            count.sender.tag(client.counter(&count.name)).increment(count.value);
        }),
        Sent::Distribution(number) => number.sender.send(|client| {
            number.sender.tag(client.distribution(&number.name)).record(number.value);
        }),
        Sent::Histogram(number) => number.sender.send(|client| {
            number.sender.tag(client.histogram(&number.name)).record(number.value);
        }),
        Sent::Timing(number) => number.sender.send(|client| {
            number.sender.tag(client.timing(&number.name)).record(number.value);
        }),
        Sent::Set(set) => set.sender.send(|client| {
            set.sender.tag(client.set(&set.name)).insert(&set.member);
        }),
        Sent::Event(event) => send_event(event),
        Sent::Check(check) => send_check(check),
    }
}

fn send_event(arguments: &Event) -> Result<(), Failure> {
    let event = tasktag::Event::new(&arguments.title, &arguments.text)
        .alert_type(arguments.alert_type)
        .priority(arguments.priority);
    let event = arguments.aggregation_key.iter().fold(event, tasktag::Event::aggregation_key);
    let event = arguments.sender.pairs().fold(event, |event, (key, value)| event.tag(key, value));
    arguments.sender.send(|client| client.send_event(event))
}

fn send_check(arguments: &Check) -> Result<(), Failure> {
    let check = ServiceCheck::new(&arguments.name, arguments.status);
    let check = arguments.message.iter().fold(check, ServiceCheck::message);
    let check = arguments.sender.pairs().fold(check, |check, (key, value)| check.tag(key, value));
    arguments.sender.send(|client| client.send_service_check(check))
}

impl Sender {
    /// Has a client do something, and sends what it did.
    pub(crate) fn send(&self, act: impl FnOnce(&Client)) -> Result<(), Failure> {
        let guard = self.client()?;
        act(guard.client());
        end(guard)
    }

    fn client(&self) -> Result<Guard, Failure> {
        let builder = Client::builder()
            .from_env()
            .prefix(&self.prefix)
            .telemetry(false)
            .flush_interval(NEVER)
            .collect_interval(NEVER)
            .task_id_from(match self.task_id_from {
                IdSource::Random => TaskIdSource::random(),
                IdSource::Platform => TaskIdSource::platform(),
                IdSource::Hashed => TaskIdSource::hashed(),
                IdSource::Detect => TaskIdSource::detect(),
            });
        let builder = self.agent.iter().fold(builder, tasktag::ClientBuilder::agent);
        let builder = self.dialect.into_iter().fold(builder, tasktag::ClientBuilder::dialect);
        Ok(builder.build()?)
    }

    /// Adds the tags, and leaves out the task id if that was asked for.
    pub(crate) fn tag<'a, M: Metric>(&'a self, metric: MetricBuilder<'a, M>) -> MetricBuilder<'a, M> {
        let metric = if self.without_task_id { metric.without_task_id() } else { metric };
        self.pairs().fold(metric, |metric, (key, value)| metric.tag(key, value))
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tags.iter().map(|tag| tag.split_once(':').unwrap_or((tag, "")))
    }
}

/// Sends everything, once. It fails if anything is known to be lost.
pub(crate) fn end(guard: Guard) -> Result<(), Failure> {
    let client = guard.client().clone();
    let ended = guard.shutdown(TIMEOUT);
    let stats = client.stats();
    if let Some((reason, _)) = stats.losses().next() {
        let why = stats.last_error.as_ref().map_or_else(|| reason.to_string(), ToString::to_string);
        return Err(Failure::lost(format!("not sent: {why}")));
    }
    ended.map_err(|error| Failure::lost(format!("not sent: {error}")))
}
