//! cadence's clients over ours: what they say arrives, once, with the task id, and what does not is counted.

#![cfg(feature = "cadence")]

mod support;

use cadence::ext::MetricBackend;
use cadence::prelude::*;
use cadence::{Metric, MetricSink, StatsdClient};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::{Agent, PATIENCE, assert_conserved, builder};
use tasktag::integrations::cadence::{CadenceSink, Refused, TaskIdExt};
use tasktag::testing::{Capture, ManualClock, ParsedMetric};
use tasktag::{ClientBuilder, DropReason, Guard, Kind, TaskId};

struct Bridge {
    guard: Guard,
    capture: Capture,
    statsd: StatsdClient,
}

impl Bridge {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let capture = Capture::new();
        let guard = set(builder()).capture(&capture).build().unwrap();
        let statsd = StatsdClient::from_sink("", CadenceSink::new(guard.client()).flush_timeout(PATIENCE));
        Self { guard, capture, statsd }
    }

    /// What a flush of the cadence client sends, sorted.
    fn lines(&self) -> Vec<String> {
        self.statsd.flush().unwrap();
        assert_conserved(&self.guard.client().stats());
        let mut lines = self.capture.take_lines();
        lines.sort();
        lines
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.guard.client().stats().dropped(reason).values
    }

    fn sink(&self) -> CadenceSink {
        CadenceSink::new(self.guard.client())
    }
}

fn reason(error: &std::io::Error) -> DropReason {
    error.get_ref().unwrap().downcast_ref::<Refused>().unwrap().reason()
}

/// A line of a program's own, as `send_metric` takes it.
struct Raw(String);

impl Metric for Raw {
    fn as_metric_str(&self) -> &str {
        &self.0
    }
}

#[test]
fn every_kind_arrives_aggregated_with_one_task_id() {
    let bridge = Bridge::new();
    let statsd = &bridge.statsd;
    for n in 1..=3_u64 {
        statsd.count_with_tags("jobs", 2).with_tag("queue", "mail").with_tag_value("urgent").send();
        statsd.gauge("level", n).unwrap();
        statsd.time("query", n).unwrap();
        statsd.histogram("size", n).unwrap();
        statsd.distribution("wait", 0.5).unwrap();
        statsd.meter("requests", n).unwrap();
        statsd.set("users", 7).unwrap();
    }
    assert_eq!(
        bridge.lines(),
        [
            "jobs:6|c|#queue:mail,urgent,task_id:0042",
            "level:3|g|#task_id:0042",
            "query:1:2:3|ms|#task_id:0042",
            "requests:6|c|#task_id:0042",
            "size:1:2:3|h|#task_id:0042",
            "users:7|s|#task_id:0042",
            "wait:0.5|d|@0.3333333333333333|#task_id:0042",
        ]
    );
}

#[test]
fn clone_drop_stops_nothing() {
    let bridge = Bridge::new();
    let sink = bridge.sink();
    for _ in 0..10 {
        drop(sink.clone());
        drop(StatsdClient::from_sink("", sink.clone()));
    }
    for _ in 0..1000 {
        bridge.statsd.count("jobs", 1).unwrap();
    }
    drop(sink);
    assert_eq!(bridge.lines(), ["jobs:1000|c|#task_id:0042"]);
}

#[test]
fn full_queue_loses_no_gauge_and_its_losses_are_errors_and_in_the_stats() {
    let bridge = Bridge::with(|builder| builder.channel_capacity(2));
    for member in 0..2 {
        bridge.statsd.set("users", member).unwrap();
    }
    let sink = bridge.sink();
    assert_eq!(reason(&sink.emit("users:9|s").unwrap_err()), DropReason::ChannelFull);
    assert!(bridge.statsd.set("users", 10).is_err());
    bridge.statsd.gauge("level", 7_u64).unwrap();
    assert_eq!(bridge.dropped(DropReason::ChannelFull), 2);
    assert_eq!(sink.stats().packets_dropped, 2);
    assert_eq!(
        bridge.lines(),
        ["level:7|g|#task_id:0042", "users:0|s|#task_id:0042", "users:1|s|#task_id:0042"]
    );
}

#[test]
fn flush_drains_and_stats_say_what_left() {
    let agent = Agent::udp();
    let guard = builder().agent(agent.address()).build().unwrap();
    let sink = CadenceSink::new(guard.client()).flush_timeout(PATIENCE);
    let statsd = StatsdClient::from_sink("", sink.clone());
    for n in 0..10_u64 {
        statsd.gauge(&format!("level.{n}"), n).unwrap();
    }
    statsd.flush().unwrap();
    let lines = agent.lines(10);
    assert_eq!(lines.len(), 10);
    let bytes = lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>();
    let stats = sink.stats();
    assert_eq!((stats.bytes_sent, stats.packets_sent, stats.bytes_dropped), (bytes, 1, 0));
}

#[test]
fn what_the_agent_does_not_take_is_in_the_stats() {
    let bridge = Bridge::new();
    bridge.capture.set_away(true);
    bridge.statsd.gauge("level", 1_u64).unwrap();
    bridge.statsd.flush().unwrap();
    let stats = bridge.sink().stats();
    assert_eq!((stats.packets_sent, stats.packets_dropped), (0, 1));
    assert_eq!(stats.bytes_dropped, "level:1|g|#task_id:0042\n".len() as u64);
}

#[test]
fn flush_before_exit_is_the_guards_and_what_comes_later_is_an_error() {
    let Bridge { guard, capture, statsd } = Bridge::new();
    let client = guard.client().clone();
    statsd.count("jobs", 3).unwrap();
    drop(guard);
    assert_eq!(capture.take_lines(), ["jobs:3|c|#task_id:0042"]);
    assert!(statsd.count("jobs", 1).is_err());
    assert!(statsd.flush().is_err());
    assert_eq!(client.stats().dropped(DropReason::AfterShutdown).values, 1);
}

#[test]
fn a_lone_gauge_is_sent_by_the_timer() {
    let clock = ManualClock::new();
    let bridge = Bridge::with(|builder| builder.clock(&clock).flush_interval(Duration::from_secs(2)));
    bridge.statsd.gauge("level", 7_u64).unwrap();
    assert!(bridge.capture.take_lines().is_empty());
    clock.advance(Duration::from_secs(2));
    assert_eq!(bridge.capture.take_lines(), ["level:7|g|#task_id:0042"]);
}

#[test]
fn what_is_no_number_is_refused_and_its_error_reaches_the_handler() {
    let bridge = Bridge::new();
    let errors = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&errors);
    let statsd = StatsdClient::builder("", bridge.sink())
        .with_error_handler(move |error| noted.lock().unwrap().push(error.to_string()))
        .build();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        statsd.gauge_with_tags("level", value).with_timestamp(1_658_997_712).send();
        statsd.histogram_with_tags("size", vec![1.0, value]).send();
        statsd.distribution_with_tags("wait", value).send();
    }
    assert_eq!(*errors.lock().unwrap(), ["the line was dropped: invalid"; 9]);
    assert_eq!(bridge.dropped(DropReason::Invalid), 9);
    // The numbers beside them are not lost.
    assert_eq!(bridge.lines(), ["size:1|h|@0.3333333333333333|#task_id:0042"]);
}

#[test]
fn negative_gauges_are_levels() {
    let bridge = Bridge::new();
    bridge.statsd.gauge("level", 10.0).unwrap();
    bridge.statsd.gauge("level", -5.0).unwrap();
    assert_eq!(bridge.lines(), ["level:-5|g|#task_id:0042"]);
    // In plain StatsD, where a sign means a difference, too.
    let bridge = Bridge::with(|builder| builder.dialect(tasktag::Dialect::Statsd));
    bridge.statsd.gauge("level", -5.0).unwrap();
    assert_eq!(bridge.lines(), ["level:-5|g", "level:0|g"]);
}

#[test]
fn a_gauge_of_301_digits_is_the_number_that_it_is() {
    let bridge = Bridge::new();
    bridge.statsd.gauge("huge", 1e300).unwrap();
    bridge.statsd.gauge("tiny", 1e-300).unwrap();
    bridge.statsd.flush().unwrap();
    let metrics = bridge.capture.take_metrics().unwrap();
    let number = |name: &str| {
        let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
        metric.value.number().unwrap()
    };
    assert_eq!((number("huge"), number("tiny"), metrics.len()), (1e300, 1e-300, 2));
}

#[test]
fn tag_forging_makes_no_second_metric_and_no_task_id() {
    let bridge = Bridge::new();
    let hostile = [
        "b,c|d\ne",
        "b\nforged:1|g",
        "b|c:forged",
        "b|#task_id:0007",
        "b,task_id:0007",
        "b,TASK_ID:0007",
        "b,tas\u{212a}_id:0007",
        "b|@0.001",
        "b|g\nforged:1|g|#task_id:0007",
        "b,",
        ",",
        "|",
    ];
    let statsd = &bridge.statsd;
    for text in hostile {
        // Refused or not, as the text is.
        let _ = statsd.gauge_with_tags("tagged", 1_u64).with_tag("a", text).try_send();
        let _ = statsd.gauge_with_tags("tagged", 1_u64).with_tag_value(text).try_send();
        let _ = statsd.gauge_with_tags("tagged", 1_u64).with_tag(text, "a").try_send();
        let _ = statsd.gauge_with_tags("tagged", 1_u64).with_container_id(text).try_send();
    }
    statsd.flush().unwrap();
    let metrics = bridge.capture.take_metrics().unwrap();
    // What is cleaned or left out of their tags makes no context of its own.
    assert_eq!(metrics.len(), 7, "{metrics:#?}");
    for metric in &metrics {
        let ids: Vec<_> = metric.tags.iter().filter(|(key, _)| key.to_lowercase() == "task_id").collect();
        assert_eq!(ids, [&("task_id".to_owned(), "0042".to_owned())], "{metric:?}");
        assert_eq!((metric.name.as_str(), metric.rate, &metric.origin.container_id), ("tagged", 1.0, &None));
    }
}

#[test]
fn name_forging_makes_no_second_metric() {
    let bridge = Bridge::new();
    for name in
        ["a:1|c|#b", "a:1|g\nforged", "a:1|c|@0.1|#", "a:1|c|#b|c", "a:1|c|T1", "a|c", "a b", "_e{1,1}:"]
    {
        let _ = bridge.statsd.count(name, 1);
    }
    let lines = bridge.lines();
    // Each call is one metric at most.
    assert_eq!(lines, ["a_b:1|c|#task_id:0042", "a_c:1|c|#task_id:0042", "m__e_1_1__:1|c|#task_id:0042"]);
    assert_eq!(bridge.dropped(DropReason::Invalid), 5);
}

#[test]
fn double_task_id_is_one_and_the_clients() {
    let bridge = Bridge::new();
    let statsd = StatsdClient::builder("", bridge.sink()).with_task_id().with_tag("task_id", "0007").build();
    statsd.gauge("level", 7_u64).unwrap();
    statsd.gauge_with_tags("level", 8_u64).with_tag("task_id", "0008").try_send().unwrap();
    bridge.statsd.gauge("level", 9_u64).unwrap();
    statsd.gauge_with_tags("own", 8_u64).with_tag("Task_ID", "0042").try_send().unwrap();
    let lines = bridge.lines();
    // What another task is called stays; what says the client's id twice does not.
    assert_eq!(
        lines,
        [
            "level:7|g|#task_id_:0007,task_id:0042",
            "level:8|g|#task_id_:0007,task_id_:0008,task_id:0042",
            "level:9|g|#task_id:0042",
            "own:8|g|#task_id_:0007,task_id:0042",
        ]
    );
    assert_eq!(bridge.guard.client().stats().refused_tags, 4);
}

#[test]
fn with_other_sinks_the_builder_adds_the_task_id() {
    let (lines, sink) = cadence::SpyMetricSink::new();
    let statsd = StatsdClient::builder("shop", sink).with_task_id().build();
    statsd.gauge("level", 7_u64).unwrap();
    let line = String::from_utf8(lines.recv().unwrap()).unwrap();
    assert_eq!(line, format!("shop.level:7|g|#{}", TaskId::current().tag()));
}

#[test]
fn a_sampled_count_stands_for_what_was_not_sent() {
    let bridge = Bridge::new();
    let statsd = &bridge.statsd;
    statsd.count_with_tags("jobs", 3).with_sampling_rate(0.1).send();
    statsd.meter_with_tags("requests", 1).with_sampling_rate(1.0 / 3.0).send();
    statsd.time_with_tags("query", 12).with_sampling_rate(0.25).send();
    statsd.distribution_with_tags("wait", 0.5).with_sampling_rate(0.3).send();
    statsd.gauge_with_tags("level", 8.0).with_sampling_rate(0.5).send();
    assert_eq!(
        bridge.lines(),
        [
            "jobs:30|c|#task_id:0042",
            "level:8|g|#task_id:0042",
            "query:12|ms|@0.25|#task_id:0042",
            "requests:3|c|#task_id:0042",
            // 3.33 of them, of which the Agent would count 3.
            "wait:0.5|d|@0.3333333333333333|#task_id:0042",
        ]
    );
    for rate in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY, 1e-300] {
        assert!(statsd.count_with_tags("jobs", 1).with_sampling_rate(rate).try_send().is_err(), "{rate}");
    }
    assert_eq!(bridge.lines(), ["level:8|g|#task_id:0042"]);
    assert_eq!(bridge.dropped(DropReason::Invalid), 6);
}

#[test]
fn counters_count_down_too() {
    let bridge = Bridge::new();
    bridge.statsd.decr("jobs").unwrap();
    bridge.statsd.count("jobs", -41).unwrap();
    assert_eq!(bridge.lines(), ["jobs:-42|c|#task_id:0042"]);
    bridge.statsd.count("jobs", 50).unwrap();
    bridge.statsd.decr("jobs").unwrap();
    assert_eq!(bridge.lines(), ["jobs:49|c|#task_id:0042"]);
    bridge.statsd.count("large", u64::MAX).unwrap();
    assert_eq!(bridge.lines(), ["large:18446744073709551615|c|#task_id:0042"]);
}

#[test]
fn times_of_their_own_are_kept_where_an_agent_takes_them() {
    let bridge = Bridge::new();
    let statsd = &bridge.statsd;
    statsd.gauge_with_tags("level", 3.5).with_timestamp(1_700_000_000).try_send().unwrap();
    statsd.count_with_tags("jobs", 2).with_timestamp(1_700_000_001).try_send().unwrap();
    let sink = bridge.sink();
    for text in ["query:1|ms|T1700000000", "users:1|s|T1700000000"] {
        assert_eq!(reason(&sink.emit(text).unwrap_err()), DropReason::Unsupported, "{text}");
    }
    for text in ["jobs:1|c|T0", "jobs:1|c|T-1", "jobs:1|c|T18446744073709551615", "jobs:-1|c|T1700000000"] {
        assert_eq!(reason(&sink.emit(text).unwrap_err()), DropReason::Invalid, "{text}");
    }
    assert_eq!(
        bridge.lines(),
        ["jobs:2|c|#task_id:0042|T1700000001", "level:3.5|g|#task_id:0042|T1700000000"]
    );
}

#[test]
fn a_path_is_a_name_as_others_are() {
    let bridge = Bridge::new();
    let statsd = &bridge.statsd;
    for (kind, name) in
        [("c", "my_crate::worker"), ("g", "shop:2"), ("s", "a:b:"), ("ms", "x::y"), ("h", "x:1:y")]
    {
        match kind {
            "c" => drop(statsd.count(name, 7).unwrap()),
            "g" => drop(statsd.gauge(name, -1.5).unwrap()),
            "s" => drop(statsd.set(name, 9).unwrap()),
            "ms" => drop(statsd.time(name, vec![1_u64, 2]).unwrap()),
            _ => drop(statsd.histogram(name, vec![0.5, 4.0]).unwrap()),
        }
    }
    let lines = bridge.lines();
    let expected = ["a_b_:9|s", "my_crate__worker:7|c", "shop_2:-1.5|g", "x_1_y:0.5:4|h", "x__y:1:2|ms"];
    assert_eq!(lines, expected.map(|line| format!("{line}|#task_id:0042")));
    assert_eq!(bridge.guard.client().stats().dropped_total().values, 0);
}

#[test]
fn a_line_that_is_refused_is_one_loss() {
    let bridge = Bridge::new();
    let texts = ["a::b:c|c", "a:1:|ms", "a::b:1x|h", "a:1:2:x|d", "::|g", "a::b:1|x", "a::b"];
    for (before, text) in texts.into_iter().enumerate() {
        assert_eq!(reason(&bridge.sink().emit(text).expect_err(text)), DropReason::Invalid);
        assert_eq!(bridge.dropped(DropReason::Invalid), before as u64 + 1, "{text}");
    }
    assert_eq!(bridge.lines(), [""; 0]);
}

#[test]
fn values_that_are_refused_together_are_counted_one_by_one() {
    let bridge = Bridge::new();
    let sink = bridge.sink();
    // Sent every so often, each stands for others.
    for (text, values) in
        [("a:1:2:3|h|T1700000000", 3), ("a:1:2|d|@0.1|T1700000000", 20), ("a:b:c|s|T1700000000", 1)]
    {
        let before = bridge.dropped(DropReason::Unsupported);
        assert_eq!(reason(&sink.emit(text).unwrap_err()), DropReason::Unsupported, "{text}");
        assert_eq!(bridge.dropped(DropReason::Unsupported) - before, values, "{text}");
    }
    for (text, values) in [
        ("a:1:2|h|T18446744073709551615", 2),
        ("b:1:2:3|ms|T18446744073709551615", 3),
        ("c:1:x:NaN|ms|@0.5", 2),
    ] {
        let before = bridge.dropped(DropReason::Invalid);
        assert_eq!(reason(&sink.emit(text).unwrap_err()), DropReason::Invalid, "{text}");
        assert_eq!(bridge.dropped(DropReason::Invalid) - before, values, "{text}");
    }
    assert_conserved(&bridge.guard.client().stats());
}

#[test]
fn what_is_counted_and_timed_under_one_name_arrives_as_both() {
    let bridge = Bridge::with(|builder| builder.metric_context_limit(1));
    let statsd = &bridge.statsd;
    for turn in 0..3 {
        for _ in 0..50 {
            statsd.count("request", 1).unwrap();
            statsd.time("request", 12).unwrap();
            statsd.distribution("size", 4_u64).unwrap();
            statsd.count("size", 2).unwrap();
            statsd.histogram("b c", 8_u64).unwrap();
            statsd.count("b|c", 1).unwrap();
            statsd.count_with_tags("request", 1).with_tag("a", "b").send();
            statsd.time_with_tags("request", 3).with_tag("a", "b").send();
        }
        let lines = bridge.lines();
        let folded = "#tasktag_overflow:true,task_id:0042";
        let mut expected = [
            "b_c:50|c|#task_id:0042".to_owned(),
            "b_c:8|h|@0.02|#task_id:0042".to_owned(),
            // Of the counts, and of the times.
            format!("request.folded:50|c|{folded}"),
            format!("request.folded:50|c|{folded}"),
            format!("request:3|ms|@0.02|{folded}"),
            format!("request:50|c|{folded}"),
            "request:12|ms|@0.02|#task_id:0042".to_owned(),
            "request:50|c|#task_id:0042".to_owned(),
            "size:100|c|#task_id:0042".to_owned(),
            "size:4|d|@0.02|#task_id:0042".to_owned(),
        ];
        expected.sort();
        assert_eq!(lines, expected, "turn {turn}");
    }
    let report = bridge.guard.client().cardinality();
    let kinds: Vec<_> = report.metrics().iter().map(|metric| (metric.name(), metric.kind())).collect();
    assert!(
        kinds.contains(&("request", Kind::Counter)) && kinds.contains(&("request", Kind::Timing)),
        "{kinds:?}"
    );
    assert_eq!(bridge.guard.client().stats().clashing_contexts, 0);
    assert_conserved(&bridge.guard.client().stats());
}

#[test]
fn other_kinds_of_one_name_are_refused() {
    let bridge = Bridge::new();
    let sink = bridge.sink();
    sink.emit("jobs:1|c").unwrap();
    sink.emit("jobs:1|ms").unwrap();
    for text in ["jobs:1|g", "jobs:1|s", "jobs:1|h", "jobs:1|d"] {
        assert_eq!(reason(&sink.emit(text).unwrap_err()), DropReason::Invalid, "{text}");
    }
    // Who uses the client itself is told of what may be a mistake.
    let client = bridge.guard.client();
    client.counter("queries").increment(1);
    assert!(client.timing("queries").try_register().is_err());
    assert!(sink.emit("queries:1|ms").is_ok() && client.timing("queries").try_register().is_ok());
    client.gauge("level").set(1.0);
    assert_eq!(reason(&sink.emit("level:1|c").unwrap_err()), DropReason::Invalid);
    assert_eq!(bridge.dropped(DropReason::Invalid), 5);
    let lines = bridge.lines();
    assert_eq!(
        lines,
        ["jobs:1|c", "jobs:1|ms", "level:1|g", "queries:1|c", "queries:1|ms"]
            .map(|line| format!("{line}|#task_id:0042"))
    );
}

#[test]
fn a_name_of_two_kinds_is_free_once_both_are_forgotten() {
    let bridge = Bridge::new();
    let sink = bridge.sink();
    sink.emit("jobs:1|c").unwrap();
    sink.emit("jobs:1|ms").unwrap();
    for _ in 0..1_000 {
        bridge.guard.client().flush(PATIENCE).unwrap();
    }
    // Its thread remembers both until it asks for one.
    assert_eq!(bridge.guard.client().stats().contexts, 0);
    sink.emit("jobs:3|g").unwrap();
    assert!(sink.emit("jobs:1|ms").is_err());
}

#[test]
fn more_tags_than_have_places_are_kept() {
    let bridge = Bridge::new();
    let keys: Vec<String> = (0..40).map(|n| format!("k{n:02}")).collect();
    let mut metric = bridge.statsd.gauge_with_tags("level", 7_u64).with_tag("task_id", "0007");
    for key in &keys {
        metric = metric.with_tag(key, "v");
    }
    metric.try_send().unwrap();
    bridge.statsd.flush().unwrap();
    let metrics: Vec<ParsedMetric> = bridge.capture.take_metrics().unwrap();
    assert_eq!(metrics[0].tags.len(), 42);
    assert_eq!(bridge.guard.client().stats().refused_tags, 0);
}

#[test]
fn lines_that_cant_be_read_are_refused_and_counted() {
    let bridge = Bridge::new();
    let unreadable = [
        "",
        ":",
        "a",
        "a:",
        "a:1",
        "a:1|",
        ":1|c",
        "a:1|x",
        "a:|c",
        "a:1.5|c",
        "a:--1|c",
        "a:-+1|c",
        "a:1|c|",
        "a:1|c|x",
        "a:1|c|#a|@0.5",
        "a:1|c|@0.5|@0.5",
        "a:1|c|c:x|#a",
        "a:1e300|c",
        "a:|ms",
        "a: 1|g",
        "a:0x10|g",
        "a:1|g|c:x|e:y",
    ];
    for text in unreadable {
        let error = bridge.sink().emit(text).expect_err(text);
        assert_eq!(reason(&error), DropReason::Invalid, "{text:?}");
    }
    assert!(bridge.statsd.send_metric(&Raw("no metric".to_owned())).is_err());
    assert_eq!((bridge.lines(), bridge.dropped(DropReason::Invalid)), (vec![], unreadable.len() as u64 + 1));
}

#[test]
fn what_other_formatters_write_is_read_as_the_agent_reads_it() {
    let bridge = Bridge::new();
    for text in ["a:+2|c", "a:3.0|c", "b:+5|g", "s:a:b|s", "d:1:2|d"] {
        assert_eq!(bridge.sink().emit(text).unwrap(), text.len());
    }
    let lines =
        ["a:5|c|#task_id:0042", "b:5|g|#task_id:0042", "d:1:2|d|#task_id:0042", "s:a:b|s|#task_id:0042"];
    assert_eq!(bridge.lines(), lines);
}

#[test]
fn a_sink_may_cross_threads_and_panics() {
    fn crosses<T: Send + Sync + UnwindSafe + RefUnwindSafe + Clone + 'static>() {}
    crosses::<CadenceSink>();
    let bridge = Bridge::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| bridge.statsd.count("jobs", 1).map(drop).unwrap()));
        }
    });
    assert_eq!(bridge.lines(), ["jobs:4000|c|#task_id:0042"]);
}

#[test]
fn a_flush_waits_no_longer_than_it_may() {
    let bridge = Bridge::new();
    let sink = bridge.sink().flush_timeout(Duration::ZERO);
    assert_eq!(sink.flush().unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert!(bridge.sink().flush_timeout(PATIENCE).flush().is_ok());
}
