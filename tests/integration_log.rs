//! A program's log says when metrics start to be dropped and when it has ended, in one line each, and nothing
//! otherwise.
#![cfg(feature = "log")]

mod support;

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use support::{Agent, PATIENCE, TempDir, assert_conserved, task_id, unix_address};
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, ClientBuilder, FlushError};

const SECOND: Duration = Duration::from_secs(1);

/// A process has one logger, and so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());
static LOGGER: Logger = Logger { lines: Mutex::new(Vec::new()), client: Mutex::new(None) };

/// Keeps lines, and counts them in a client where it has one, as programs do that watch their errors.
struct Logger {
    lines: Mutex<Vec<(Level, String, String)>>,
    client: Mutex<Option<Client>>,
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let client = lock(&self.client).clone();
        if let Some(client) = client {
            client.counter("log.lines").tag("level", record.level().as_str()).increment(1);
            assert_eq!(client.flush(PATIENCE), Err(FlushError::OnWorker));
        }
        lock(&self.lines).push((record.level(), record.target().to_owned(), record.args().to_string()));
    }

    fn flush(&self) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> MutexGuard<'static, ()> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let alone = lock(&ALONE);
    INSTALLED.get_or_init(|| {
        log::set_logger(&LOGGER).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
    lock(&LOGGER.lines).clear();
    *lock(&LOGGER.client) = None;
    alone
}

fn builder(clock: &ManualClock) -> ClientBuilder {
    Client::builder()
        .clock(clock)
        .telemetry(false)
        .origin_detection(false)
        .task_id(task_id())
        .flush_interval(SECOND)
        .shutdown_timeout(PATIENCE)
        .on_loss(tasktag::integrations::log::notice)
}

fn lines() -> Vec<(Level, String, String)> {
    std::mem::take(&mut *lock(&LOGGER.lines))
}

fn line(level: Level, text: &str) -> (Level, String, String) {
    (level, "tasktag".to_owned(), text.to_owned())
}

#[test]
fn an_agent_that_goes_away_and_comes_back_makes_two_lines() {
    let _alone = alone();
    let (directory, clock) = (TempDir::new(), ManualClock::new());
    let path = directory.join("agent");
    let agent = Agent::unix(&path);
    let guard = builder(&clock).agent(agent.address()).build().unwrap();
    let work = |seconds: u32| {
        for _ in 0..seconds {
            guard.client().counter("jobs").increment(1);
            clock.advance(SECOND);
        }
    };
    work(10);
    assert_eq!(lines(), []);

    drop(agent);
    work(1);
    let error = format!("; last error: {}: Connection refused (os error 111)", unix_address(&path));
    let started = "metrics are being dropped: 1 value, 1 line (transport)".to_owned() + &error;
    assert_eq!(lines(), [line(Level::Warn, &started)]);
    work(59);
    assert_eq!(lines(), []);
    work(1);
    let ongoing = "metrics are still being dropped, for 60 s now: 61 values, 61 lines (transport)";
    assert_eq!(lines(), [line(Level::Warn, &(ongoing.to_owned() + &error))]);

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
    work_and_read(59);
    assert_eq!(lines(), []);
    work_and_read(1);
    let ended = "metrics are no longer dropped; over 60 s: 61 values, 61 lines (transport)";
    assert_eq!(lines(), [line(Level::Info, ended)]);
    assert_eq!(work_and_read(100), 160);
    assert_conserved(&guard.client().stats());
    guard.shutdown(PATIENCE).unwrap();
    assert_eq!(lines(), []);
}

#[test]
fn a_client_that_ends_amid_losses_says_so() {
    let _alone = alone();
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = builder(&clock).capture(&capture).build().unwrap();
    capture.set_away(true);
    guard.client().counter("jobs").increment(1);
    guard.shutdown(PATIENCE).unwrap();
    let text = "metrics were being dropped at shutdown; over 0 s: 1 value, 1 line (transport); last error: custom: it is away, as the test asked for";
    assert_eq!(lines(), [line(Level::Warn, text)]);
}

#[test]
fn a_logger_that_counts_its_lines_in_the_same_client_makes_no_loop_and_waits_for_nobody() {
    let _alone = alone();
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let guard = builder(&clock).capture(&capture).build().unwrap();
    *lock(&LOGGER.client) = Some(guard.client().clone());
    capture.set_away(true);
    guard.client().counter("jobs").increment(1);
    for _ in 0..120 {
        clock.advance(SECOND);
    }
    // The line of the first loss is counted, and lost in its turn: that is no new line.
    assert_eq!(lines().len(), 1);
    assert_eq!(guard.client().stats().dropped_total().values, 2);
    guard.shutdown(PATIENCE).unwrap();
    assert_eq!(lines().len(), 1);
}

#[test]
fn a_level_that_is_off_costs_no_line() {
    let _alone = alone();
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let told = Arc::new(Mutex::new(0));
    log::set_max_level(LevelFilter::Error);
    let guard = builder(&clock).capture(&capture).on_loss({
        let told = Arc::clone(&told);
        move |notice| {
            tasktag::integrations::log::notice(notice);
            *told.lock().unwrap() += 1;
        }
    });
    let guard = guard.build().unwrap();
    capture.set_away(true);
    guard.client().counter("jobs").increment(1);
    guard.shutdown(PATIENCE).unwrap();
    log::set_max_level(LevelFilter::Trace);
    assert_eq!((lines().len(), *told.lock().unwrap()), (0, 1));
}
