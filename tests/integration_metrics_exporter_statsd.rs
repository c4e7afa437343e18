//! metrics-exporter-statsd's recorder over our client: what it says arrives, with the task id, once.

#![cfg(feature = "metrics-exporter-statsd")]

mod support;

use cadence::{MetricSink, SpyMetricSink};
use metrics_exporter_statsd::{StatsdBuilder, StatsdRecorder};
use support::{assert_conserved, builder};
use tasktag::integrations::cadence::CadenceSink;
use tasktag::integrations::metrics_exporter_statsd::StatsdBuilderExt;
use tasktag::testing::{Capture, ManualClock};
use tasktag::{DropReason, Guard, TaskId};

fn client() -> (Guard, Capture) {
    let capture = Capture::new();
    let guard = builder().capture(&capture).build().unwrap();
    (guard, capture)
}

fn use_all(recorder: &StatsdRecorder) {
    metrics::with_local_recorder(recorder, || {
        for _ in 0..3 {
            metrics::counter!("jobs", "queue" => "mail").increment(2);
            metrics::gauge!("level").set(7.5);
            metrics::histogram!("size").record(3.0);
        }
    });
}

fn lines(guard: &Guard, capture: &Capture) -> Vec<String> {
    CadenceSink::new(guard.client()).flush().unwrap();
    assert_conserved(&guard.client().stats());
    let mut lines = capture.take_lines();
    lines.sort();
    lines
}

const EXPECTED: [&str; 3] = [
    "shop.jobs:6|c|#queue:mail,task_id:0042",
    "shop.level:7.5|g|#task_id:0042",
    "shop.size:3|h|@0.3333333333333333|#task_id:0042",
];

#[test]
fn over_a_client_everything_is_aggregated_with_one_task_id() {
    let (guard, capture) = client();
    // A host and a port that are none are not looked at.
    use_all(&StatsdBuilder::from("", 0).with_client(guard.client()).build(Some("shop")).unwrap());
    assert_eq!(lines(&guard, &capture), EXPECTED);
    assert_eq!(guard.client().stats().refused_tags, 0);
}

#[test]
fn double_task_id_is_one_whoever_adds_it_and_in_whatever_order() {
    let orders: [fn(StatsdBuilder, &Guard) -> StatsdBuilder; 4] = [
        |builder, guard| builder.with_task_id().with_client(guard.client()),
        |builder, guard| builder.with_client(guard.client()).with_task_id(),
        |builder, guard| builder.with_task_id().with_task_id().with_client(guard.client()),
        |builder, guard| {
            builder.with_default_tag("task_id", "0042").with_sink(CadenceSink::new(guard.client()))
        },
    ];
    for build in orders {
        let (guard, capture) = client();
        use_all(&build(StatsdBuilder::from("", 0), &guard).build(Some("shop")).unwrap());
        assert_eq!(lines(&guard, &capture), EXPECTED);
        assert!(guard.client().stats().refused_tags >= 9);
    }
}

#[test]
fn with_its_own_sink_the_recorder_has_the_process_id() {
    let (lines, sink) = SpyMetricSink::new();
    let recorder = StatsdBuilder::from("", 0).with_sink(sink).with_task_id().build(Some("shop")).unwrap();
    metrics::with_local_recorder(&recorder, || metrics::gauge!("level").set(7.5));
    let line = String::from_utf8(lines.recv().unwrap()).unwrap();
    assert_eq!(line, format!("shop.level:7.5|g|#{}", TaskId::current().tag()));
}

#[test]
fn a_lone_gauge_is_sent_by_the_timer() {
    let (capture, clock) = (Capture::new(), ManualClock::new());
    let interval = std::time::Duration::from_secs(2);
    let guard = builder().capture(&capture).clock(&clock).flush_interval(interval).build().unwrap();
    let recorder = StatsdBuilder::from("", 0).with_client(guard.client()).build(None).unwrap();
    metrics::with_local_recorder(&recorder, || metrics::gauge!("level").set(7.5));
    clock.advance(interval);
    assert_eq!(capture.take_lines(), ["level:7.5|g|#task_id:0042"]);
}

/// What the module's table of the second step says.
#[cfg(feature = "metrics")]
#[test]
fn the_second_step_changes_no_line_where_what_was_set_goes_with_it() {
    use tasktag::integrations::metrics::{HistogramKind, Recorder};

    fn serve(recorder: &impl metrics::Recorder, guard: &Guard, capture: &Capture) -> Vec<String> {
        metrics::with_local_recorder(recorder, || {
            metrics::describe_histogram!("query", metrics::Unit::Seconds, "How long a query takes.");
            metrics::counter!("jobs", "queue" => "mail").increment(2);
            metrics::gauge!("level").set(7.5);
            metrics::histogram!("query").record(0.25);
        });
        lines(guard, capture)
    }

    /// A client's tags come behind the metric's own, the recorder's before them.
    fn with_sorted_tags(lines: &[String]) -> Vec<(&str, Vec<&str>)> {
        lines
            .iter()
            .map(|line| line.split_once('#').unwrap())
            .map(|(head, tags)| {
                let mut tags: Vec<_> = tags.split(',').collect();
                tags.sort_unstable();
                (head, tags)
            })
            .collect()
    }

    type Before = fn(StatsdBuilder) -> StatsdBuilder;
    type After = fn(Recorder) -> Recorder;
    let settings: [(Before, After, &str); 3] = [
        (|builder| builder, |recorder| recorder.histograms_as(HistogramKind::Histogram), "0.25|h"),
        (StatsdBuilder::histogram_is_distribution, |recorder| recorder, "0.25|d"),
        (StatsdBuilder::histogram_is_timer, Recorder::timings_by_unit, "250|ms"),
    ];
    for (before, after, sent) in settings {
        let (guard, capture) = client();
        let set = before(StatsdBuilder::from("", 0).with_default_tag("env", "prod"));
        let recorder = set.with_client(guard.client()).build(Some("shop")).unwrap();
        let first = serve(&recorder, &guard, &capture);
        assert_eq!(first[2], format!("shop.query:{sent}|#env:prod,task_id:0042"));

        let capture = Capture::new();
        let guard = builder().capture(&capture).prefix("shop").tag("env", "prod").build().unwrap();
        let second = serve(&after(Recorder::new(guard.client())), &guard, &capture);
        assert_eq!(with_sorted_tags(&second), with_sorted_tags(&first));
    }
}

#[test]
fn what_the_recorder_can_not_say_is_refused_and_counted() {
    let (guard, capture) = client();
    let recorder = StatsdBuilder::from("", 0).with_client(guard.client()).build(None).unwrap();
    metrics::with_local_recorder(&recorder, || {
        metrics::gauge!("level").set(f64::NAN);
        metrics::gauge!("level").set(f64::INFINITY);
        metrics::histogram!("level").record(f64::NAN);
    });
    let stats = guard.client().stats();
    assert_eq!(
        stats.dropped(DropReason::Invalid).values,
        1,
        "the histogram: a gauge without a level is absent"
    );
    assert_eq!(stats.unset_gauges, 1);
    assert_eq!(lines(&guard, &capture), Vec::<String>::new());
}
