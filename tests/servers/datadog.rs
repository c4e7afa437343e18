//! Datadog's own client: the package `datadog` for Python.

use crate::process::program;
use crate::support::{self, Agent, PATIENCE};
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};
use tasktag::{
    AlertType, Client, ClientBuilder, Distribution, Event, Guard, MetricBuilder, Priority, ServiceCheck,
    Status, TagCardinality,
};

const VARIABLE: &str = "TASKTAG_TEST_DATADOG_PYTHON";
const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/datadog_reference.py");

const TAGS: [(&str, &str); 5] = [
    ("flag", ""),
    ("path", "a/b-c.d_e"),
    ("pool", "primary db"),
    ("straße", "größe 5€"),
    ("url", "http://x:80/y"),
];

/// The lines that differ on purpose: theirs, ours, and why.
const DIFFERENCES: [(&[&str], &[&str], &str); 12] = [
    (
        &["shop.differs.point:1.0|g|#region:eu,task_id:0042"],
        &["shop.differs.point:1|g|#region:eu,task_id:0042"],
        "a whole number needs no decimals",
    ),
    (
        &["shop.differs.exponent:1e-05|g|#region:eu,task_id:0042"],
        &["shop.differs.exponent:0.00001|g|#region:eu,task_id:0042"],
        "not every server reads an exponent",
    ),
    (
        &["shop.differs.big:1e+22|g|#region:eu,task_id:0042"],
        &["shop.differs.big:10000000000000000000000|g|#region:eu,task_id:0042"],
        "not every server reads an exponent",
    ),
    (
        &[
            "shop.differs.often:7|d|#region:eu,task_id:0042",
            "shop.differs.often:7|d|#region:eu,task_id:0042",
            "shop.differs.often:7|d|#region:eu,task_id:0042",
        ],
        &["shop.differs.often:7|d|@0.3333333333333333|#region:eu,task_id:0042"],
        "a value seen three times is one line with the rate that an agent turns back into three",
    ),
    (
        &["shop.differs.twice:1|c|#region:eu,task_id:0042", "shop.differs.twice:1|c|#region:eu,task_id:0042"],
        &["shop.differs.twice:2|c|#region:eu,task_id:0042"],
        "a counter is summed until the flush",
    ),
    (
        &["_e{7,5}:differs|1\r\\n2|#region:eu,task_id:0042"],
        &["_e{7,4}:differs|1\\n2|#region:eu,task_id:0042"],
        "a carriage return ends the line for some servers, and means the same line break",
    ),
    (
        &["_sc|differs|0|#region:eu,task_id:0042|m:a|b\r\\nc"],
        &["_sc|differs|0|#region:eu,task_id:0042|m:a_b\\nc"],
        "a `|` ends the message, and what follows it is lost or taken for a field",
    ),
    (
        &[
            "shop.size:7|d|#region:eu,task_id:0042",
            "shop.size:12.5|d|#region:eu,task_id:0042",
            "shop.size:-4.5|d|#region:eu,task_id:0042",
        ],
        &["shop.size:-4.5:7:12.5|d|#region:eu,task_id:0042"],
        "values of one flush share a line since DogStatsD 1.1",
    ),
    (
        &["shop.depth:7|h|#region:eu,task_id:0042", "shop.depth:12.5|h|#region:eu,task_id:0042"],
        &["shop.depth:7:12.5|h|#region:eu,task_id:0042"],
        "values of one flush share a line since DogStatsD 1.1",
    ),
    (
        &["shop.query:7|ms|#region:eu,task_id:0042", "shop.query:12.5|ms|#region:eu,task_id:0042"],
        &["shop.query:7:12.5|ms|#region:eu,task_id:0042"],
        "values of one flush share a line since DogStatsD 1.1",
    ),
    (
        &[
            "_e{6,11}:deploy|v42 is live|#region:eu,task_id:0042|c:ci-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef|card:low",
        ],
        &[
            "_e{6,11}:deploy|v42 is live|#region:eu,task_id:0042|c:ci-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef|e:it-false,cn-shop,pu-810fe89d-da47-410b-8979-9154a40f8183|card:low",
        ],
        "the Agent reads the external data of events too",
    ),
    (
        &[
            "_sc|db.reachable|0|#region:eu,task_id:0042|c:ci-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef|card:low",
        ],
        &[
            "_sc|db.reachable|0|#region:eu,task_id:0042|c:ci-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef|e:it-false,cn-shop,pu-810fe89d-da47-410b-8979-9154a40f8183|card:low",
        ],
        "the Agent reads the external data of service checks too",
    ),
];

fn tagged<'a, M>(
    builder: MetricBuilder<'a, M>,
    tag: impl Fn(MetricBuilder<'a, M>, &'a str, &'a str) -> MetricBuilder<'a, M>,
) -> MetricBuilder<'a, M> {
    TAGS.iter().fold(builder, |builder, &(key, value)| tag(builder, key, value))
}

fn send_metrics(client: &Client) {
    for (name, value) in [
        ("level.zero", 0.0),
        ("level.whole", 12.0),
        ("level.fraction", 0.83),
        ("level.negative", -12.75),
        ("level.large", 9_007_199_254_740_992.0),
    ] {
        client.gauge(name).set(value);
    }
    tagged(client.gauge("level.tagged"), MetricBuilder::tag).set(1.5);
    client.counter("jobs.done").increment(1);
    tagged(client.counter("jobs.many"), MetricBuilder::tag).increment(u64::MAX);
    let recorders: [fn(&Client) -> MetricBuilder<'_, Distribution>; 3] = [
        |client| client.distribution("size"),
        |client| client.histogram("depth"),
        |client| client.timing("query"),
    ];
    for recorder in recorders {
        recorder(client).record(7.0);
        recorder(client).record_duration(Duration::from_micros(12_500));
        tagged(recorder(client), MetricBuilder::tag).record(0.001);
    }
    client.distribution("size").record(-4.5);
    for member in ["ada", "größe", "a:b@c#d,e f"] {
        tagged(client.set("users"), MetricBuilder::tag).insert(member);
    }
}

fn send_events(client: &Client) {
    client.event("deploy", "v42 is live");
    let event = Event::new("größe | 2\nlines", "über\n\nalles | t:error");
    client.send_event(TAGS.iter().fold(event, |event, &(key, value)| event.tag(key, value)));
    client.event("no text", "");
    for (alert_type, priority) in [
        (AlertType::Info, Priority::Low),
        (AlertType::Success, Priority::Normal),
        (AlertType::Warning, Priority::Normal),
        (AlertType::Error, Priority::Normal),
    ] {
        client.send_event(
            Event::new("pool exhausted", "10 of 10")
                .alert_type(alert_type)
                .aggregation_key("pool-primary")
                .source_type("rust")
                .timestamp(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
                .priority(priority)
                .tag("pool", "primary")
                .hostname("db-1.example"),
        );
    }
}

fn send_service_checks(client: &Client) {
    for status in [Status::Ok, Status::Warning, Status::Critical, Status::Unknown] {
        client.service_check("db.reachable", status);
    }
    let check = ServiceCheck::new("db.reachable", Status::Critical)
        .timestamp(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .hostname("db-1.example")
        .message("sum: 3\nm: none\nnum:m:m:, größe");
    client.send_service_check(TAGS.iter().fold(check, |check, &(key, value)| check.tag(key, value)));
}

fn send_what_differs(client: &Client) {
    client.gauge("differs.point").set(1.0);
    client.gauge("differs.exponent").set(0.000_01);
    client.gauge("differs.big").set(1e22);
    (0..3).for_each(|_| client.distribution("differs.often").record(7.0));
    (0..2).for_each(|_| client.counter("differs.twice").increment(1));
    client.event("differs", "1\r\n2");
    client.send_service_check(ServiceCheck::new("differs", Status::Ok).message("a|b\r\nc"));
}

fn send_stamped(client: &Client) {
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
    client.gauge("stamped.level").set_at(0.83, at(1_700_000_000));
    tagged(client.gauge("stamped.level"), MetricBuilder::tag).set_at(-12.75, at(1_700_000_001));
    client.counter("stamped.jobs").increment_at(12, at(1_700_000_000));
}

/// Where lines come from. Dropping what it returns sends the gauge again.
fn send_with_origin(builder: ClientBuilder) -> Guard {
    let external = "it-false,cn-shop,pu-810fe89d-da47-410b-8979-9154a40f8183";
    let guard = builder
        .origin_detection(true)
        .container_id(format!("ci-{}", "0123456789abcdef".repeat(4)))
        .tag_cardinality(TagCardinality::Low)
        .from_vars([("DD_EXTERNAL_ENV", external)])
        .build()
        .unwrap();
    let client = guard.client();
    client.gauge("origin.level").set(0.83);
    client.counter("origin.jobs").increment(1);
    client.distribution("origin.size").record(7.0);
    client.histogram("origin.depth").record(7.0);
    client.timing("origin.query").record(7.0);
    client.set("origin.users").insert("ada");
    client.event("deploy", "v42 is live");
    client.service_check("db.reachable", Status::Ok);
    client.gauge("origin.stamped").set_at(0.83, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    client.flush(PATIENCE).unwrap();
    assert_eq!(client.stats().dropped_total().values, 0);
    guard
}

fn our_lines() -> Vec<String> {
    let agent = Agent::udp();
    let builder = || support::builder().agent(agent.address()).prefix("shop").tag("region", "eu");
    let guard = builder().build().unwrap();
    let client = guard.client();
    send_metrics(client);
    send_events(client);
    send_service_checks(client);
    send_what_differs(client);
    send_stamped(client);
    let with_origin = send_with_origin(builder());
    client.flush(PATIENCE).unwrap();
    let stats = client.stats();
    support::assert_conserved(&stats);
    assert_eq!(stats.dropped_total().values, 0);
    agent.lines(usize::try_from(stats.sent.lines + with_origin.client().stats().sent.lines).unwrap())
}

fn their_lines(python: &std::path::Path) -> Vec<String> {
    let agent = Agent::udp();
    let output = Command::new(python)
        .args(["-I", REFERENCE, &agent.port().to_string()])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    agent.drain()
}

fn remove(lines: &mut Vec<String>, expected: &[&str], why: &str) {
    for line in expected {
        let found = lines.iter().position(|found| found == line);
        let place = found.unwrap_or_else(|| panic!("no {line:?} ({why}) in {lines:#?}"));
        lines.remove(place);
    }
}

#[test]
fn lines_are_those_of_the_official_client_byte_for_byte() {
    let Some(python) = program(VARIABLE) else { return };
    let (mut ours, mut theirs) = (our_lines(), their_lines(&python));
    for (their_difference, our_difference, why) in DIFFERENCES {
        remove(&mut theirs, their_difference, why);
        remove(&mut ours, our_difference, why);
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 36);
}
