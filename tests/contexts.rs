//! Contexts are told apart by what is written of them: one line, one context, and what can't be one is counted.

mod support;

use std::thread;
use std::time::Duration;
use support::PATIENCE;
use tasktag::testing::Capture;
use tasktag::{Agent, Client, ClientBuilder, Dialect, DropReason, Guard, Kind, RegisterError, TaskIdOn};

fn started(set_up: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Guard, Capture) {
    let capture = Capture::new();
    let guard = set_up(support::builder().capture(&capture)).build().unwrap();
    (guard, capture)
}

fn in_dialect(dialect: Dialect) -> (Guard, Capture) {
    started(|builder| builder.dialect(dialect))
}

fn flushed(guard: &Guard, capture: &Capture) -> Vec<String> {
    guard.client().flush(PATIENCE).unwrap();
    let mut lines = capture.take_lines();
    lines.sort();
    lines
}

#[test]
fn what_is_one_line_after_cleaning_is_one_context() {
    for (dialect, key, values, line) in [
        (Dialect::TaggedStatsd, "city", ["北京", "上海", "__"], "stock:3|g|#city:__,task_id:0042"),
        (
            Dialect::Influx,
            "customer",
            ["Jürgen", "Jörgen", "J_rgen"],
            "stock,customer=J_rgen,task_id=0042:3|g",
        ),
        (Dialect::DogStatsd, "plan", ["a+b", "a b", "a_b"], "stock:3|g|#plan:a_b,task_id:0042"),
        (Dialect::DogStatsd, "path", ["/a?x=1", "/a&x=1", "/a_x_1"], "stock:3|g|#path:/a_x_1,task_id:0042"),
        (Dialect::Graphite, "name", ["x", "x", "x"], "stock;name_=x;task_id=0042:3|g"),
        (Dialect::SignalFx, "kind", ["", "true", "true"], "stock[kind=true,task_id=0042]:3|g"),
    ] {
        let (guard, capture) = in_dialect(dialect);
        let client = guard.client();
        for turn in 0..3 {
            for (value, level) in values.into_iter().zip([1.0, 2.0, 3.0]) {
                client.gauge("stock").tag(key, value).set(level);
                client.counter("sold").tag(key, value).increment(1);
            }
            let lines = flushed(&guard, &capture);
            assert_eq!(lines.len(), 2, "{dialect:?}, turn {turn}: {lines:?}");
            assert!(lines.contains(&line.to_owned()) && lines[0].contains(":3|c"), "{lines:?}");
        }
        let (report, stats) = (client.cardinality(), client.stats());
        assert_eq!(
            (report.series(), report.contexts(), stats.contexts, stats.clashing_contexts),
            (2, 2, 2, 0)
        );
    }
}

#[test]
fn names_that_are_one_after_cleaning_have_one_kind() {
    let (guard, capture) = started(|builder| builder.prefix("shop"));
    let client = guard.client();
    client.counter("jobs done").increment(1);
    client.gauge("jobs_done").set(5.0);
    let refused = client.gauge("jobs|done").try_register().unwrap_err();
    let name = "jobs|done".to_owned();
    let expected = RegisterError::KindMismatch { name, registered: Kind::Counter, wanted: Kind::Gauge };
    assert_eq!(refused, expected);
    let handles = [client.counter("jobs:done").register(), client.counter("jobs_done").register()];
    for counter in &handles {
        counter.increment(1);
    }
    let long = "x".repeat(300);
    client.counter(&format!("{long}1")).increment(1);
    client.counter(&format!("{long}2")).increment(1);
    assert_eq!(
        flushed(&guard, &capture),
        ["shop.jobs_done:3|c|#task_id:0042".to_owned(), {
            format!("shop.{}:2|c|#task_id:0042", "x".repeat(195))
        }]
    );
    let stats = client.stats();
    assert_eq!(
        (stats.dropped(DropReason::Invalid).values, stats.refused_registrations, stats.contexts),
        (1, 1, 2)
    );
    assert_eq!(
        client.cardinality().metrics().iter().filter(|metric| metric.name() == "jobs_done").count(),
        1
    );
}

#[test]
fn tags_that_are_not_written_make_no_context() {
    let (guard, capture) = started(|builder| builder.tag("region", "eu"));
    let client = guard.client();
    let counter = |tags: &[(&str, &str)]| client.counter("jobs").tags(tags).increment(1);
    let long = "v".repeat(150);
    for tags in [
        &[][..],
        &[("", "x")],
        &[("task_id", "0042")],
        // What the global tag says.
        &[("region", "eu")],
    ] {
        counter(tags);
    }
    counter(&[("a b", "1"), ("a_b", "1"), ("z", &long)]);
    counter(&[("z", &long[..100]), ("a_b", "1")]);
    counter(&[("region", "us")]);
    assert_eq!(
        flushed(&guard, &capture),
        [
            format!("jobs:2|c|#a_b:1,z:{},region:eu,task_id:0042", &long[..100]),
            "jobs:1|c|#region:us,task_id:0042".to_owned(),
            "jobs:4|c|#region:eu,task_id:0042".to_owned(),
        ]
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
    assert_eq!((client.stats().refused_tags, client.stats().contexts), (2, 3));
}

#[test]
fn agents_that_clean_differently_keep_contexts_apart_and_the_clash_is_counted() {
    let agent = support::Agent::udp();
    let (guard, capture) =
        started(|builder| builder.also(Agent::at(agent.address()).dialect(Dialect::TaggedStatsd)));
    let client = guard.client();
    let cities = ["北京", "上海", "北京 ", "北京|"];
    let counters: Vec<_> =
        cities.iter().map(|city| client.counter("sold").tag("city", city).register()).collect();
    let plain = client.counter("sold").tag("city", "x").register();
    counters.iter().chain([&plain]).for_each(|counter| counter.increment(1));
    let lines = flushed(&guard, &capture);
    let expected = ["sold:1|c|#city:x,task_id:0042", "sold:1|c|#city:上海,task_id:0042"];
    assert_eq!(lines[..2], expected);
    // The last two are one for both agents.
    assert_eq!(lines[2..], ["sold:1|c|#city:北京,task_id:0042", "sold:2|c|#city:北京_,task_id:0042"]);
    let mut others = agent.lines(4);
    others.sort();
    let one = "sold:1|c|#city:__,task_id:0042";
    assert_eq!(others, [one, one, "sold:1|c|#city:x,task_id:0042", "sold:2|c|#city:___,task_id:0042"]);
    let clashing = |agent| client.stats_of(agent).unwrap().clashing_contexts;
    assert_eq!((clashing(0), clashing(1), client.cardinality().clashing_contexts()), (0, 2, 0));
    assert_eq!(client.cardinality().series(), 4);
    drop((counters, plain));
    for _ in 0..3 {
        flushed(&guard, &capture);
    }
    assert_eq!((client.stats().contexts, clashing(1)), (0, 0), "they are forgotten");
}

#[test]
fn without_tags_contexts_that_differ_in_them_alone_are_counted_and_stay_apart() {
    let (guard, capture) = in_dialect(Dialect::Statsd);
    let client = guard.client();
    let gauges = ["a", "b", "b c"].map(|queue| client.gauge("depth").tag("queue", queue).register());
    let same = client.gauge("depth").tag("queue", "b_c").register();
    gauges.iter().zip([1.0, 2.0, 3.0]).for_each(|(gauge, level)| gauge.set(level));
    same.set(4.0);
    client.counter("jobs").tag("queue", "a").increment(1);
    assert_eq!(flushed(&guard, &capture), ["depth:1|g", "depth:2|g", "depth:4|g", "jobs:1|c"]);
    let report = client.cardinality();
    assert_eq!((client.stats().clashing_contexts, report.clashing_contexts()), (3, 3));
    assert_eq!((report.contexts(), report.series()), (4, 2));
}

#[test]
fn a_series_that_two_metrics_write_is_one() {
    let (guard, _) = started(|builder| builder);
    let client = guard.client();
    let _level = client.gauge("level").peak().register();
    let _own = client.gauge("level.max").register();
    let _pool = client.occupancy("pool", 4).register();
    let _in_use = client.gauge("pool.in_use").register();
    assert_eq!(client.cardinality().series(), 2 + 3);
}

#[test]
fn a_context_is_forgotten_with_all_its_spellings_and_not_before() {
    let (guard, capture) = started(|builder| builder.context_limit(2));
    let client = guard.client();
    let spellings = ["a b", "a+b", "a|b"];
    // Handles by any spelling hold the context.
    let handle = client.gauge("level").tag("k", spellings[1]).register();
    handle.set(1.0);
    for spelling in spellings {
        client.gauge("level").tag("k", spelling).set(2.0);
    }
    for _ in 0..200 {
        assert_eq!(flushed(&guard, &capture), ["level:2|g|#k:a_b,task_id:0042"]);
    }
    drop(handle);
    // A call by any spelling is a call of the context. Its thread remembers it.
    for turn in 0..3 {
        for spelling in spellings {
            client.gauge("level").tag("k", spelling).set(f64::from(turn));
            assert_eq!(flushed(&guard, &capture), [format!("level:{turn}|g|#k:a_b,task_id:0042")]);
        }
    }
    // A gauge that was called by name stays for as long as there is room.
    for _ in 0..200 {
        assert_eq!(flushed(&guard, &capture), ["level:2|g|#k:a_b,task_id:0042"]);
    }
    for name in ["first", "second"] {
        client.counter(name).increment(1);
    }
    flushed(&guard, &capture);
    assert_eq!(client.stats().contexts, 1, "it made room for what was refused");
    for _ in 0..200 {
        flushed(&guard, &capture);
    }
    assert_eq!(client.stats().contexts, 0);
    client.counter("level").tag("k", "a b").increment(1);
    assert_eq!(flushed(&guard, &capture), ["level:1|c|#k:a_b,task_id:0042"]);
}

#[test]
fn more_spellings_than_there_may_be_aliases_lose_nothing() {
    let (guard, capture) = started(|builder| builder.context_limit(2).metric_context_limit(2));
    let client = guard.client();
    for n in 0..100_u32 {
        // A symbol each: all are written as `_`.
        let value = char::from_u32(0x2600 + n).unwrap().to_string();
        client.counter("jobs").tag("k", &value).increment(1);
        client.counter("jobs").tag("k", &value).increment(1);
    }
    assert_eq!(flushed(&guard, &capture), ["jobs:200|c|#k:_,task_id:0042"]);
    assert_eq!((client.stats().contexts, client.stats().folded_values), (1, 0));
}

#[test]
fn what_is_folded_is_folded_into_the_metric_of_the_written_name() {
    let (guard, capture) = started(|builder| builder.metric_context_limit(1));
    let client = guard.client();
    for name in ["jobs done", "jobs_done"] {
        for value in ["a", "b c", "b_c"] {
            client.counter(name).tag("k", value).increment(1);
        }
    }
    assert_eq!(
        flushed(&guard, &capture),
        [
            "jobs_done.folded:4|c|#tasktag_overflow:true,task_id:0042",
            "jobs_done:2|c|#k:a,task_id:0042",
            "jobs_done:4|c|#tasktag_overflow:true,task_id:0042",
        ]
    );
    assert_eq!(client.stats().folded_values, 4);
}

#[test]
fn threads_that_spell_a_context_differently_lose_nothing_while_it_is_forgotten() {
    const CALLS: u64 = 20_000;
    let (guard, capture) = started(|builder| builder.context_limit(2));
    let client = guard.client();
    let counted = || -> u64 {
        client.flush(PATIENCE).unwrap();
        // Its own line, or that of its overflow context.
        let number = |line: String| line.strip_prefix("jobs:")?.split('|').next()?.parse::<u64>().ok();
        capture.take_lines().into_iter().filter_map(number).sum()
    };
    let (mut total, mut n) = (0, 0);
    thread::scope(|scope| {
        // A handle that is dropped takes the context along, whatever it was asked for by.
        let threads = ["a b", "a+b", "a_b"].map(|value| {
            scope.spawn(move || {
                for _ in 0..CALLS {
                    client.counter("jobs").tag("k", value).register().increment(1);
                    client.counter("jobs").tag("k", value).increment(1);
                }
            })
        });
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            // Finds no room, so that what is not called for two flushes is forgotten.
            n += 1;
            client.counter("other").tag("n", &n.to_string()).increment(1);
            total += counted();
        }
    });
    assert_eq!(total + counted(), 3 * 2 * CALLS);
    assert_eq!(client.stats().dropped_total().values, 0);
}

#[test]
fn a_thousand_tags_are_a_call_and_no_square_of_them() {
    let (guard, capture) = started(|builder| builder.max_packet_size(65_507).agent("udp://127.0.0.1:9"));
    let client: &Client = guard.client();
    let texts: Vec<(String, String)> = (0..1_000).map(|n| (format!("key{n}"), format!("v{n}"))).collect();
    let tags: Vec<(&str, &str)> = texts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let turned: Vec<(&str, &str)> = tags.iter().rev().chain(&tags[..500]).copied().collect();
    for _ in 0..500 {
        client.counter("jobs").tags(&tags).increment(1);
        client.counter("jobs").tags(&turned).increment(1);
    }
    client.counter("jobs").tags(&tags[1..]).increment(1);
    client.flush(Duration::from_secs(60)).unwrap();
    let metrics = capture.take_metrics().unwrap();
    let mut counts: Vec<_> =
        metrics.iter().map(|metric| (metric.value.number(), metric.tags.len())).collect();
    counts.sort_by_key(|(_, tags)| *tags);
    assert_eq!(counts, [(Some(1.0), 1_000), (Some(1_000.0), 1_001)]);
}

#[test]
fn other_words_for_a_context_take_no_room_from_other_contexts() {
    let (guard, capture) = started(|builder| builder.context_limit(2).metric_context_limit(2));
    let client = guard.client();
    for value in ["a b", "a+b", "a|b", "a_b", "c"] {
        client.gauge("pool size").tag("pool", value).set(1.0);
    }
    assert_eq!((client.stats().contexts, client.stats().folded_values), (2, 0));
    for _ in 0..5 {
        // The one is called, if by other words; the other is not.
        client.gauge("pool size").tag("pool", "a|b").set(2.0);
        flushed(&guard, &capture);
    }
    for name in ["pool size", "pool+size", "pool_size"] {
        client.gauge(name).tag("pool", "d").set(3.0);
    }
    client.gauge("pool size").tag("pool", "a b").set(2.0);
    flushed(&guard, &capture);
    assert_eq!(client.stats().contexts, 1, "one made room for one");
    client.gauge("pool size").tag("pool", "d").set(3.0);
    assert_eq!(
        flushed(&guard, &capture),
        [
            "pool_size:2|g|#pool:a_b,task_id:0042",
            "pool_size:3|g|#pool:d,task_id:0042",
            // Until the next flush.
            "pool_size:3|g|#tasktag_overflow:true,task_id:0042"
        ]
    );
}

#[test]
fn a_gauge_whose_last_handle_is_dropped_ends_by_whatever_words_it_was_asked_for() {
    let (guard, capture) = started(|builder| builder);
    let client = guard.client();
    client.gauge("level").tag("k", "a b").set(1.0);
    flushed(&guard, &capture);
    drop(client.gauge("level").tag("k", "a b").register());
    for _ in 0..3 {
        flushed(&guard, &capture);
    }
    assert_eq!((flushed(&guard, &capture), client.stats().contexts), (vec![], 0));
}

#[test]
fn lines_that_have_no_task_id_in_any_case_are_one_series_and_a_clash() {
    let (guard, capture) = started(|builder| builder.task_id_on(TaskIdOn::Levels));
    let client = guard.client();
    for name in ["jobs done", "jobs_done"] {
        client.counter(name).increment(1);
        client.counter(name).without_task_id().increment(1);
        client.gauge(name.replace("jobs", "level").as_str()).set(1.0);
        client.gauge(name.replace("jobs", "level").as_str()).without_task_id().set(1.0);
    }
    assert_eq!(
        flushed(&guard, &capture),
        ["jobs_done:2|c", "jobs_done:2|c", "level_done:1|g", "level_done:1|g|#task_id:0042"]
    );
    let (report, stats) = (client.cardinality(), client.stats());
    let of_each: Vec<_> =
        report.metrics().iter().map(|metric| (metric.series(), metric.series_of_each_task())).collect();
    assert_eq!(of_each, [(2, 1), (1, 0)]);
    assert_eq!((report.series(), stats.contexts, stats.clashing_contexts), (3, 4, 2));
}
