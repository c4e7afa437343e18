//! A program's subscriber has an event when metrics start to be dropped and one when it has ended, with the figures as
//! fields.
#![cfg(feature = "tracing")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use support::{Agent, PATIENCE, TempDir, assert_conserved, task_id, unix_address};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, DropReason, FlushError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const SECOND: Duration = Duration::from_secs(1);

static EVENTS: Mutex<Vec<Seen>> = Mutex::new(Vec::new());
static CLIENT: Mutex<Option<Client>> = Mutex::new(None);
/// A process has one subscriber, and so one test at a time.
static ALONE: Mutex<bool> = Mutex::new(false);

#[derive(Debug)]
struct Seen {
    level: Level,
    target: String,
    fields: BTreeMap<&'static str, String>,
    // All that the event could have.
    declared: Vec<&'static str>,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// Keeps events, and counts them in a client where there is one.
struct Keeper;

impl Subscriber for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let client = lock(&CLIENT).clone();
        if let Some(client) = client {
            client.counter("events").increment(1);
            assert_eq!(client.flush(PATIENCE), Err(FlushError::OnWorker));
        }
        let metadata = event.metadata();
        let mut seen = Seen {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            fields: BTreeMap::new(),
            declared: metadata.fields().iter().map(|field| field.name()).collect(),
        };
        event.record(&mut seen);
        lock(&EVENTS).push(seen);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> MutexGuard<'static, bool> {
    let mut installed = lock(&ALONE);
    if !std::mem::replace(&mut *installed, true) {
        tracing::subscriber::set_global_default(Keeper).unwrap();
    }
    *lock(&CLIENT) = None;
    events();
    installed
}

fn builder(clock: &ManualClock) -> ClientBuilder {
    Client::builder()
        .clock(clock)
        .telemetry(false)
        .origin_detection(false)
        .task_id(task_id())
        .flush_interval(SECOND)
        .shutdown_timeout(PATIENCE)
        .on_loss(tasktag::integrations::tracing::notice)
}

fn events() -> Vec<Seen> {
    std::mem::take(&mut *lock(&EVENTS))
}

/// The one event that came, which must be of a level and have these fields and no others.
#[track_caller]
fn assert_one<const N: usize>(level: Level, fields: [(&'static str, &str); N]) {
    let [event] = events().try_into().unwrap();
    assert_eq!((event.level, event.target.as_str()), (level, "tasktag"));
    let fields = fields.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(event.fields, BTreeMap::from(fields));
}

#[test]
fn an_agent_that_goes_away_and_comes_back_makes_two_events() {
    let _alone = alone();
    let (directory, clock) = (TempDir::new(), ManualClock::new());
    let path = directory.join("agent");
    let agent = Agent::unix(&path);
    let guard = builder(&clock).agent(agent.address()).build().unwrap();
    let work = |seconds: u32| {
        for _ in 0..seconds {
            guard.client().counter("jobs").increment(2);
            clock.advance(SECOND);
        }
    };
    work(10);
    assert!(events().is_empty());

    drop(agent);
    // A value that can't be reported is lost for another reason, without a line.
    guard.client().timing("query").record(f64::NAN);
    work(1);
    let error = format!("{}: Connection refused (os error 111)", unix_address(&path));
    let started = "metrics are being dropped: 2 values, 1 line (invalid 1 value; transport 1 value, 1 line)";
    assert_one(
        Level::WARN,
        [
            ("phase", "started"),
            ("agent", "0"),
            ("lasted_seconds", "0"),
            ("values", "2"),
            ("lines", "1"),
            ("packets", "1"),
            ("bytes", "23"),
            ("invalid", "1"),
            ("transport", "1"),
            ("error", &error),
            ("message", &format!("{started}; last error: {error}")),
        ],
    );
    work(30);
    assert!(events().is_empty());

    fs::remove_file(&path).unwrap();
    let agent = Agent::unix(&path);
    // Read as it comes: of ten packets that nobody read the next might be lost.
    let mut received = 0;
    let mut work_and_read = |seconds: u32| {
        for _ in 0..seconds {
            work(1);
            received += agent.drain().len();
        }
        received
    };
    work_and_read(60);
    assert_one(
        Level::INFO,
        [
            ("phase", "ended"),
            ("agent", "0"),
            ("lasted_seconds", "30"),
            ("values", "32"),
            ("lines", "31"),
            ("packets", "31"),
            ("bytes", "713"),
            ("invalid", "1"),
            ("transport", "31"),
            (
                "message",
                "metrics are no longer dropped; over 30 s: 32 values, 31 lines \
                 (invalid 1 value; transport 31 values, 31 lines)",
            ),
        ],
    );
    assert_eq!(work_and_read(100), 160);
    assert_conserved(&guard.client().stats());
    guard.shutdown(PATIENCE).unwrap();
    assert!(events().is_empty());
}

#[test]
fn every_reason_has_a_field_in_events_of_both_levels() {
    let _alone = alone();
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = builder(&clock).capture(&capture).build().unwrap();
    guard.client().timing("query").record(f64::NAN);
    clock.advance(SECOND);
    guard.client().counter("jobs").increment(1);
    clock.advance(61 * SECOND);
    let events = events();
    assert_eq!(events.iter().map(|event| event.level).collect::<Vec<_>>(), [Level::WARN, Level::INFO]);
    for event in events {
        for &reason in DropReason::ALL {
            assert!(event.declared.contains(&reason.as_str()), "{reason} in {:?}", event.declared);
        }
    }
}

#[test]
fn a_subscriber_that_counts_its_events_in_the_same_client_makes_no_loop_and_waits_for_nobody() {
    let _alone = alone();
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = builder(&clock).capture(&capture).build().unwrap();
    *lock(&CLIENT) = Some(guard.client().clone());
    capture.set_away(true);
    guard.client().counter("jobs").increment(1);
    for _ in 0..120 {
        clock.advance(SECOND);
    }
    assert_eq!(events().len(), 1);
    assert_eq!(guard.client().stats().dropped_total().values, 2);
    guard.shutdown(PATIENCE).unwrap();
    assert_eq!(events().len(), 1);
}
