//! Seconds that are recorded through the `metrics` facade arrive as times of the right size: in milliseconds where a
//! server reads `ms` as such, and as they are everywhere else.

#![cfg(feature = "metrics")]

mod support;

use metrics::{Unit, describe_histogram, histogram, with_local_recorder};
use std::time::Duration;
use support::PATIENCE;
use tasktag::integrations::metrics::{HistogramKind, Recorder};
use tasktag::testing::Capture;
use tasktag::{Agent, ClientBuilder, Dialect, DropReason, Kind, Stats, Weights};

const NAME: &str = "http_request_duration_seconds";

/// What a client sends for what `act` records, and its books.
fn sent_by(
    builder: ClientBuilder,
    recorder: impl FnOnce(Recorder) -> Recorder,
    act: impl FnOnce(),
) -> (String, Stats) {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build().unwrap();
    with_local_recorder(&recorder(Recorder::new(guard.client())), act);
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    support::assert_conserved(&stats);
    (String::from_utf8(capture.take_packets().concat()).unwrap(), stats)
}

fn as_it_is(recorder: Recorder) -> Recorder {
    recorder
}

fn sent(builder: ClientBuilder, act: impl FnOnce()) -> String {
    sent_by(builder, as_it_is, act).0
}

fn in_dialect(dialect: Dialect) -> ClientBuilder {
    support::builder().dialect(dialect)
}

#[test]
fn a_name_in_seconds_is_milliseconds_where_a_timing_is_and_seconds_elsewhere() {
    for (dialect, expected) in [
        (Dialect::TaggedStatsd, "http_request_duration_seconds:250|ms|#task_id:0042\n"),
        (Dialect::Graphite, "http_request_duration_seconds;task_id=0042:250|ms\n"),
        (Dialect::Influx, "http_request_duration_seconds,task_id=0042:250|ms\n"),
        (Dialect::Librato, "http_request_duration_seconds#task_id=0042:250|ms\n"),
        (Dialect::SignalFx, "http_request_duration_seconds[task_id=0042]:250|ms\n"),
        (Dialect::Statsd, "http_request_duration_seconds:250|ms\n"),
        (Dialect::DogStatsd, "http_request_duration_seconds:0.25|d|#task_id:0042\n"),
        (Dialect::DatadogServerless, "http_request_duration_seconds:0.25|d|#task_id:0042\n"),
    ] {
        assert_eq!(sent(in_dialect(dialect), || histogram!(NAME).record(0.25)), expected);
        let duration = || histogram!(NAME).record(Duration::from_millis(250));
        assert_eq!(sent(in_dialect(dialect), duration), expected);
    }
}

#[test]
fn a_described_unit_of_time_is_milliseconds_too_and_any_other_unit_is_left() {
    for (unit, value, written) in [
        (Unit::Seconds, 0.25, "250"),
        (Unit::Milliseconds, 250.0, "250"),
        (Unit::Microseconds, 1234.0, "1.234"),
        (Unit::Nanoseconds, 1_500_000.0, "1.5"),
        (Unit::Bytes, 512.0, "512"),
        (Unit::Count, 7.0, "7"),
    ] {
        let act = |name: &'static str| {
            describe_histogram!(name, unit, "What it is.");
            histogram!(name).record(value);
        };
        // The description takes precedence over the name.
        for name in ["wait", "wait_seconds"] {
            let text = sent(in_dialect(Dialect::Influx), || act(name));
            assert_eq!(text, format!("{name},task_id=0042:{written}|ms\n"), "{unit:?}");
            let text = sent(support::builder(), || act(name));
            assert_eq!(text, format!("{name}:{value}|d|#task_id:0042\n"), "{unit:?}");
        }
    }
}

#[test]
fn a_name_that_only_speaks_of_seconds_and_one_without_a_unit_are_left() {
    for name in ["wait", "seconds", "seconds_wait", "wait_seconds_total", "waitseconds", "wait_Seconds"] {
        let text = sent(in_dialect(Dialect::Influx), || histogram!(name).record(0.25));
        assert_eq!(text, format!("{name},task_id=0042:0.25|ms\n"));
    }
}

#[test]
fn as_histograms_and_in_summaries_seconds_stay_seconds() {
    let record = || histogram!(NAME).record(0.25);
    let histograms = in_dialect(Dialect::Influx).distributions_as(Kind::Histogram);
    assert_eq!(sent(histograms, record), format!("{NAME},task_id=0042:0.25|h\n"));
    let summaries = sent(in_dialect(Dialect::Influx).weights(Weights::Summaries), record);
    assert_eq!(summaries.lines().next(), Some(&*format!("{NAME}.count,task_id=0042:1|c")));
    assert_eq!(summaries.matches(":0.25|g").count(), 6, "{summaries}");
    // Datadog's timings have no unit of their own.
    let timings = support::builder().distributions_as(Kind::Timing);
    assert_eq!(sent(timings, record), format!("{NAME}:0.25|ms|#task_id:0042\n"));
}

#[test]
fn every_value_and_weight_is_converted_once() {
    let record = || {
        let handle = histogram!(NAME, "method" => "GET");
        handle.record_many(0.25, 3);
        handle.record(2.0);
        histogram!(NAME, "method" => "GET").record(-0.5);
        histogram!(NAME, "method" => "PUT").record(0.0);
    };
    let text = sent(in_dialect(Dialect::Influx), record);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let get = "http_request_duration_seconds,method=GET,task_id=0042";
    let put = "http_request_duration_seconds,method=PUT,task_id=0042:0|ms";
    assert_eq!(
        lines,
        [
            &*format!("{get}:-500|ms"),
            &*format!("{get}:2000|ms"),
            &*format!("{get}:250|ms|@0.3333333333333333"),
            put
        ]
    );
    let text = sent(in_dialect(Dialect::Statsd), || histogram!(NAME).record_many(0.25, 3));
    assert_eq!(text, format!("{NAME}:250|ms\n").repeat(3));
}

#[test]
fn each_agent_reads_its_own_unit() {
    let statsd = support::Agent::udp();
    let builder = support::builder().also(Agent::at(statsd.address()).dialect(Dialect::TaggedStatsd));
    assert_eq!(sent(builder, || histogram!(NAME).record(0.25)), format!("{NAME}:0.25|d|#task_id:0042\n"));
    let expected = format!("{NAME}:250|ms|#task_id:0042\n");
    assert_eq!(statsd.packets_until(|lines| !lines.is_empty()), [expected.into_bytes()]);
}

#[test]
fn timings_by_unit_makes_milliseconds_for_every_agent_and_no_thousands_of_them() {
    let statsd = support::Agent::udp();
    let builder = support::builder().also(Agent::at(statsd.address()).dialect(Dialect::TaggedStatsd));
    let expected = format!("{NAME}:250|ms|#task_id:0042\n");
    let (text, _) = sent_by(builder, Recorder::timings_by_unit, || histogram!(NAME).record(0.25));
    assert_eq!(text, expected);
    assert_eq!(statsd.packets_until(|lines| !lines.is_empty()), [expected.into_bytes()]);
}

#[test]
fn a_program_that_says_that_it_records_milliseconds_does() {
    for dialect in [Dialect::DogStatsd, Dialect::TaggedStatsd] {
        let timings = |recorder: Recorder| recorder.histograms_as(HistogramKind::Timing);
        let (text, _) = sent_by(in_dialect(dialect), timings, || histogram!(NAME).record(250.0));
        assert_eq!(text, format!("{NAME}:250|ms|#task_id:0042\n"));
    }
}

#[test]
fn what_is_folded_for_want_of_room_is_converted_too() {
    let builder = in_dialect(Dialect::TaggedStatsd).metric_context_limit(1);
    let text = sent(builder, || {
        histogram!(NAME, "n" => "1").record(0.25);
        histogram!(NAME, "n" => "2").record(0.5);
    });
    assert!(text.contains(&format!("{NAME}:250|ms|#n:1,task_id:0042\n")), "{text}");
    assert!(text.contains(&format!("{NAME}:500|ms|#tasktag_overflow:true,task_id:0042\n")), "{text}");
}

#[test]
fn seconds_of_which_the_milliseconds_are_no_number_are_refused_and_counted() {
    let record = || histogram!(NAME).record(f64::MAX);
    let (text, stats) = sent_by(in_dialect(Dialect::Influx), as_it_is, record);
    assert_eq!((text.as_str(), stats.dropped(DropReason::Invalid).values), ("", 1));
    let (text, stats) = sent_by(support::builder(), as_it_is, record);
    assert_eq!((text.lines().count(), stats.dropped_total().values), (1, 0));
}

#[test]
fn a_series_that_was_forgotten_is_in_seconds_again() {
    let capture = Capture::new();
    let guard = in_dialect(Dialect::Statsd).capture(&capture).build().unwrap();
    let recorder = Recorder::new(guard.client());
    for _ in 0..2 {
        with_local_recorder(&recorder, || histogram!(NAME).record(0.25));
        guard.client().flush(PATIENCE).unwrap();
        assert_eq!(capture.take_lines(), [format!("{NAME}:250|ms")]);
        for _ in 0..310 {
            guard.client().flush(PATIENCE).unwrap();
        }
        assert_eq!(guard.client().stats().contexts, 0);
    }
}
