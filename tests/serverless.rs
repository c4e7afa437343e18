//! Datadog's DogStatsD for functions gets what it takes, and what it would lose is counted here.

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{PATIENCE, TempDir};
use tasktag::testing::Capture;
use tasktag::{
    Agent, Client, ClientBuilder, ConfigError, Dialect, DropReason, Event, Kind, Protocol, ServiceCheck,
    Stats, Status, TagCardinality, Weights,
};

const FUNCTION: [(&str, &str); 1] = [("AWS_LAMBDA_FUNCTION_NAME", "thumbnails")];

fn serverless() -> ClientBuilder {
    support::builder().dialect(Dialect::DatadogServerless)
}

fn sent(builder: ClientBuilder, act: impl FnOnce(&Client)) -> (Vec<String>, Stats) {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build().unwrap();
    act(guard.client());
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    support::assert_conserved(&stats);
    (capture.take_lines(), stats)
}

/// The files of a function that has the extension.
fn with_extension() -> TempDir {
    let root = TempDir::new();
    fs::create_dir_all(root.join("opt/extensions")).unwrap();
    fs::write(root.join("opt/extensions/datadog-agent"), "").unwrap();
    root
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn everything_that_is_spread_is_a_distribution_a_value_a_line_without_a_rate() {
    let (lines, stats) = sent(serverless().prefix("shop").tag("region", "eu"), |client| {
        client.distribution("size").register().record_many(12.5, 3);
        client.histogram("wait").tag("queue", "mail:a/b").record(0.25);
        let run = client.timing("run").register();
        run.record(-1.0);
        run.record(2.0);
    });
    assert_eq!(
        lines,
        [
            "shop.size:12.5|d|#region:eu,task_id:0042",
            "shop.size:12.5|d|#region:eu,task_id:0042",
            "shop.size:12.5|d|#region:eu,task_id:0042",
            "shop.wait:0.25|d|#queue:mail:a/b,region:eu,task_id:0042",
            "shop.run:-1|d|#region:eu,task_id:0042",
            "shop.run:2|d|#region:eu,task_id:0042",
        ]
    );
    assert_eq!((stats.sent.values, stats.dropped_total().values), (6, 0));
}

#[test]
fn gauges_counters_and_times_of_their_own_are_as_in_dogstatsd() {
    let act = |client: &Client| {
        let level = client.gauge("level").register();
        level.set_at(-21.0, at(1_658_997_712));
        level.set(-5.5);
        client.counter("jobs").increment_at(7, at(1_658_997_712));
        client.counter("jobs").increment(3);
        std::mem::forget(level);
    };
    let (lines, _) = sent(serverless(), act);
    assert_eq!(
        lines,
        [
            "level:-21|g|#task_id:0042|T1658997712",
            "level:-5.5|g|#task_id:0042",
            "jobs:7|c|#task_id:0042|T1658997712",
            "jobs:3|c|#task_id:0042",
        ]
    );
    assert_eq!(sent(support::builder(), act).0, lines);
}

#[test]
fn sets_events_and_service_checks_are_refused_and_counted() {
    let (lines, stats) = sent(serverless(), |client| {
        client.set("users").insert("a");
        client.set("users").insert("a");
        client.set("users").insert("");
        client.send_event(Event::new("deploy", "v42"));
        client.send_service_check(ServiceCheck::new("db", Status::Ok));
    });
    assert_eq!(lines, [""; 0]);
    assert_eq!(stats.dropped(DropReason::Unsupported).values, 5);
    assert_eq!(stats.dropped_total().values, 5);
}

#[test]
fn a_value_that_was_seen_more_than_1000_times_is_thinned_out_and_a_summary_has_all() {
    let act = |client: &Client| client.timing("run").register().record_many(1.0, 1500);
    let (lines, stats) = sent(serverless(), act);
    assert_eq!(lines.len() as u64 + stats.dropped(DropReason::Sampled).values, 1500);
    let (lines, stats) = sent(serverless().weights(Weights::Summaries), act);
    assert_eq!((lines[0].as_str(), lines.len()), ("run.count:1500|c|#task_id:0042", 7));
    assert_eq!(stats.dropped_total().values, 0);
}

#[test]
fn lines_have_no_origin() {
    let environment =
        FUNCTION.into_iter().chain([("DD_EXTERNAL_ENV", "it-false"), ("DD_ENTITY_ID", "pod-7")]);
    let builder =
        serverless().container_id("ci-4f1d").tag_cardinality(TagCardinality::Low).from_vars(environment);
    assert_eq!(sent(builder, |client| client.counter("jobs").increment(1)).0, ["jobs:1|c|#task_id:0042"]);
}

#[test]
fn telemetry_has_datadogs_names() {
    let capture = Capture::new();
    let guard = serverless().telemetry(true).capture(&capture).build().unwrap();
    guard.client().counter("jobs").increment(1);
    drop(guard);
    let lines = capture.take_lines();
    assert!(lines.iter().any(|line| line.starts_with("datadog.dogstatsd.client.metrics:1|c|#")), "{lines:?}");
}

#[test]
fn what_it_would_misread_is_an_error_that_names_the_setting() {
    let refusal = |builder: ClientBuilder| match builder.build().map(drop) {
        Err(ConfigError::Setting { setting, value, .. }) => (setting, value),
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(serverless().weights(Weights::Rates)), ("weights", "Rates".to_owned()));
    assert_eq!(refusal(serverless().protocol(Protocol::V1_3)), ("protocol", "V1_3".to_owned()));
    assert_eq!(refusal(serverless().timings_as(Kind::Timing)), ("timings_as", "timing".to_owned()));
    for address in ["tcp://127.0.0.1:8125", "unix:///run/dsd.socket", "unixstream:///run/dsd.socket"] {
        let expected = ("dialect", "DatadogServerless".to_owned());
        assert_eq!(refusal(serverless().agent(address)), expected);
        let agent = Agent::at(address).dialect(Dialect::DatadogServerless);
        assert_eq!(refusal(support::builder().also(agent)), expected);
    }
    assert!(serverless().agent("udp://127.0.0.1:8125").build().is_ok());
    assert!(serverless().writer(std::io::sink()).build().is_ok());
}

/// What a timing is sent as says which dialect it is.
fn timing(builder: ClientBuilder, root: PathBuf) -> String {
    sent(builder.system_root(root), |client| client.timing("run").record(1.0)).0.concat()
}

const AS_A_FUNCTION: &str = "run:1|d|#task_id:0042";
const AS_USUAL: &str = "run:1|ms|#task_id:0042";

#[test]
fn a_lambda_function_that_has_the_extension_is_found_by_the_environment() {
    let root = with_extension();
    for more in [None, Some(("DD_AGENT_HOST", "localhost")), Some(("DD_DOGSTATSD_URL", "udp://[::1]:8126"))] {
        let builder = support::builder().from_vars(FUNCTION.into_iter().chain(more));
        assert_eq!(timing(builder, root.join("")), AS_A_FUNCTION, "{more:?}");
    }
    let explicit = support::builder().agent("udp://127.0.0.1:8125").from_vars(FUNCTION);
    assert_eq!(timing(explicit, root.join("")), AS_A_FUNCTION);
}

#[test]
fn without_the_variable_or_the_extension_the_dialect_stays() {
    let (root, bare) = (with_extension(), TempDir::new());
    assert_eq!(timing(support::builder(), root.join("")), AS_USUAL);
    let none: [(&str, &str); 0] = [];
    assert_eq!(timing(support::builder().from_vars(none), root.join("")), AS_USUAL);
    let empty = [("AWS_LAMBDA_FUNCTION_NAME", "")];
    assert_eq!(timing(support::builder().from_vars(empty), root.join("")), AS_USUAL);
    assert_eq!(timing(support::builder().from_vars(FUNCTION), bare.join("")), AS_USUAL);
}

#[test]
fn what_the_program_sets_stays() {
    let root = with_extension();
    let set = support::builder().dialect(Dialect::DogStatsd).from_vars(FUNCTION);
    assert_eq!(timing(set, root.join("")), AS_USUAL);
    let in_1_0 = support::builder().protocol(Protocol::V1_0).from_vars(FUNCTION);
    assert_eq!(timing(in_1_0, root.join("")), AS_USUAL);
    let influx = support::builder().from_vars(FUNCTION).dialect(Dialect::Influx);
    assert_eq!(timing(influx, root.join("")), "run,task_id=0042:1|ms");
}

#[test]
fn an_agent_that_is_elsewhere_is_no_extension() {
    let root = with_extension();
    for address in
        ["udp://10.0.0.7:8125", "udp://agent:8125", "tcp://127.0.0.1:8125", "unix:///run/dsd.socket"]
    {
        let set = support::builder().agent(address).from_vars(FUNCTION);
        assert_eq!(timing(set, root.join("")), AS_USUAL, "{address}");
        let variables = FUNCTION.into_iter().chain([("DD_DOGSTATSD_URL", address)]);
        assert_eq!(timing(support::builder().from_vars(variables), root.join("")), AS_USUAL, "{address}");
    }
}

#[test]
fn another_agent_of_the_same_client_keeps_its_own_dialect() {
    let (root, received) = (with_extension(), support::Agent::udp());
    let builder = support::builder().from_vars(FUNCTION).also(Agent::at(received.address()));
    assert_eq!(timing(builder, root.join("")), AS_A_FUNCTION);
    assert_eq!(received.packets_until(|lines| !lines.is_empty()), [b"run:1|ms|#task_id:0042\n"]);
}
