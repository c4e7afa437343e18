//! The official clients' own test vectors, replayed: the call, their bytes, ours, and why ours differ where they do.
//!
//! Every line of ours also has the task id, the last of its tags; that is the one difference that needs no reason. What
//! follows from the types has no row: a counter takes no negative number, a set's member is text, a cardinality is
//! one of four. The vectors of container ids that are not about lines are replayed in `tests/origin.rs`.

mod support;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{PATIENCE, TempDir};
use tasktag::testing::Capture;
use tasktag::{
    AlertType, Client, ClientBuilder, ConfigError, DropReason, Event, Priority, ServiceCheck, Stats, Status,
    TagCardinality,
};

/// Why a line of ours is another than theirs.
mod because {
    pub(crate) const OWN_TAGS_FIRST: &str = "a context's own tags stand before the global ones: no reader heeds the \
         order, and a global tag yields to an own one of its key";
    pub(crate) const SHORTEST: &str = "a number is the shortest text that reads back as itself";
    pub(crate) const NO_RATE: &str = "only a distribution's value that was seen several times has a rate: servers \
         ignore it on gauges, and a counter is summed up before it is sent";
    pub(crate) const EXACT_RATE: &str = "a rate is that of a whole count: 0.33 is read as 3, but sums are multiplied \
         by 3.03";
    pub(crate) const EVERY_AGENT: &str =
        "Datadog's Agent Data Plane refuses a line with any other character in this field";
    pub(crate) const REPLACED: &str = "what may not stay is replaced and not deleted, so that most texts that differ \
         still do";
    pub(crate) const LAST_WINS: &str = "a flush sends a gauge once, as it is then";
    pub(crate) const OUR_WORDS: &str = "priority and alert type are what the Agent knows, and nothing else";
    pub(crate) const REFUSED: &str = "the Agent drops it: here it is refused and counted";
    pub(crate) const PREFIXED: &str = "a container's id has the prefix that DogStatsD 1.4 asks for; before that it is \
         bare";
    pub(crate) const MESSAGE_LAST: &str = "a check's message stands last, as Datadog's documentation has it";
    pub(crate) const IN_ORDER: &str = "global tags stand in the order in which they were given";
}
use because::*;

/// A vector: where it is from, the call, what they send, what we send, and why that is not the same.
type Row = (&'static str, fn() -> String, &'static str, &'static str, &'static str);

fn sent(set_up: fn(ClientBuilder) -> ClientBuilder, act: impl FnOnce(&Client)) -> String {
    sent_and_booked(set_up(support::builder()), act).0
}

fn sent_and_booked(builder: ClientBuilder, act: impl FnOnce(&Client)) -> (String, Stats) {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build().unwrap();
    act(guard.client());
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    support::assert_conserved(&stats);
    (String::from_utf8(capture.take_packets().concat()).unwrap(), stats)
}

/// Holds ours against the table, and theirs against ours: a difference has a reason, and a reason has a difference.
#[track_caller]
fn assert_replayed(rows: &[Row]) {
    for (of, call, theirs, ours, why) in rows {
        let expected: String = ours.lines().flat_map(|line| [line, "\n"]).collect();
        assert_eq!(call(), expected, "{of}");
        let without = ours.replace(",task_id:0042", "").replace("|#task_id:0042", "");
        assert_eq!(why.is_empty(), without == *theirs, "{of}: {theirs:?}, and ours {without:?}: {why:?}");
    }
}

fn plain(builder: ClientBuilder) -> ClientBuilder {
    builder
}

fn namespace(builder: ClientBuilder) -> ClientBuilder {
    builder.prefix("namespace.").tag("global", "tag")
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
#[rustfmt::skip]
fn metrics_of_datadog_go() {
    let rows: &[Row] = &[
        ("go 1, a gauge", || sent(namespace, |c| c.gauge("gauge").tag("tag", "tag").set(1.0)),
            "namespace.gauge:1|g|#global:tag,tag:tag",
            "namespace.gauge:1|g|#tag:tag,global:tag,task_id:0042", OWN_TAGS_FIRST),
        ("go 2, a count", || sent(namespace, |c| c.counter("count").tag("tag", "tag").increment(2)),
            "namespace.count:2|c|#global:tag,tag:tag",
            "namespace.count:2|c|#tag:tag,global:tag,task_id:0042", OWN_TAGS_FIRST),
        ("go 3, a histogram", || sent(namespace, |c| c.histogram("histogram").tag("tag", "tag").record(3.0)),
            "namespace.histogram:3|h|#global:tag,tag:tag",
            "namespace.histogram:3|h|#tag:tag,global:tag,task_id:0042", OWN_TAGS_FIRST),
        ("go 3, a distribution", || sent(namespace, |c| c.distribution("distribution").tag("tag", "tag").record(4.0)),
            "namespace.distribution:4|d|#global:tag,tag:tag",
            "namespace.distribution:4|d|#tag:tag,global:tag,task_id:0042", OWN_TAGS_FIRST),
        ("go 4, a set", || sent(namespace, |c| c.set("set").tag("tag", "tag").insert("five")),
            "namespace.set:five|s|#global:tag,tag:tag",
            "namespace.set:five|s|#tag:tag,global:tag,task_id:0042", OWN_TAGS_FIRST),
        ("go 5, a timing", || sent(|b| b.prefix("namespace."), |c| c.timing("timing").tag("tag", "tag").record(6.0)),
            "namespace.timing:6.000000|ms|#tag:tag",
            "namespace.timing:6|ms|#tag:tag,task_id:0042", SHORTEST),
        ("go 6, no tags", || sent(plain, |c| c.gauge("gauge").set(1.0)),
            "gauge:1|g",
            "gauge:1|g|#task_id:0042", ""),
        ("go 7, a rate of a gauge", || sent(plain, |c| c.gauge("metric").tag("tag1", "tag1").set(1.0)),
            "metric:1|g|@0.1|#tag1:tag1",
            "metric:1|g|#tag1:tag1,task_id:0042", NO_RATE),
        ("go 7, a rate of a histogram", || sent(plain, |c| c.histogram("metric").register().record_many(1.0, 10)),
            "metric:1|h|@0.1",
            "metric:1|h|@0.1|#task_id:0042", ""),
        ("go 8, line breaks in tags",
            || sent(plain, |c| c.gauge("metric").tag("tag\n", "d\nog\n").tag("\ntag\n", "d\nog2\n").set(1.0)),
            "metric:1|g|@0.1|#tag:dog,tag:dog2",
            "metric:1|g|#_tag_:d_og2_,tag_:d_og_,task_id:0042", REPLACED),
        ("go 9, a container's id and a time",
            || sent(|b| b.prefix("namespace").container_id("container-id"),
                |c| c.gauge("metric").tag("tag", "tag").set_at(1.0, at(1_658_934_092))),
            "namespace.metric:1|g|#tag:tag|c:container-id|T1658934092",
            "namespace.metric:1|g|#tag:tag,task_id:0042|c:container-id|T1658934092", ""),
        ("go 10, an origin",
            || sent(
                |b| b.prefix("namespace").origin_detection(true).container_id("container-id")
                    .from_vars([("DD_EXTERNAL_ENV", "external-env")]).tag_cardinality(TagCardinality::Low),
                |c| c.gauge("metric").tag("tag", "tag").set(1.0)),
            "namespace.metric:1|g|#tag:tag|c:container-id|e:external-env|card:low",
            "namespace.metric:1|g|#tag:tag,task_id:0042|c:container-id|e:external-env|card:low", ""),
        ("go 11, a gauge with a time",
            || sent(|b| b.prefix("namespace.").tag("globalTags", "").tag("globalTags2", ""),
                |c| c.gauge("test_gauge").tag("tag1", "").tag("tag2", "").set_at(21.0, at(1_658_997_712))),
            "namespace.test_gauge:21|g|#globalTags,globalTags2,tag1,tag2|T1658997712",
            "namespace.test_gauge:21|g|#tag1,tag2,globalTags,globalTags2,task_id:0042|T1658997712", OWN_TAGS_FIRST),
        ("go 12, a gauge set twice",
            || sent(|b| b.prefix("namespace"), |c| for _ in 0..2 { c.gauge("metric").tag("tag", "tag").set(1.0) }),
            "namespace.metric:1|g|#tag:tag\nnamespace.metric:1|g|#tag:tag",
            "namespace.metric:1|g|#tag:tag,task_id:0042", LAST_WINS),
        ("go 12, two metrics",
            || sent(|b| b.prefix("namespace"), |c| for name in ["a", "b"] { c.gauge(name).tag("tag", "tag").set(1.0) }),
            "namespace.a:1|g|#tag:tag\nnamespace.b:1|g|#tag:tag",
            "namespace.a:1|g|#tag:tag,task_id:0042\nnamespace.b:1|g|#tag:tag,task_id:0042", ""),
        ("go 13, packed values",
            || sent(|b| b.prefix("namespace"), |c| record(c, &[1.0, 2.0, 3.0, 4.0], 1)),
            "namespace.metric:1:2:3:4|h|#tag:tag",
            "namespace.metric:1:2:3:4|h|#tag:tag,task_id:0042", ""),
        ("go 13, packed values with a rate",
            || sent(|b| b.prefix("namespace"), |c| record(c, &[1.0, 2.0, 3.0, 4.0], 3)),
            "namespace.metric:1:2:3:4|h|@0.33|#tag:tag",
            "namespace.metric:1:2:3:4|h|@0.3333333333333333|#tag:tag,task_id:0042", EXACT_RATE),
    ];
    assert_replayed(rows);
}

fn record(client: &Client, values: &[f64], times: u64) {
    let metric = client.histogram("metric").tag("tag", "tag").register();
    for value in values {
        metric.record_many(*value, times);
    }
}

#[test]
#[rustfmt::skip]
fn events_and_service_checks_of_datadog_go() {
    let rows: &[Row] = &[
        ("go 17, an event", || sent(plain, |c| c.event("EvenTitle", "EventText")),
            "_e{9,9}:EvenTitle|EventText",
            "_e{9,9}:EvenTitle|EventText|#task_id:0042", ""),
        ("go 18, line breaks", || sent(plain, |c| c.event("EvenTitle", "\nEventText\nLine2\n\nLine4\n")),
            r"_e{9,29}:EvenTitle|\nEventText\nLine2\n\nLine4\n",
            r"_e{9,29}:EvenTitle|\nEventText\nLine2\n\nLine4\n|#task_id:0042", ""),
        ("go 19, all that an event can have",
            || sent(|b| b.tag("global", "tag"), |c| c.send_event(Event::new("EvenTitle", "EventText")
                .timestamp(at(1_471_219_200)).hostname("hostname").aggregation_key("aggregationKey")
                .priority(Priority::Low).source_type("SourceTypeName").alert_type(AlertType::Error)
                .tag("normal", "tag"))),
            "_e{9,9}:EvenTitle|EventText|d:1471219200|h:hostname|k:aggregationKey|p:priority|s:SourceTypeName\
             |t:alertType|#global:tag,normal:tag",
            "_e{9,9}:EvenTitle|EventText|d:1471219200|h:hostname|k:aggregationKey|p:low|s:SourceTypeName\
             |t:error|#normal:tag,global:tag,task_id:0042", OUR_WORDS),
        ("go 20, an empty event", || sent(plain, |c| c.event("", "")), "_e{0,0}:|", "", REFUSED),
        ("go 21, a check", || sent(plain, |c| c.service_check("service.check", Status::Ok)),
            "_sc|service.check|0",
            "_sc|service.check|0|#task_id:0042", ""),
        ("go 21, all that a check can have",
            || sent(plain, |c| c.send_service_check(ServiceCheck::new("service.check", Status::Ok)
                .timestamp(at(1_471_219_200)).hostname("hostname").tag("tag2", "tag2").tag("tag1", "tag1")
                .message("message"))),
            "_sc|service.check|0|d:1471219200|h:hostname|#tag2:tag2,tag1:tag1|m:message",
            "_sc|service.check|0|d:1471219200|h:hostname|#tag2:tag2,tag1:tag1,task_id:0042|m:message", ""),
        ("go 22, what a message has escaped",
            || sent(plain, |c| c.send_service_check(ServiceCheck::new("service.check", Status::Ok)
                .message("\n\nmessagem:hello...\n\nm:aa\nm:m"))),
            r"_sc|service.check|0|m:\n\nmessagem\:hello...\n\nm\:aa\nm\:m",
            r"_sc|service.check|0|#task_id:0042|m:\n\nmessagem\:hello...\n\nm\:aa\nm\:m", ""),
        ("go 23, an empty check", || sent(plain, |c| c.service_check("", Status::Ok)), "_sc||0", "", REFUSED),
    ];
    assert_replayed(rows);
    let (_, stats) = sent_and_booked(support::builder(), |client| {
        client.event("", "");
        client.service_check("", Status::Ok);
    });
    assert_eq!(stats.dropped(DropReason::Invalid).values, 2, "they are refused, and counted");
}

/// A gauge from a process with this external data.
macro_rules! external {
    ($data:literal) => {
        || {
            let vars = |b: ClientBuilder| b.origin_detection(true).from_vars([("DD_EXTERNAL_ENV", $data)]);
            sent(vars, |c| c.gauge("gauge").set(1.0))
        }
    };
}

#[test]
#[rustfmt::skip]
fn external_data_of_datadog_go() {
    let rows: &[Row] = &[
        ("go 24, a bar", external!("prod|staging"),
            "gauge:1|g|e:prodstaging", "gauge:1|g|#task_id:0042|e:prodstaging", ""),
        ("go 24, what can't be printed", external!("prod\nstaging\tdev\r"),
            "gauge:1|g|e:prodstagingdev", "gauge:1|g|#task_id:0042|e:prodstagingdev", ""),
        ("go 24, any script", external!("prod-环境-staging"),
            "gauge:1|g|e:prod-环境-staging", "gauge:1|g|#task_id:0042|e:prod--staging", EVERY_AGENT),
        ("go 24, nothing is left", external!("|||"), "gauge:1|g", "gauge:1|g|#task_id:0042", ""),
    ];
    assert_replayed(rows);
}

/// A gauge from a process with these two files.
macro_rules! container {
    ($cgroup:expr, $mountinfo:expr) => {
        || {
            let root = TempDir::new();
            fs::create_dir_all(root.join("proc/self")).unwrap();
            fs::write(root.join("proc/self/cgroup"), $cgroup).unwrap();
            fs::write(root.join("proc/self/mountinfo"), $mountinfo).unwrap();
            let builder = support::builder().origin_detection(true).system_root(root.join(""));
            sent_and_booked(builder, |c| c.gauge("gauge").set(1.0)).0
        }
    };
}

#[test]
#[cfg(target_os = "linux")]
#[rustfmt::skip]
fn container_ids_of_datadog_go() {
    const HEX: &str = "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860";
    const THEIRS: &str = "gauge:1|g|c:3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860";
    const OURS: &str =
        "gauge:1|g|#task_id:0042|c:ci-3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860";
    let rows: &[Row] = &[
        ("go 26, a pod's group", container!("10:hugetlb:/kubepods\n", ""), "gauge:1|g", "gauge:1|g|#task_id:0042", ""),
        ("go 26, ECS", container!(format!("11:hugetlb:/ecs/55091c13-b8cf-4801-b527-f4601742204d/{HEX}\n"), ""),
            THEIRS, OURS, PREFIXED),
        ("go 26, a scope of Docker", container!(format!("1:name=systemd:/docker/{HEX}.scope\n"), ""),
            THEIRS, OURS, PREFIXED),
        ("go 26, a UUID", container!("1:name=systemd:/uuid/34dc0b5e-626f-2c5c-4c51-70e34b10e765\n", ""),
            "gauge:1|g|c:34dc0b5e-626f-2c5c-4c51-70e34b10e765",
            "gauge:1|g|#task_id:0042|c:ci-34dc0b5e-626f-2c5c-4c51-70e34b10e765", PREFIXED),
        ("go 26, Fargate 1.4", container!("1:name=systemd:/ecs/34dc0b5e626f2c5c4c5170e34b10e765-1234567890\n", ""),
            "gauge:1|g|c:34dc0b5e626f2c5c4c5170e34b10e765-1234567890",
            "gauge:1|g|#task_id:0042|c:ci-34dc0b5e626f2c5c4c5170e34b10e765-1234567890", PREFIXED),
        ("go 26, the first of several",
            container!(format!("12:cpu:/\n11:pids:/docker/{HEX}\n10:freezer:/docker/{}\n", "f".repeat(64)), ""),
            THEIRS, OURS, PREFIXED),
        ("go 26, Docker's mount",
            container!("0::/\n", format!("608 554 254:1 /docker/containers/{HEX}/hostname /etc/hostname rw - ext4 \
                /dev/vda1 rw\n609 554 254:1 /var/lib/docker/containers/{HEX}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n")),
            THEIRS, OURS, PREFIXED),
        ("go 26, the pause container's mount",
            container!("0::/\n", format!("609 554 254:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{HEX}/hostname \
                /etc/hostname rw - ext4 /dev/vda1 rw\n")),
            "gauge:1|g", "gauge:1|g|#task_id:0042", ""),
    ];
    assert_replayed(rows);
    let in_1_3 = support::builder().protocol(tasktag::Protocol::V1_3);
    let root = TempDir::new();
    fs::create_dir_all(root.join("proc/self")).unwrap();
    fs::write(root.join("proc/self/cgroup"), format!("1:name=systemd:/docker/{HEX}.scope\n")).unwrap();
    let builder = in_1_3.origin_detection(true).system_root(root.join(""));
    let (line, _) = sent_and_booked(builder, |c| c.gauge("gauge").set(1.0));
    assert_eq!(line.trim_end().replace("|#task_id:0042", ""), THEIRS, "before 1.4 it is theirs");
}

#[test]
fn packets_of_datadog_go() {
    let packets = |size: usize, act: fn(&Client)| {
        let capture = Capture::new();
        let builder = support::builder().prefix("namespace").max_packet_size(size);
        let guard = builder.capture(&capture).build().unwrap();
        act(guard.client());
        guard.client().flush(PATIENCE).unwrap();
        let text = |packet| String::from_utf8(packet).unwrap();
        (capture.take_packets().into_iter().map(text).collect::<Vec<_>>(), guard.client().stats())
    };
    // go 14: two values fit with what stands around them, four don't, and none is cut.
    let (split, _) = packets(70, |client| {
        let histogram =
            client.histogram("test_histogram").tag("globalTags", "").tag("tag1", "tag1").register();
        for value in [1.1, 2.2, 3.3, 4.4] {
            histogram.record(value);
        }
    });
    let line = |values| format!("namespace.test_histogram:{values}|h|#globalTags,tag1:tag1,task_id:0042\n");
    assert_eq!(split, ["1.1:2.2", "3.3:4.4"].map(line));
    // go 15: where the first value does not fit, what was there leaves as it is, and the value begins the next packet.
    let (two, stats) = packets(64, |client| {
        client.counter("jobs").increment(1);
        record(client, &[1.0, 2.0], 1);
    });
    let expected = ["namespace.jobs:1|c|#task_id:0042\n", "namespace.metric:1:2|h|#tag:tag,task_id:0042\n"];
    assert_eq!((two, stats.dropped_total().values), (expected.map(str::to_owned).to_vec(), 0));
    // go 16: a line that fills the packet to the last byte is in it, and the next one is not.
    let (two, stats) = packets(64, |client| {
        client.counter(&"x".repeat(64 - "namespace.:1|c|#task_id:0042\n".len())).increment(1);
        client.counter("y").increment(1);
    });
    assert_eq!(
        two.iter().map(String::len).collect::<Vec<_>>(),
        [64, "namespace.y:1|c|#task_id:0042\n".len()]
    );
    assert_eq!(stats.dropped_total().values, 0);
    // And one of a byte more is in none, and counted.
    let (none, stats) = packets(64, |client| {
        client.counter(&"x".repeat(65 - "namespace.:1|c|#task_id:0042\n".len())).increment(1);
    });
    assert_eq!((none.len(), stats.dropped(DropReason::TooLarge).bytes), (0, 65));
}

#[test]
fn addresses_of_datadog_go() {
    // go 25. Theirs are taken where they say in full where the agent is.
    assert!(support::builder().agent("udp://localhost").build().is_ok());
    assert!(support::builder().from_vars([("DD_DOGSTATSD_URL", "udp://localhost")]).build().is_ok());
    // A relative path is another file from every directory, and there are no pipes here.
    for refused in ["unix://test/path.socket", r"\\.\pipe\my_pipe", "localhost:1234"] {
        let error = support::builder().from_vars([("DD_DOGSTATSD_URL", refused)]).build().unwrap_err();
        let ConfigError::Variable { variable, value, .. } = error else { panic!("{error}") };
        assert_eq!((variable, value.as_str()), ("DD_DOGSTATSD_URL", refused));
    }
}

#[test]
#[rustfmt::skip]
fn metrics_of_dogstatsd_ruby() {
    let rows: &[Row] = &[
        ("ruby 28, a count with a rate",
            || sent(|b| b.prefix("swag").tag("globaltag1", "value1").container_id("in-23"),
                |c| c.counter("somecount").tag("msgtag2", "value2").increment(42)),
            "swag.somecount:42|c|@0.5|#globaltag1:value1,msgtag2:value2|c:in-23",
            "swag.somecount:42|c|#msgtag2:value2,globaltag1:value1,task_id:0042|c:in-23", NO_RATE),
        ("ruby 29, a module's name", || sent(plain, |c| c.counter("somecount::test").increment(1)),
            "somecount.test:1|c",
            "somecount__test:1|c|#task_id:0042", REPLACED),
        ("ruby 30, marks in a name", || sent(plain, |c| c.counter("somecount:|@test").increment(1)),
            "somecount___test:1|c",
            "somecount___test:1|c|#task_id:0042", ""),
        ("ruby 31, external data",
            || sent(|b| b.origin_detection(true).from_vars([("DD_EXTERNAL_ENV", "cn-SomeKindOfContainerName")]),
                |c| c.counter("somecount").increment(42)),
            "somecount:42|c|e:cn-SomeKindOfContainerName",
            "somecount:42|c|#task_id:0042|e:cn-somekindofcontainername", EVERY_AGENT),
        ("ruby 32, a cardinality",
            || sent(|b| b.tag_cardinality(TagCardinality::High), |c| c.counter("somecount").increment(42)),
            "somecount:42|c|card:high",
            "somecount:42|c|#task_id:0042|card:high", ""),
        ("ruby 33, marks in tags",
            || sent(plain, |c| c.counter("x").tag("request", "xyz").tag("another", "mal|for,med").increment(1)),
            "x:1|c|#request:xyz,another:malformed",
            "x:1|c|#another:mal_for_med,request:xyz,task_id:0042", REPLACED),
        ("ruby 33, commas in a tag", || sent(plain, |c| c.counter("x").tag("name", "foo, bar, and foo").increment(1)),
            "x:1|c|#name:foo bar and foo",
            "x:1|c|#name:foo__bar__and_foo,task_id:0042", REPLACED),
        ("ruby 34, DD_TAGS",
            || sent(|b| b.from_vars([("DD_TAGS", "ghi,team:qa")]), |c| c.counter("x").increment(1)),
            "x:1|c|#ghi,team:qa",
            "x:1|c|#ghi,team:qa,task_id:0042", ""),
        ("ruby 34, DD_ENTITY_ID and DD_ENV",
            || sent(|b| b.from_vars([("DD_ENTITY_ID", "x"), ("DD_ENV", "staging")]), |c| c.counter("x").increment(1)),
            "x:1|c|#dd.internal.entity_id:x,env:staging",
            "x:1|c|#env:staging,dd.internal.entity_id:x,task_id:0042", IN_ORDER),
    ];
    assert_replayed(rows);
    let error = support::builder().from_vars([("DD_CARDINALITY", "potato")]).build().unwrap_err();
    assert!(matches!(error, ConfigError::Variable { variable: "DD_CARDINALITY", .. }), "ruby 32: {error}");
}

#[test]
#[rustfmt::skip]
fn events_and_service_checks_of_dogstatsd_ruby() {
    let rows: &[Row] = &[
        ("ruby 35, lengths in bytes", || sent(plain, |c| c.event("🎈", "🤡")),
            "_e{4,4}:🎈|🤡",
            "_e{4,4}:🎈|🤡|#task_id:0042", ""),
        ("ruby 35, a title of two lines", || sent(plain, |c| c.event("this is\na title", "this is a longer text")),
            r"_e{16,21}:this is\na title|this is a longer text",
            r"_e{16,21}:this is\na title|this is a longer text|#task_id:0042", ""),
        ("ruby 36, a bar in a message",
            || sent(plain, |c| c.send_service_check(ServiceCheck::new("windmill", Status::Warning)
                .message("hum: something is fish|y"))),
            r"_sc|windmill|1|m:hum\: something is fishy",
            r"_sc|windmill|1|#task_id:0042|m:hum\: something is fish_y", REPLACED),
        ("ruby, a message and tags",
            || sent(|b| b.tag("globaltag1", "value1"),
                |c| c.send_service_check(ServiceCheck::new("windmill", Status::Ok).message("the wind is rising"))),
            "_sc|windmill|0|m:the wind is rising|#globaltag1:value1",
            "_sc|windmill|0|#globaltag1:value1,task_id:0042|m:the wind is rising", MESSAGE_LAST),
    ];
    assert_replayed(rows);
    // ruby 35, a text of 20 KB: they raise an error or cut it, and here it is cut and counted.
    let builder = support::builder().max_packet_size(8192);
    let (text, stats) = sent_and_booked(builder, |client| client.event("title", &"x".repeat(20_000)));
    assert_eq!(text, format!("_e{{5,8160}}:title|{}|#task_id:0042\n", "x".repeat(8160)));
    assert_eq!((stats.truncated_texts, stats.dropped_total().values), (1, 0));
}
