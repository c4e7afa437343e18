//! A queue reports how much of its promise the oldest item has used, and how many items started in time.

mod support;

use arbtest::arbitrary::{Result as Arbitrary, Unstructured};
use std::collections::BTreeMap;
use std::time::Duration;
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, Outcome, PoolStatus, Promise, QueueStatus};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

struct Service {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
}

impl Service {
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let guard = support::builder().capture(&capture).clock(&clock).build().unwrap();
        Self { guard, capture, clock }
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }

    /// The gauges and counters of a flush, by name.
    fn flush(&self) -> BTreeMap<String, f64> {
        self.client().flush(PATIENCE).unwrap();
        let metrics = self.capture.take_metrics().unwrap();
        let levels = metrics.into_iter().filter(|metric| metric.code != "ms");
        levels.map(|metric| (metric.name, metric.value.number().unwrap())).collect()
    }
}

fn minutes(minutes: u64) -> Promise {
    Promise::within(Duration::from_secs(60 * minutes))
}

#[test]
fn a_name_that_promises_a_time_is_read() {
    for (name, promise) in [
        ("within_1_minute", minutes(1)),
        ("within_5_minutes", minutes(5)),
        ("within_5_minutes_high_io", minutes(5)),
        ("within_5_minute", minutes(5)),
        ("within_24_hours", minutes(24 * 60)),
        ("within_1_hour", minutes(60)),
        ("within_1_day", minutes(24 * 60)),
        ("within_3_days_exports_2", minutes(3 * 24 * 60)),
        ("within_120_seconds", minutes(2)),
        ("within_60_second_", minutes(1)),
        ("within_010_minutes", minutes(10)),
    ] {
        assert_eq!(Promise::from_queue_name(name), Some(promise), "{name}");
    }
}

#[test]
fn any_other_name_is_no_promise() {
    for name in [
        "",
        "mail",
        "within",
        "within_",
        "within_5",
        "within_5_",
        "within_minutes",
        "within__minutes",
        "within_0_minutes",
        "within_-5_minutes",
        "within_+5_minutes",
        "within_5.5_minutes",
        "within_5_weeks",
        "within_5_s",
        "within_5_minutess",
        "within_5_minuteshigh",
        "within_five_minutes",
        "within_٥_minutes",
        "Within_5_minutes",
        "not_within_5_minutes",
        "within_5minutes",
        "within_99999999999999999999_seconds",
        "within_18446744073709551615_days",
    ] {
        assert_eq!(Promise::from_queue_name(name), None, "{name}");
    }
}

/// Any text, and any number with any unit.
fn read(u: &mut Unstructured<'_>) -> Arbitrary<()> {
    let _ = Promise::from_queue_name(u.arbitrary()?);
    let (number, rest): (u64, &str) = (u.arbitrary()?, u.arbitrary()?);
    let (unit, seconds) = *u.choose(&[("second", 1), ("minutes", 60), ("hours", 3600), ("day", 86_400)])?;
    let expected = number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let name = format!("within_{number}_{unit}_{rest}");
    assert_eq!(Promise::from_queue_name(&name).map(Promise::duration), expected, "{name}");
    Ok(())
}

#[test]
fn every_text_is_read_or_not_and_none_panics() {
    arbtest::arbtest(read).budget_ms(500);
}

#[test]
fn the_oldest_age_is_set_against_the_promise() {
    let service = Service::new();
    let name = "within_1_minute";
    let queue = service.client().work_queue(name).promise(Promise::from_queue_name(name)).register();
    let ticket = queue.enter();
    assert_eq!(queue.status().promise, Some(minutes(1)));
    for (advanced, used) in [(0, 0.0), (15, 0.25), (45, 1.0), (30, 1.5)] {
        service.clock.advance(advanced * SECOND);
        let levels = service.flush();
        assert_eq!((levels["queue.promise_seconds"], levels["queue.promise_used"]), (60.0, used));
        assert_eq!(levels["queue.promise_used.max"], used);
        assert!(!levels.contains_key("queue.promise_seconds.max"), "a limit has no peak");
    }
    drop(ticket);
    assert_eq!(service.flush()["queue.promise_used"], 0.0);
}

#[test]
fn waits_and_those_within_the_promise_are_counted_to_the_nanosecond() {
    let service = Service::new();
    let queue = service.client().work_queue("mail").promise(Promise::within(MINUTE)).register();
    for wait in [Duration::ZERO, MINUTE, MINUTE + Duration::from_nanos(1), 2 * MINUTE] {
        let ticket = queue.enter();
        service.clock.advance(wait);
        ticket.start().end(Outcome::Ok);
    }
    drop(queue.enter());
    let counts = service.flush();
    assert_eq!((counts["queue.waits"], counts["queue.waits_within_promise"]), (4.0, 2.0));
    assert_eq!(counts["queue.abandoned"], 1.0, "this one never started");
}

#[test]
fn any_queue_with_an_age_can_have_a_promise() {
    let service = Service::new();
    let status = QueueStatus::new().oldest_age(90 * SECOND);
    let promise = Promise::from_queue_name("within_1_minute");
    let _watch = service.client().queue("redis").promise(promise).watch(move || status);
    let levels = service.flush();
    assert_eq!((levels["queue.promise_seconds"], levels["queue.promise_used"]), (60.0, 1.5));
}

#[test]
fn a_status_keeps_its_own_promise() {
    let service = Service::new();
    let status = QueueStatus::new().oldest_age(90 * SECOND).promise(Promise::within(2 * MINUTE));
    let _watch = service.client().queue("redis").promise(Promise::within(MINUTE)).watch(move || status);
    let levels = service.flush();
    assert_eq!((levels["queue.promise_seconds"], levels["queue.promise_used"]), (120.0, 0.75));
}

#[test]
fn without_a_promise_or_an_age_nothing_is_said_of_it() {
    let service = Service::new();
    let client = service.client();
    let name = "mail";
    let queue = client.work_queue(name).promise(Promise::from_queue_name(name)).register();
    queue.enter().start().end(Outcome::Ok);
    let _depth = client.queue("depth").promise(Promise::within(MINUTE)).watch(|| QueueStatus::new().depth(3));
    let zero = Promise::within(Duration::ZERO);
    let old = QueueStatus::new().oldest_age(SECOND);
    let _zero = client.queue("zero").prefix("zero").promise(zero).watch(move || old);
    let _pool = client.watch_pool("primary", || PoolStatus::new().max(3));
    let levels = service.flush();
    let promised: Vec<_> =
        levels.keys().filter(|name| name.contains("promise") || name.contains("waits")).collect();
    assert_eq!(promised, ["queue.promise_seconds", "zero.promise_seconds"]);
}
