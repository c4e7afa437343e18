//! A name with its tags is one cell, whoever holds it, for as long as it is held or called.

use std::error::Error;
use std::thread;
use std::time::Duration;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{
    Client, ClientBuilder, ConfigError, DropReason, Gauge, Guard, Kind, MetricBuilder, RegisterError,
    TaskIdPool,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A client that flushes when it is told to.
fn quiet(capture: &Capture) -> ClientBuilder {
    Client::builder()
        .capture(capture)
        .clock(&ManualClock::new())
        .task_id(TaskIdPool::DEFAULT.id(42).unwrap())
        .telemetry(false)
}

fn started() -> (Guard, Capture) {
    let capture = Capture::new();
    (quiet(&capture).build().unwrap(), capture)
}

/// The lines of a flush in alphabetic order, without the task id that each ends with.
fn flushed(guard: &Guard, capture: &Capture) -> Vec<String> {
    guard.client().flush(PATIENCE).unwrap();
    let bare = |line: String| {
        let (line, _) = line.split_once("task_id:0042").expect("the task id is the last tag");
        line.trim_end_matches([',', '#', '|']).to_owned()
    };
    let mut lines: Vec<_> = capture.take_lines().into_iter().map(bare).collect();
    lines.sort();
    lines
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn the_same_name_and_tags_in_any_order_are_the_same_cell() {
    let (guard, capture) = started();
    let client = guard.client();
    let first = client.counter("jobs").tag("a", "1").tag("b", "2").register();
    let second = client.counter("jobs").tag("b", "2").tag("a", "1").register();
    let doubled = client.counter("jobs").tag("a", "1").tag("b", "2").tag("a", "1").register();
    first.increment(1);
    second.increment(10);
    doubled.increment(100);
    client.counter("jobs").tag("b", "2").tag("a", "1").increment(1_000);
    client.counter("jobs").tag("b", "2").tag("b", "2").tag("a", "1").increment(10_000);
    assert_eq!(client.stats().contexts, 1);
    assert_eq!(flushed(&guard, &capture), ["jobs:11111|c|#a:1,b:2"]);
}

#[test]
fn other_tags_are_another_cell() {
    let (guard, capture) = started();
    let client = guard.client();
    let tags: [&[(&str, &str)]; 5] =
        [&[], &[("a", "1")], &[("a", "2")], &[("b", "1")], &[("a", "1"), ("b", "1")]];
    for (n, tags) in (1..).zip(tags) {
        tags.iter().fold(client.counter("jobs"), |jobs, (key, value)| jobs.tag(key, value)).increment(n);
    }
    let expected = ["jobs:1|c", "jobs:2|c|#a:1", "jobs:3|c|#a:2", "jobs:4|c|#b:1", "jobs:5|c|#a:1,b:1"];
    assert_eq!(flushed(&guard, &capture), expected);
}

#[test]
fn tags_one_by_one_and_as_a_slice_are_the_same() {
    let (guard, capture) = started();
    let client = guard.client();
    let handle = client.counter("jobs").tag("a", "1").tag("b", "2").register();
    handle.increment(1);
    client.counter("jobs").tags(&[("b", "2"), ("a", "1")]).increment(10);
    client.counter("jobs").tags(&[("b", "2")]).tag("a", "1").increment(100);
    client.counter("jobs").tags(&[("c", "3")]).tags(&[("a", "1"), ("b", "2")]).increment(1_000);
    assert_eq!(flushed(&guard, &capture), ["jobs:1111|c|#a:1,b:2"]);
}

#[test]
fn a_slice_takes_any_number_of_tags() {
    let (guard, capture) = started();
    let keys: Vec<String> = (10..60).map(|key| format!("k{key}")).collect();
    let mut tags: Vec<_> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    let handle = guard.client().counter("jobs").tags(&tags).register();
    handle.increment(1);
    tags.reverse();
    guard.client().counter("jobs").tags(&tags).increment(2);
    let expected: Vec<String> = keys.iter().map(|key| format!("{key}:v")).collect();
    assert_eq!(flushed(&guard, &capture), [format!("jobs:3|c|#{}", expected.join(","))]);
}

#[test]
fn a_ninth_single_tag_is_left_out_and_counted() {
    let (guard, capture) = started();
    let tagged = |keys: [&'static str; 9]| {
        keys.into_iter().fold(guard.client().counter("jobs"), |jobs, key| jobs.tag(key, "v"))
    };
    tagged(["a", "b", "c", "d", "e", "f", "g", "h", "left out"]).increment(1);
    assert_eq!(flushed(&guard, &capture), ["jobs:1|c|#a:v,b:v,c:v,d:v,e:v,f:v,g:v,h:v"]);
    assert_eq!(guard.client().stats().refused_tags, 1);
}

/// Tries to register a name as each of the kinds.
fn register_as(client: &Client, name: &str, kind: Kind) -> Result<(), RegisterError> {
    match kind {
        Kind::Gauge => client.gauge(name).try_register().map(drop),
        Kind::Counter => client.counter(name).try_register().map(drop),
        Kind::Distribution => client.distribution(name).try_register().map(drop),
        Kind::Histogram => client.histogram(name).try_register().map(drop),
        Kind::Timing => client.timing(name).try_register().map(drop),
        Kind::Set => client.set(name).try_register().map(drop),
        Kind::Occupancy => client.occupancy(name, 1).try_register().map(drop),
        unknown => panic!("no kind {unknown}"),
    }
}

const KINDS: [Kind; 7] = [
    Kind::Gauge,
    Kind::Counter,
    Kind::Distribution,
    Kind::Histogram,
    Kind::Timing,
    Kind::Set,
    Kind::Occupancy,
];

#[test]
fn the_kind_of_a_name_does_not_change() {
    let (guard, _) = started();
    let client = guard.client();
    for registered in KINDS {
        let name = registered.to_string();
        register_as(client, &name, registered).unwrap();
        for wanted in KINDS {
            let answer = register_as(client, &name, wanted);
            if wanted == registered {
                assert_eq!(answer, Ok(()));
            } else {
                let refused = answer.unwrap_err();
                let text = format!("metric {name:?} is a {registered} and can't become a {wanted}");
                assert_eq!(refused.to_string(), text);
                assert_eq!(refused, RegisterError::KindMismatch { name: name.clone(), registered, wanted });
            }
        }
    }
    assert_eq!(client.stats().refused_registrations, 7 * 6);
}

#[test]
fn a_handle_under_the_name_of_another_kind_reports_nothing() {
    let (guard, capture) = started();
    let client = guard.client();
    let jobs = client.counter("jobs").register();
    let detached = client.gauge("jobs").tag("other", "tags").register();
    assert_eq!(client.stats().refused_registrations, 1);
    jobs.increment(1);
    detached.set(5.0);
    client.gauge("jobs").set(7.0);
    assert_eq!(flushed(&guard, &capture), ["jobs:1|c"]);
    assert_eq!(client.stats().dropped(DropReason::Invalid).values, 1, "the call by name");
}

#[test]
fn a_name_may_get_another_kind_once_it_is_forgotten() {
    let (guard, capture) = started();
    let client = guard.client();
    drop(client.counter("jobs").register());
    flushed(&guard, &capture);
    let jobs = client.gauge("jobs").try_register().unwrap();
    jobs.set(1.0);
    assert_eq!(flushed(&guard, &capture), ["jobs:1|g"]);
}

#[test]
fn a_metric_without_a_name_is_refused() {
    let (guard, capture) = started();
    let client = guard.client();
    let refused = client.counter("").try_register().unwrap_err();
    assert_eq!((refused.to_string().as_str(), &refused), ("a metric has no name", &RegisterError::EmptyName));
    client.counter("").register().increment(1);
    client.gauge("").set(1.0);
    assert_eq!(flushed(&guard, &capture), nothing());
    let stats = client.stats();
    assert_eq!((stats.refused_registrations, stats.dropped(DropReason::Invalid).values), (2, 1));
}

#[test]
fn a_gauge_is_sent_at_every_flush_until_its_last_handle_is_dropped() {
    let (guard, capture) = started();
    let gauge = guard.client().gauge("level").register();
    assert_eq!(flushed(&guard, &capture), nothing(), "it was never set");
    gauge.set(0.5);
    let clone = gauge.clone();
    drop(gauge);
    for _ in 0..3 {
        assert_eq!(flushed(&guard, &capture), ["level:0.5|g"]);
    }
    drop(clone);
    assert_eq!(flushed(&guard, &capture), nothing());
    assert_eq!(guard.client().stats().contexts, 0);
}

#[test]
fn a_level_that_was_never_sent_is_sent_once_after_its_last_handle() {
    let (guard, capture) = started();
    let client = guard.client();
    let gauge = client.gauge("level").register();
    gauge.set(1.0);
    assert_eq!(flushed(&guard, &capture), ["level:1|g"]);
    gauge.set(2.0);
    drop(gauge);
    client.gauge("short").register().set(3.0);
    assert_eq!(flushed(&guard, &capture), ["level:2|g", "short:3|g"]);
    assert_eq!(flushed(&guard, &capture), nothing());
}

#[test]
fn what_other_handles_were_given_leaves_after_their_end_too() {
    let (guard, capture) = started();
    let client = guard.client();
    client.counter("counter").register().increment(2);
    client.distribution("distribution").register().record(0.25);
    client.set("set").register().insert("a");
    assert_eq!(flushed(&guard, &capture), ["counter:2|c", "distribution:0.25|d", "set:a|s"]);
    assert_eq!(flushed(&guard, &capture), nothing());
    assert_eq!(client.stats().contexts, 0);
}

#[test]
fn clones_share_what_they_hold() {
    let (guard, capture) = started();
    let client = guard.client();
    let (gauge, counter) = (client.gauge("g").register(), client.counter("c").register());
    let (distribution, set) = (client.timing("t").register(), client.set("s").register());
    gauge.clone().set(1.0);
    gauge.clone().add(0.5);
    counter.clone().increment(1);
    counter.increment(1);
    distribution.clone().record_many(8.0, 3);
    distribution.record(8.0);
    set.clone().insert("m");
    set.insert("m");
    assert_eq!(flushed(&guard, &capture), ["c:2|c", "g:1.5|g", "s:m|s", "t:8|ms|@0.25"]);
}

#[test]
fn an_unset_gauge_is_absent_until_it_is_set_again() {
    let (guard, capture) = started();
    let gauge = guard.client().gauge("level").peak().register();
    gauge.set(7.0);
    assert_eq!(flushed(&guard, &capture), ["level.max:7|g", "level:7|g"]);
    gauge.unset();
    assert_eq!(flushed(&guard, &capture), nothing());
    gauge.add(2.0);
    assert_eq!(flushed(&guard, &capture), ["level.max:2|g", "level:2|g"], "an unset gauge starts at 0");
}

#[test]
fn the_peak_is_the_highest_level_since_the_last_flush() {
    let (guard, capture) = started();
    let gauge = guard.client().gauge("level").peak().register();
    for level in [3.0, 9.0, 4.0] {
        gauge.set(level);
    }
    assert_eq!(flushed(&guard, &capture), ["level.max:9|g", "level:4|g"]);
    gauge.set(1.0);
    assert_eq!(flushed(&guard, &capture), ["level.max:4|g", "level:1|g"], "it stood at 4 at the start");
    gauge.sub(8.0);
    gauge.add(1.0);
    assert_eq!(flushed(&guard, &capture), ["level.max:1|g", "level:-6|g"]);
    assert_eq!(flushed(&guard, &capture), ["level.max:-6|g", "level:-6|g"]);
}

#[test]
fn a_peak_belongs_to_its_interval_even_when_the_gauge_was_unset() {
    let (guard, capture) = started();
    let gauge = guard.client().gauge("level").peak().register();
    gauge.set(100.0);
    gauge.unset();
    assert_eq!(flushed(&guard, &capture), nothing());
    gauge.set(1.0);
    assert_eq!(flushed(&guard, &capture), ["level.max:1|g", "level:1|g"]);
}

#[test]
fn a_peak_before_the_last_handle_was_dropped_is_sent() {
    let (guard, capture) = started();
    let gauge = guard.client().gauge("level").peak().register();
    gauge.set(1.0);
    assert_eq!(flushed(&guard, &capture), ["level.max:1|g", "level:1|g"]);
    gauge.set(100.0);
    gauge.set(1.0);
    drop(gauge);
    assert_eq!(flushed(&guard, &capture), ["level.max:100|g", "level:1|g"]);
    assert_eq!(flushed(&guard, &capture), nothing());
}

#[test]
fn a_call_by_name_may_ask_for_the_peak_of_a_known_gauge() {
    let (guard, capture) = started();
    let level = || guard.client().gauge("level");
    level().set(1.0);
    assert_eq!(flushed(&guard, &capture), ["level:1|g"]);
    level().peak().set(9.0);
    level().peak().set(2.0);
    assert_eq!(flushed(&guard, &capture), ["level.max:9|g", "level:2|g"]);
}

#[test]
fn the_reserved_key_is_reserved_however_it_is_written() {
    let (guard, capture) = started();
    for key in ["task_id", "Task_ID", "TASK ID"] {
        guard.client().counter("jobs").tag(key, "7").increment(1);
    }
    assert_eq!(flushed(&guard, &capture), ["jobs:3|c|#task_id_:7"], "they are one context");
    assert_eq!(guard.client().stats().refused_tags, 0);
}

#[test]
fn a_second_registration_may_ask_for_the_peak() {
    let (guard, capture) = started();
    let gauge = guard.client().gauge("level").register();
    gauge.set(9.0);
    let with_peak = guard.client().gauge("level").peak().register();
    gauge.set(8.0);
    gauge.set(2.0);
    assert_eq!(flushed(&guard, &capture), ["level.max:8|g", "level:2|g"]);
    drop(with_peak);
}

#[test]
fn threads_that_add_and_subtract_lose_nothing() {
    const STEPS: u32 = 50_000;
    let (guard, capture) = started();
    let gauge = guard.client().gauge("level").peak().register();
    let counter = guard.client().counter("count").register();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..STEPS {
                    gauge.add(3.0);
                    gauge.sub(2.0);
                    counter.increment(1);
                    guard.client().counter("by.name").increment(2);
                }
            });
        }
    });
    let found = flushed(&guard, &capture);
    assert_eq!(found[..2], [format!("by.name:{}|c", 8 * STEPS), format!("count:{}|c", 4 * STEPS)]);
    assert_eq!(found[3], format!("level:{}|g", 4 * STEPS));
    let peak: u32 = found[2].strip_prefix("level.max:").unwrap().strip_suffix("|g").unwrap().parse().unwrap();
    assert!((4 * STEPS..=4 * STEPS + 12).contains(&peak), "{peak}");
}

#[test]
fn a_counter_sends_what_was_added_and_nothing_for_0() {
    let (guard, capture) = started();
    let counter = guard.client().counter("jobs").register();
    counter.increment(0);
    assert_eq!(flushed(&guard, &capture), nothing());
    counter.increment(3);
    counter.increment(4);
    assert_eq!(flushed(&guard, &capture), ["jobs:7|c"]);
    assert_eq!(flushed(&guard, &capture), nothing());
    counter.increment(1);
    assert_eq!(flushed(&guard, &capture), ["jobs:1|c"]);
}

#[test]
fn a_gauge_by_name_is_sent_at_every_flush_from_then_on() {
    let (guard, capture) = started();
    let level = || guard.client().gauge("level").tag("a", "1");
    level().set(5.0);
    for _ in 0..3 {
        assert_eq!(flushed(&guard, &capture), ["level:5|g|#a:1"]);
    }
    level().add(2.0);
    level().sub(1.0);
    for _ in 0..3 {
        assert_eq!(flushed(&guard, &capture), ["level:6|g|#a:1"]);
    }
}

#[test]
fn a_gauge_by_name_is_sent_at_every_flush_while_a_handle_is_held() {
    let (guard, capture) = started();
    let handle = guard.client().gauge("level").register();
    guard.client().gauge("level").set(5.0);
    for _ in 0..2 {
        assert_eq!(flushed(&guard, &capture), ["level:5|g"]);
    }
    drop(handle);
    assert_eq!(flushed(&guard, &capture), nothing());
}

#[test]
fn calls_by_name_from_several_threads_are_one_context() {
    let (guard, capture) = started();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for queue in ["a", "b"].repeat(1_000) {
                    guard.client().counter("jobs").tag("queue", queue).increment(1);
                }
            });
        }
    });
    assert_eq!(guard.client().stats().contexts, 2);
    assert_eq!(flushed(&guard, &capture), ["jobs:8000|c|#queue:a", "jobs:8000|c|#queue:b"]);
}

#[test]
fn clients_keep_the_same_names_apart() {
    let ((one, to_one), (two, to_two)) = (started(), started());
    for (guard, n) in [(&one, 1), (&two, 2), (&one, 10), (&two, 20)] {
        guard.client().counter("jobs").increment(n);
    }
    assert_eq!(flushed(&one, &to_one), ["jobs:11|c"]);
    assert_eq!(flushed(&two, &to_two), ["jobs:22|c"]);
}

#[test]
fn beyond_the_context_limit_a_metric_goes_on_in_its_overflow_context() {
    let capture = Capture::new();
    let guard = quiet(&capture).context_limit(2).build().unwrap();
    let client = guard.client();
    let kept = (client.counter("jobs").tag("queue", "a").register(), client.gauge("level").register());
    let refused = client.counter("jobs").tag("queue", "b").try_register().unwrap_err();
    assert_eq!(refused, RegisterError::ContextLimit { name: "jobs".to_owned(), limit: 2 });
    assert_eq!(refused.to_string(), "metric \"jobs\" would exceed the limit of 2 contexts");
    client.counter("jobs").tag("queue", "c").register().increment(1);
    for _ in 0..3 {
        client.counter("jobs").tag("queue", "d").increment(1);
        client.counter("jobs").tag("queue", "a").increment(1);
    }
    client.gauge("level").tag("of", "b").set(2.0);
    client.gauge("level").tag("of", "c").set(3.0);
    kept.1.set(1.0);
    let overflow = "|#tasktag_overflow:true";
    let expected = [
        format!("jobs.folded:4|c{overflow}"),
        "jobs:3|c|#queue:a".to_owned(),
        format!("jobs:4|c{overflow}"),
        format!("level.folded:2|c{overflow}"),
        "level:1|g".to_owned(),
        format!("level:3|g{overflow}"),
    ];
    assert_eq!(flushed(&guard, &capture), expected);
    // Beyond as many overflow contexts again a value is dropped.
    client.distribution("times").record(1.0);
    assert_eq!(flushed(&guard, &capture), ["level:1|g".to_owned(), format!("level:3|g{overflow}")]);
    let stats = client.stats();
    assert_eq!((stats.contexts, stats.refused_registrations), (2, 1));
    assert_eq!((stats.folded_registrations, stats.folded_values), (1, 5));
    assert_eq!(stats.dropped(DropReason::ContextLimit).values, 1);
    assert_eq!(stats.accepted.values, stats.sent.values + stats.dropped_total().values);
}

#[test]
fn a_metric_has_a_limit_of_its_own_and_leaves_the_others_their_room() {
    let capture = Capture::new();
    let guard = quiet(&capture).metric_context_limit(3).build().unwrap();
    let client = guard.client();
    for user in 0..1000 {
        client.counter("requests").tag("user", &user.to_string()).increment(1);
    }
    client.counter("jobs").tag("queue", "a").increment(1);
    let expected = [
        "jobs:1|c|#queue:a",
        "requests.folded:997|c|#tasktag_overflow:true",
        "requests:1|c|#user:0",
        "requests:1|c|#user:1",
        "requests:1|c|#user:2",
        "requests:997|c|#tasktag_overflow:true",
    ];
    assert_eq!(flushed(&guard, &capture), expected);
    let refused = client.counter("requests").tag("user", "new").try_register().unwrap_err();
    assert_eq!(refused, RegisterError::ContextLimit { name: "requests".to_owned(), limit: 3 });
    assert_eq!(client.stats().dropped_total().values, 0);
}

#[test]
fn an_overflow_context_takes_no_room_from_its_metric() {
    let capture = Capture::new();
    let guard = quiet(&capture).metric_context_limit(1).build().unwrap();
    let call = |user: &str| guard.client().counter("requests").tag("user", user).increment(1);
    call("a");
    // Its place is free once it was idle for two flushes, whatever goes on in the overflow context meanwhile.
    for user in 0..3 {
        call(&format!("b{user}"));
        flushed(&guard, &capture);
    }
    call("b");
    assert_eq!(flushed(&guard, &capture), ["requests:1|c|#user:b"]);
}

#[test]
fn an_overflow_context_that_was_asked_for_by_its_tag_counts_what_is_folded_into_it() {
    let capture = Capture::new();
    let guard = quiet(&capture).metric_context_limit(1).build().unwrap();
    let client = guard.client();
    client.counter("requests").tag("tasktag_overflow", "true").increment(1);
    for user in ["a", "b", "c"] {
        client.counter("requests").tag("user", user).increment(1);
    }
    let expected = [
        "requests.folded:2|c|#tasktag_overflow:true",
        "requests:1|c|#user:a",
        "requests:3|c|#tasktag_overflow:true",
    ];
    assert_eq!(flushed(&guard, &capture), expected);
}

#[test]
fn contexts_whose_tags_are_bounded_take_no_room_from_the_metrics_others() {
    let capture = Capture::new();
    let guard = quiet(&capture).metric_context_limit(2).build().unwrap();
    let family = guard.client().counter("requests").bounded("route", 5).allow(&["/a", "/b"]).register();
    family.at("/c").increment(1);
    guard.client().counter("requests").tag("user", "a").increment(1);
    assert_eq!(flushed(&guard, &capture), ["requests:1|c|#route:/c", "requests:1|c|#user:a"]);
    assert_eq!(guard.client().stats().folded_values, 0);
}

#[test]
fn idle_contexts_make_room_in_a_crowd() {
    let capture = Capture::new();
    let guard = quiet(&capture).context_limit(2).build().unwrap();
    let client = guard.client();
    let call = |name: &str| client.counter(name).increment(1);
    call("a");
    call("b");
    flushed(&guard, &capture);
    // There is no room for it, which is seen at the flush; the second one without a call takes the idle ones away.
    for _ in 0..2 {
        call("c");
        let lines = flushed(&guard, &capture);
        assert_eq!(lines, ["c.folded:1|c|#tasktag_overflow:true", "c:1|c|#tasktag_overflow:true"]);
    }
    call("c");
    assert_eq!(flushed(&guard, &capture), ["c:1|c"]);
    assert_eq!(client.stats().contexts, 1);
}

#[test]
fn a_million_contexts_are_summed_exactly_in_flat_memory() {
    let capture = Capture::new();
    let guard = quiet(&capture).build().unwrap();
    let client = guard.client();
    let count = |range: std::ops::Range<u32>| {
        for user in range {
            client.counter("requests").tag("user", &user.to_string()).increment(1);
        }
    };
    count(0..1_000_000);
    let total = |lines: Vec<String>, name: &str| -> u64 {
        let mark = format!("{name}:");
        let number = |line: &String| line.strip_prefix(&mark)?.split('|').next()?.parse::<u64>().ok();
        lines.iter().filter_map(number).sum()
    };
    let lines = flushed(&guard, &capture);
    assert_eq!(lines.len(), 200 + 2);
    assert_eq!(total(lines.clone(), "requests"), 1_000_000);
    assert_eq!(total(lines, "requests.folded"), 1_000_000 - 200);
    let stats = client.stats();
    assert_eq!((stats.contexts, stats.folded_values), (200, 1_000_000 - 200));
    assert_eq!(stats.accepted.values, stats.sent.values);
}

#[test]
fn forgotten_contexts_make_room() {
    let capture = Capture::new();
    let guard = quiet(&capture).context_limit(1).build().unwrap();
    let client = guard.client();
    for round in 0..5 {
        let name = format!("level.{round}");
        let gauge = client.gauge(&name).try_register().unwrap();
        gauge.set(1.0);
        assert!(client.gauge("another").try_register().is_err());
        assert_eq!(flushed(&guard, &capture), [format!("{name}:1|g")]);
        drop(gauge);
        assert_eq!(flushed(&guard, &capture), nothing());
    }
}

#[test]
fn a_name_that_is_called_no_more_is_forgotten_and_may_come_back() {
    let (guard, capture) = started();
    let client = guard.client();
    for round in 1..=3 {
        client.distribution("rows").record(f64::from(round));
        client.counter("jobs").increment(1);
        assert_eq!(flushed(&guard, &capture), ["jobs:1|c".to_owned(), format!("rows:{round}|d")]);
        for _ in 0..10 {
            assert_eq!(flushed(&guard, &capture), nothing());
        }
        assert_eq!(client.stats().contexts, 2, "not at once");
        for _ in 0..1_000 {
            client.flush(PATIENCE).unwrap();
        }
        assert_eq!(client.stats().contexts, 0);
        assert_eq!(capture.take_lines(), nothing());
    }
}

#[test]
fn names_that_are_forgotten_while_threads_call_them_lose_nothing() {
    const CALLS: u64 = 20_000;
    let (guard, capture) = started();
    let mut total = 0;
    let counted = |lines: Vec<String>| -> u64 {
        let number = |line: String| line[5..].strip_suffix("|c").unwrap().parse::<u64>().unwrap();
        lines.into_iter().map(number).sum()
    };
    thread::scope(|scope| {
        // Each round registers and forgets the context anew: a handle that is dropped takes it along.
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..CALLS {
                        guard.client().counter("jobs").register().increment(1);
                        guard.client().counter("jobs").increment(1);
                    }
                })
            })
            .collect();
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            total += counted(flushed(&guard, &capture));
        }
    });
    total += counted(flushed(&guard, &capture));
    assert_eq!(total, 2 * 2 * CALLS);
}

#[test]
fn handles_outlive_their_client() -> Result<(), Box<dyn Error>> {
    let (guard, _) = started();
    let client = guard.client().clone();
    let (gauge, counter) = (client.gauge("level").register(), client.counter("jobs").register());
    guard.shutdown(PATIENCE)?;
    gauge.set(1.0);
    counter.increment(1);
    client.set("members").insert("a");
    assert!(client.counter("late").try_register().is_ok());
    assert_eq!(client.stats().dropped(DropReason::AfterShutdown).values, 3);
    Ok(())
}

fn level(value: f64) {
    tasktag::gauge!("macro.level", "a" => "1").set(value);
}

fn count(n: u64) {
    tasktag::counter!("macro.count", "a" => "1", "b" => "2",).increment(n);
}

fn spread(value: f64) {
    tasktag::distribution!("macro.spread").record(value);
}

/// A call site whose registration is refused.
fn mismatch() {
    tasktag::counter!("macro.level").increment(1);
}

/// All that happens to the process-wide client, in its order: a process has one.
#[test]
fn macros_use_the_installed_client_and_register_once_a_call_site() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    assert!(tasktag::client().is_none());
    level(1.0);
    count(1);
    spread(1.0);
    assert!(tasktag::distribution!("macro.time").start().is_none());
    let failed = quiet(&capture).channel_capacity(0).install();
    assert!(matches!(failed, Err(ConfigError::Setting { .. })));
    assert!(tasktag::client().is_none(), "a client that could not be built is not installed");

    let guard = quiet(&capture).install()?;
    let client = tasktag::client().ok_or("installed")?;
    assert_eq!(client.stats().contexts, 0, "what was called before left nothing behind");
    for turn in 1..=3 {
        level(f64::from(turn));
        tasktag::gauge!("macro.level", "a" => "1").add(0.5);
        count(2);
        spread(0.5);
        mismatch();
    }
    let expected =
        ["macro.count:6|c|#a:1,b:2", "macro.level:3.5|g|#a:1", "macro.spread:0.5|d|@0.3333333333333333"];
    assert_eq!(flushed(&guard, &capture), expected);
    assert_eq!(client.stats().refused_registrations, 1, "a call site registers once");
    assert_eq!(flushed(&guard, &capture), ["macro.level:3.5|g|#a:1"], "a call site keeps its handle");

    let again = quiet(&capture).install();
    assert_eq!(again.unwrap_err(), ConfigError::AlreadyInstalled);
    drop(guard);
    level(9.0);
    assert_eq!(client.stats().dropped(DropReason::AfterShutdown).values, 1, "it is the installed one still");
    Ok(())
}

#[test]
fn a_builder_can_be_kept_in_a_function_of_ones_own() {
    fn pool_gauge<'a>(client: &'a Client, name: &'a str) -> MetricBuilder<'a, Gauge> {
        client.gauge(name).tag("pool", "primary").peak()
    }
    let (guard, capture) = started();
    pool_gauge(guard.client(), "waiting").set(2.0);
    assert_eq!(flushed(&guard, &capture), ["waiting.max:2|g|#pool:primary", "waiting:2|g|#pool:primary"]);
}
