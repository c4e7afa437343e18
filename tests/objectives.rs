//! A promise about events or about time is reported as counts that add up, with the burn of its budget.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{Client, Guard, Objective, Outcome, QueueStatus, Target};

const SECOND: Duration = Duration::from_secs(1);
const SLICE: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_millis(250);
const GOOD: u8 = 0;
const BAD: u8 = 1;
const UNKNOWN: u8 = 2;

struct Service {
    guard: Guard,
    capture: Capture,
    clock: ManualClock,
}

impl Service {
    /// A service that collects every second, and flushes when it is told to.
    fn new() -> Self {
        let (capture, clock) = (Capture::new(), ManualClock::new());
        let builder = support::builder().capture(&capture).clock(&clock).collect_interval(SECOND);
        Self { guard: builder.build().unwrap(), capture, clock }
    }

    fn client(&self) -> &Client {
        self.guard.client()
    }

    fn checkout(&self) -> Objective {
        self.client().objective("checkout", Target::within(LIMIT), 0.999).register().unwrap()
    }

    /// What a flush sends: values by the name with the closed tag.
    fn flush(&self) -> BTreeMap<String, f64> {
        self.client().flush(PATIENCE).unwrap();
        let metrics = self.capture.take_metrics().unwrap();
        let closed = ["state", "window", "severity", "reason"];
        let named = metrics.into_iter().map(|metric| {
            let tag = closed.iter().find_map(|key| metric.tag(key)).map(|value| format!(" {value}"));
            (format!("{}{}", metric.name, tag.unwrap_or_default()), metric.value.number().unwrap())
        });
        named.collect()
    }

    /// Lets seconds pass, one by one.
    fn pass(&self, seconds: u64) {
        (0..seconds).for_each(|_| self.clock.advance(SECOND));
    }
}

/// A probe whose answer the test sets.
fn probe(answer: &Arc<AtomicU8>) -> impl FnMut() -> Option<bool> + Send + 'static {
    let answer = Arc::clone(answer);
    move || match answer.load(Ordering::Relaxed) {
        GOOD => Some(true),
        BAD => Some(false),
        _ => None,
    }
}

#[test]
fn an_event_is_good_if_it_succeeds_in_time() {
    let service = Service::new();
    let objective = service.checkout();
    objective.record(Duration::ZERO);
    objective.record(LIMIT);
    objective.record(LIMIT + Duration::from_nanos(1));
    objective.record_outcome(true);
    objective.record_outcome(false);
    let sent = service.flush();
    assert_eq!((sent["slo.good"], sent["slo.total"]), (3.0, 5.0));
}

#[test]
fn the_counters_have_the_name_of_the_objective() {
    let service = Service::new();
    let builder = service
        .client()
        .objective("checkout", Target::success(), 0.99)
        .prefix("promise.")
        .tag("region", "eu");
    let objective = builder.without_task_id().register().unwrap();
    objective.record(Duration::MAX);
    service.client().flush(PATIENCE).unwrap();
    let mut lines = service.capture.take_lines();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["promise.good:1|c|#objective:checkout,region:eu", "promise.total:1|c|#objective:checkout,region:eu"]
    );
}

#[test]
fn a_timer_counts_by_outcome_and_time() {
    let service = Service::new();
    let objective = service.checkout();
    let ended = |outcome: Outcome, elapsed: Duration| {
        let timer = objective.start();
        service.clock.advance(elapsed);
        timer.end(outcome);
        let sent = service.flush();
        (sent.get("slo.good").copied(), sent.get("slo.total").copied())
    };
    let (late, good, bad, no_event) = (2 * LIMIT, (Some(1.0), Some(1.0)), (None, Some(1.0)), (None, None));
    assert_eq!([LIMIT, late].map(|elapsed| ended(Outcome::Ok, elapsed)), [good, bad]);
    assert_eq!([LIMIT, late].map(|elapsed| ended(Outcome::Error, elapsed)), [bad, bad], "a failure is bad");
    assert_eq!([LIMIT, late].map(|elapsed| ended(Outcome::Cancelled, elapsed)), [no_event, bad]);
    objective.start().discard();
    assert!(!service.flush().contains_key("slo.total"));
    drop(objective.start());
    assert_eq!(service.flush()["slo.total"], 1.0, "nobody said that it went well");
}

#[test]
fn burn_rates_and_the_budget_follow_at_the_end_of_a_slice() {
    let service = Service::new();
    let objective = service.checkout();
    service.pass(1);
    (0..1000).for_each(|event| objective.record_outcome(event >= 3));
    service.pass(8);
    assert!(!service.flush().contains_key("slo.burn_rate 1h"), "the slice is not over");
    service.pass(1);
    let sent = service.flush();
    for window in ["5m", "30m", "1h", "6h", "3d"] {
        assert_eq!(sent[&format!("slo.burn_rate {window}")], 3.0);
    }
    assert_eq!((sent["slo.budget_left"], sent["slo.alert page"], sent["slo.alert ticket"]), (-2.0, 0.0, 1.0));
    service.pass(310);
    let sent = service.flush();
    assert!(!sent.contains_key("slo.burn_rate 5m"), "nothing is known of the last 5 minutes");
    assert_eq!((sent["slo.burn_rate 30m"], sent["slo.alert page"]), (3.0, 0.0));
    (0..1000).for_each(|_| objective.record_outcome(false));
    service.pass(10);
    assert_eq!(service.flush()["slo.alert page"], 1.0);
}

#[test]
fn slices_of_events_are_good_bad_or_empty() {
    let service = Service::new();
    let builder = service.client().objective("checkout", Target::success(), 0.999).slice_goal(0.9);
    let objective = builder.register().unwrap();
    service.pass(10);
    for bad in [0, 1, 2] {
        (0..10).for_each(|event| objective.record_outcome(event >= bad));
        service.pass(10);
    }
    service.pass(20);
    let sent = service.flush();
    assert_eq!(
        (sent["slo.slices good"], sent["slo.slices bad"], sent["slo.slices unknown"]),
        (2.0, 1.0, 2.0)
    );
}

#[test]
fn a_slice_is_bad_if_anything_in_it_was_and_unknown_if_nothing_was_seen() {
    let service = Service::new();
    let answer = Arc::new(AtomicU8::new(GOOD));
    let _watch = service.client().time_objective("mail", 0.9).watch(probe(&answer)).unwrap();
    // The first slice began before anybody looked.
    service.pass(20);
    for seconds in [[GOOD, BAD, GOOD], [UNKNOWN, GOOD, UNKNOWN], [UNKNOWN; 3], [BAD, UNKNOWN, UNKNOWN]] {
        for second in seconds {
            answer.store(second, Ordering::Relaxed);
            service.pass(3);
        }
        answer.store(UNKNOWN, Ordering::Relaxed);
        service.pass(1);
    }
    let sent = service.flush();
    let states = ["good", "bad", "unknown"].map(|state| sent.get(&format!("slo.slices {state}")).copied());
    assert_eq!(states, [Some(2.0), Some(2.0), Some(1.0)]);
}

#[test]
fn a_task_that_slept_over_slices_has_not_seen_them() {
    let service = Service::new();
    let answer = Arc::new(AtomicU8::new(GOOD));
    let _watch = service.client().time_objective("mail", 0.9).watch(probe(&answer)).unwrap();
    service.pass(20);
    service.clock.advance(10 * SLICE);
    let sent = service.flush();
    assert_eq!((sent["slo.slices good"], sent["slo.slices unknown"]), (2.0, 9.0));
    assert_eq!(sent["slo.burn_rate 5m"], 0.0, "what is unknown is not bad");
}

#[test]
fn a_handle_is_told_by_a_watch_and_knows_its_period() {
    let service = Service::new();
    let objective =
        service.client().time_objective("mail", 0.999).slice(60 * SECOND).period_days(7).register().unwrap();
    let age = Arc::new(Mutex::new(Duration::ZERO));
    let (seen, told) = (Arc::clone(&age), objective.clone());
    let _watch = service.client().queue("mail").watch(move || {
        let age = *seen.lock().unwrap();
        told.see(age < 300 * SECOND);
        QueueStatus::new().oldest_age(age)
    });
    // The second that a slice begins with is in it.
    for (seconds, oldest) in [(3599, 0), (180, 400), (3661, 0)] {
        *age.lock().unwrap() = oldest * SECOND;
        service.pass(seconds);
    }
    assert_eq!(objective.slices().to_string(), "97.560 %: 120 slices good, 3 bad, 9901 unknown");
    let sent = service.flush();
    assert_eq!(sent["slo.budget_left"], 1.0 - 3.0 / 10.08);
}

#[test]
fn a_probe_that_panics_or_is_gone_is_unknown_or_nothing() {
    let service = Service::new();
    let mut calls = 0;
    let watch = service.client().time_objective("mail", 0.9).watch(move || {
        calls += 1;
        assert!(calls <= 25, "as a probe may");
        Some(true)
    });
    service.pass(40);
    assert_eq!((service.client().stats().probe_panics, service.client().stats().probes_removed), (3, 1));
    let sent = service.flush();
    assert_eq!(sent["slo.slices good"], 1.0);
    assert_eq!(sent["slo.burn_rate 1h"], 0.0, "a gauge that ends is sent once more");
    assert!(!service.flush().contains_key("slo.burn_rate 1h"));
    drop(watch);
}

#[test]
fn bad_settings_are_named_with_their_values() {
    let service = Service::new();
    let client = service.client();
    let fails =
        |goal: f64, target: Target| client.objective("a", target, goal).register().unwrap_err().to_string();
    for goal in [0.0, 1.0, 99.9, -1.0, f64::NAN, f64::INFINITY] {
        let text = fails(goal, Target::success());
        assert!(text.starts_with(&format!("the setting objective can't be \"{goal}\"")), "{text}");
        assert!(
            client.time_objective("a", goal).register().is_err()
                && client.time_objective("a", goal).watch(|| None).is_err()
        );
    }
    let text = fails(0.9, Target::within(Duration::ZERO));
    assert!(text.starts_with("the setting target can't be \"0 s\""), "{text}");
    for slice in [Duration::ZERO, Duration::from_millis(500), 7 * SECOND, 600 * SECOND, Duration::MAX] {
        let text = client.time_objective("a", 0.9).slice(slice).register().unwrap_err().to_string();
        assert!(text.starts_with(&format!("the setting slice can't be \"{slice:?}\"")), "{text}");
    }
    for days in [0, 6, 91, u32::MAX] {
        let text = client.time_objective("a", 0.9).period_days(days).register().unwrap_err().to_string();
        assert!(text.starts_with(&format!("the setting period_days can't be \"{days}\"")), "{text}");
    }
    let text = client.time_objective("a", 0.9).min_bad(0).register().unwrap_err().to_string();
    assert!(text.starts_with("the setting min_bad can't be \"0\""), "{text}");
    let text =
        client.objective("a", Target::success(), 0.9).slice_goal(2.0).register().unwrap_err().to_string();
    assert!(text.starts_with("the setting slice_goal can't be \"2\""), "{text}");
    assert_eq!((client.stats().contexts, client.stats().refused_watches), (0, 0), "nothing is left of them");
}

#[test]
fn a_second_objective_of_a_name_adds_to_the_counters_alone() {
    let service = Service::new();
    let [first, second] = [service.checkout(), service.checkout()];
    assert_eq!(service.client().stats().refused_watches, 1);
    first.record_outcome(true);
    second.record_outcome(true);
    assert_eq!(service.flush()["slo.total"], 2.0);
    drop([first, second]);
    service.client().flush(PATIENCE).unwrap();
    let _third = service.checkout();
    assert_eq!(service.client().stats().refused_watches, 1, "the name is free again");
}

#[test]
fn nothing_is_left_of_an_objective_whose_handles_are_gone() {
    let service = Service::new();
    let [events, time] = [
        service.checkout().start(),
        service.client().objective("other", Target::success(), 0.9).register().unwrap().start(),
    ];
    let told = service.client().time_objective("mail", 0.9).register().unwrap();
    told.see(true);
    service.pass(20);
    events.end(Outcome::Ok);
    time.end(Outcome::Ok);
    drop(told);
    service.pass(20);
    service.flush();
    service.flush();
    assert_eq!(service.client().stats().contexts, 0);
}

#[test]
fn a_disabled_client_has_objectives_that_do_nothing() {
    let client = Client::disabled();
    let objective = client.objective("checkout", Target::within(LIMIT), 0.999).register().unwrap();
    objective.record(LIMIT);
    objective.start().end(Outcome::Ok);
    let told = client.time_objective("mail", 0.9).register().unwrap();
    told.see(true);
    client.time_objective("mail", 0.9).watch(|| panic!("nobody asks")).unwrap().detach();
    assert_eq!((told.slices(), client.stats().contexts), (tasktag::SliceCounts::default(), 0));
    Objective::default().record_outcome(true);
}
