//! What is on the wire is exact to the byte in every dialect, and nothing that a user passes can forge a part of it.

mod support;

use arbtest::arbitrary::{self, Unstructured};
use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock, Parsed, ParsedEvent, ParsedMetric, Value, parse};
use tasktag::{
    AlertType, Client, ClientBuilder, ConfigError, Dialect, DropReason, Event, Priority, ServiceCheck, Stats,
    Status,
};

const DIALECTS: [Dialect; 3] = [Dialect::DogStatsd, Dialect::TaggedStatsd, Dialect::Statsd];
/// As many as fit into a datagram, so that a flush is one packet.
const LARGEST_PACKET: usize = 65_507;

/// What a client of the dialect sends for what `act` does to it.
fn sent(dialect: Dialect, act: impl FnOnce(&Client)) -> String {
    sent_by(support::builder().dialect(dialect), act).0
}

fn sent_by(builder: ClientBuilder, act: impl FnOnce(&Client)) -> (String, Stats) {
    let capture = Capture::new();
    let guard = builder.capture(&capture).max_packet_size(LARGEST_PACKET).build().unwrap();
    act(guard.client());
    guard.client().flush(PATIENCE).unwrap();
    (String::from_utf8(capture.take_packets().concat()).unwrap(), guard.client().stats())
}

/// What `act` sends in each of the [`DIALECTS`].
#[track_caller]
fn assert_sent(act: impl Fn(&Client), expected: [&str; 3]) {
    for (dialect, expected) in DIALECTS.into_iter().zip(expected) {
        assert_eq!(sent(dialect, &act), expected, "{dialect:?}");
    }
}

fn dropped(stats: &Stats, reason: DropReason) -> u64 {
    assert_eq!(stats.dropped_total().values, stats.dropped(reason).values, "nothing for another reason");
    stats.dropped(reason).values
}

// Kinds.

#[test]
fn each_kind_has_its_line() {
    assert_sent(
        |client| {
            client.gauge("level").tag("queue", "mail").set(2.5);
            client.counter("jobs").tag("queue", "mail").increment(3);
            client.distribution("size").tag("queue", "mail").record(12.5);
            client.histogram("wait").tag("queue", "mail").record(0.25);
            client.timing("run").tag("queue", "mail").record_duration(Duration::from_micros(1500));
            client.set("users").tag("queue", "mail").insert("user-7");
        },
        [
            "level:2.5|g|#queue:mail,task_id:0042\n\
             jobs:3|c|#queue:mail,task_id:0042\n\
             size:12.5|d|#queue:mail,task_id:0042\n\
             wait:0.25|h|#queue:mail,task_id:0042\n\
             run:1.5|ms|#queue:mail,task_id:0042\n\
             users:user-7|s|#queue:mail,task_id:0042\n",
            "level:2.5|g|#queue:mail,task_id:0042\n\
             jobs:3|c|#queue:mail,task_id:0042\n\
             size:12.5|ms|#queue:mail,task_id:0042\n\
             wait:0.25|ms|#queue:mail,task_id:0042\n\
             run:1.5|ms|#queue:mail,task_id:0042\n\
             users:user-7|s|#queue:mail,task_id:0042\n",
            "level:2.5|g\njobs:3|c\nsize:12.5|ms\nwait:0.25|ms\nrun:1.5|ms\nusers:user-7|s\n",
        ],
    );
}

#[test]
fn a_peak_is_a_gauge_of_its_own() {
    assert_sent(
        |client| {
            let level = client.gauge("level").tag("queue", "mail").peak().register();
            level.set(9.0);
            level.set(-7.0);
        },
        [
            "level:-7|g|#queue:mail,task_id:0042\nlevel.max:9|g|#queue:mail,task_id:0042\n",
            "level:0|g|#queue:mail,task_id:0042\nlevel:-7|g|#queue:mail,task_id:0042\n\
             level.max:9|g|#queue:mail,task_id:0042\n",
            "level:0|g\nlevel:-7|g\nlevel.max:9|g\n",
        ],
    );
}

#[test]
fn an_occupancy_is_three_gauges() {
    let expected = [
        "pool.in_use:1|g|#of:db,task_id:0042\npool.in_use.max:2|g|#of:db,task_id:0042\n\
         pool.utilization:0.375|g|#of:db,task_id:0042\n",
        "pool.in_use:1|g|#of:db,task_id:0042\npool.in_use.max:2|g|#of:db,task_id:0042\n\
         pool.utilization:0.375|g|#of:db,task_id:0042\n",
        "pool.in_use:1|g\npool.in_use.max:2|g\npool.utilization:0.375|g\n",
    ];
    for (dialect, expected) in DIALECTS.into_iter().zip(expected) {
        let clock = ManualClock::new();
        let builder = support::builder().dialect(dialect).clock(&clock);
        let (text, _) = sent_by(builder, |client| {
            let pool = client.occupancy("pool", 4).tag("of", "db").register();
            let whole_time = pool.acquire_owned();
            let half_the_time = pool.acquire();
            clock.advance(Duration::from_millis(500));
            drop(half_the_time);
            clock.advance(Duration::from_millis(500));
            // It is in use at the flush.
            std::mem::forget(whole_time);
        });
        assert_eq!(text, expected, "{dialect:?}");
    }
}

#[test]
fn an_occupancy_without_a_capacity_has_no_utilization() {
    let clock = ManualClock::new();
    let (text, _) = sent_by(support::builder().dialect(Dialect::Statsd).clock(&clock), |client| {
        let _pool = client.occupancy("pool", 0).register();
        clock.advance(Duration::from_secs(1));
    });
    assert_eq!(text, "pool.in_use:0|g\npool.in_use.max:0|g\n");
}

#[test]
fn nothing_is_sent_for_what_was_not_used() {
    assert_sent(
        |client| {
            let _handles = (
                client.gauge("level").peak().register(),
                client.counter("jobs").register(),
                client.timing("run").register(),
                client.set("users").register(),
            );
            client.counter("done").increment(0);
        },
        [""; 3],
    );
}

// Names, prefix and tags.

#[test]
fn the_prefix_and_a_point_stand_before_every_metric() {
    for (prefix, name) in [
        ("", "jobs"),
        ("shop", "shop.jobs"),
        ("shop.", "shop.jobs"),
        ("shop.web", "shop.web.jobs"),
        ("my shop:", "my_shop_.jobs"),
        ("1st", "m_1st.jobs"),
        ("...", "jobs"),
    ] {
        let (text, _) = sent_by(support::builder().prefix(prefix), |client| {
            client.counter("jobs").increment(1);
            client.event("live", "");
            client.service_check("db", Status::Ok);
        });
        let tags = "|#task_id:0042\n";
        assert_eq!(text, format!("_e{{4,0}}:live|{tags}_sc|db|0{tags}{name}:1|c{tags}"));
    }
}

#[test]
fn global_tags_stand_in_order_behind_a_contexts_own() {
    let vars =
        [("DD_TAGS", "z:listed,flag a:1,region:us,env:old"), ("DD_ENV", "prod"), ("DD_ENTITY_ID", "pod")];
    let builder = || support::builder().from_vars(vars).tag("region", "eu").tag("b", "2");
    let act = |client: &Client| {
        client.counter("jobs").tag("own", "x").tag("also", "y").increment(1);
        client.event("live", "");
    };
    let (text, _) = sent_by(builder(), act);
    let globals = "z:listed,flag,a:1,env:prod,dd.internal.entity_id:pod,region:eu,b:2,task_id:0042";
    assert_eq!(text, format!("_e{{4,0}}:live||#{globals}\njobs:1|c|#also:y,own:x,{globals}\n"));
    let (text, _) = sent_by(builder().dialect(Dialect::TaggedStatsd), act);
    let globals = "z:listed,flag,a:1,env:prod,region:eu,b:2,task_id:0042";
    assert_eq!(text, format!("jobs:1|c|#also:y,own:x,{globals}\n"));
    let (text, _) = sent_by(builder().dialect(Dialect::Statsd), act);
    assert_eq!(text, "jobs:1|c\n");
}

#[test]
fn an_own_tag_goes_before_a_global_one_with_its_key() {
    let builder = support::builder().tag("region", "eu").tag("zone", "a").tag("team", "web");
    let (text, stats) = sent_by(builder, |client| {
        client.counter("jobs").tag("region", "us").increment(1);
        client
            .counter("jobs")
            .tag("zone", "")
            .tag("team ", "db")
            .tag("region", "1")
            .tag("region", "2")
            .increment(1);
        client.send_event(Event::new("t", "").tag("team", "db"));
        client.send_service_check(ServiceCheck::new("db", Status::Ok).tag("zone", "b"));
    });
    assert_eq!(
        text,
        "_e{1,0}:t||#team:db,region:eu,zone:a,task_id:0042\n\
         _sc|db|0|#zone:b,region:eu,team:web,task_id:0042\n\
         jobs:1|c|#region:us,zone:a,team:web,task_id:0042\n\
         jobs:1|c|#region:1,region:2,team_:db,zone,team:web,task_id:0042\n"
    );
    assert_eq!(stats.refused_tags, 0);
}

#[test]
fn the_task_id_is_there_once_whoever_else_passes_it() {
    for key in ["task_id", "task id", "task:id", "task|id", "task\nid", "task,id", "TASK_ID", "Task Id"] {
        let builder = support::builder().from_vars([("DD_TAGS", "task_id:7 a:1")]).tag("task=id", "8");
        let (text, stats) = sent_by(builder, |client| {
            client.counter("jobs").tag(key, "9").tag(key, "").tag("x", "task_id:9").increment(1);
            client.send_event(Event::new("t", "").tag(key, "9"));
            client.send_service_check(ServiceCheck::new("db", Status::Ok).tag(key, "9"));
        });
        assert_eq!(
            text,
            "_e{1,0}:t||#task_id_:9,a:1,task_id:0042\n\
             _sc|db|0|#task_id_:9,a:1,task_id:0042\n\
             jobs:1|c|#task_id_,task_id_:9,x:task_id:9,a:1,task_id:0042\n",
            "{key:?}"
        );
        assert_eq!(stats.refused_tags, 0);
    }
}

#[test]
fn no_letter_that_is_lower_cased_to_another_makes_a_second_task_id() {
    // Datadog keeps the letters of any script, and writes keys in lower case.
    let (text, stats) = sent_by(support::builder().tag("task_\u{130}D", "8"), |client| {
        client.counter("jobs").tag("tas\u{212a}_id", "7").increment(1);
    });
    assert_eq!(text, "jobs:1|c|#task_id_:7,task_id:0042\n");
    assert_eq!(stats.refused_tags, 0);
}

#[test]
fn a_global_tag_with_the_reserved_key_is_refused_at_once() {
    for key in ["task_id", "Task_ID"] {
        let refused = support::builder().tag(key, "7").build().unwrap_err();
        assert!(matches!(refused, ConfigError::Setting { setting: "tag", .. }), "{refused}");
    }
}

// Numbers.

#[test]
fn a_negative_gauge_is_set_to_0_first_where_a_sign_means_a_difference() {
    assert_sent(
        |client| client.gauge("level").set(-5.5),
        [
            "level:-5.5|g|#task_id:0042\n",
            "level:0|g|#task_id:0042\nlevel:-5.5|g|#task_id:0042\n",
            "level:0|g\nlevel:-5.5|g\n",
        ],
    );
}

#[test]
#[allow(clippy::approx_constant, reason = "the digits are what is tested")]
fn numbers_have_no_exponent_and_read_back_exactly() {
    for (value, text) in [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-7, "0.0000001"),
        (3.14159, "3.14159"),
        (1e15, "1000000000000000"),
        (1e16, "10000000000000000"),
        (1e22, "10000000000000000000000"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (18_446_744_073_709_551_615.0, "18446744073709552000"),
        (1.5e300, &format!("15{}", "0".repeat(299))),
        (f64::MIN_POSITIVE, &format!("0.{}22250738585072014", "0".repeat(307))),
        // Too near to 0 for a distribution, not for a gauge.
        (5e-324, &format!("0.{}5", "0".repeat(323))),
    ] {
        for dialect in [Dialect::DogStatsd, Dialect::Statsd] {
            let tags = if dialect == Dialect::DogStatsd { "|#task_id:0042" } else { "" };
            let code = if dialect == Dialect::DogStatsd { "d" } else { "ms" };
            let line = sent(dialect, |client| client.gauge("g").set(value));
            assert_eq!(line, format!("g:{text}|g{tags}\n"));
            let recorded = if value.is_normal() { text } else { "0" };
            let line = sent(dialect, |client| client.distribution("d").record(value));
            assert_eq!(line, format!("d:{recorded}|{code}{tags}\n"));
        }
        let negative = sent(Dialect::DogStatsd, |client| client.gauge("g").set(-value));
        let sign = if value == 0.0 { "" } else { "-" };
        assert_eq!(negative, format!("g:{sign}{text}|g|#task_id:0042\n"));
    }
}

#[test]
fn a_counter_is_whole_up_to_the_last_digit() {
    let line = sent(Dialect::Statsd, |client| client.counter("c").increment(u64::MAX));
    assert_eq!(line, "c:18446744073709551615|c\n");
}

#[test]
fn values_that_are_not_finite_are_no_values() {
    let (text, stats) = sent_by(support::builder(), |client| {
        let (gauge, timing) = (client.gauge("g").register(), client.timing("t").register());
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            gauge.set(value);
            gauge.add(value);
            gauge.sub(value);
            timing.record(value);
            timing.record_many(value, 5);
            client.gauge("g").set(value);
            client.gauge("g").add(value);
            client.timing("t").record(value);
        }
    });
    assert_eq!(text, "");
    assert_eq!(stats.accepted, stats.dropped(DropReason::Invalid));
    assert_eq!(dropped(&stats, DropReason::Invalid), 3 * 7, "those of the timing");
    assert_eq!(stats.unset_gauges, 1, "it stays absent");
}

#[test]
fn a_sum_that_is_not_finite_makes_the_gauge_absent() {
    let (text, stats) = sent_by(support::builder().dialect(Dialect::Statsd), |client| {
        let gauge = client.gauge("g").register();
        gauge.set(f64::MAX);
        gauge.add(f64::MAX);
        gauge.add(f64::NAN);
        gauge.set(3.0);
        gauge.add(f64::NEG_INFINITY);
        client.gauge("h").set(3.0);
        client.gauge("h").sub(f64::INFINITY);
        client.gauge("h").add(0.5);
    });
    assert_eq!(text, "h:0.5|g\n");
    assert_eq!((stats.unset_gauges, stats.dropped_total().values), (3, 0));
}

// Weights.

#[test]
fn equal_values_are_one_line_with_the_rate_that_truncates_to_their_count() {
    for (n, rate) in [
        (1, ""),
        (2, "|@0.5"),
        (3, "|@0.3333333333333333"),
        (6, "|@0.16666666666666666"),
        // 1 / (1 / 93) is a little less than 93: the rate is the next smaller one.
        (93, "|@0.01075268817204301"),
        (1000, "|@0.001"),
        (1_000_000, "|@0.000001"),
    ] {
        let repeated = |client: &Client| client.distribution("d").register().record_many(12.5, n);
        assert_eq!(sent(Dialect::DogStatsd, repeated), format!("d:12.5|d{rate}|#task_id:0042\n"));
    }
}

#[test]
fn an_agent_that_truncates_counts_every_value() {
    let counts = (1..=400).chain([99_999, 1_000_003, 1 << 40, (1 << 44) - 1, 1 << 44, 1 << 50]);
    let counts: Vec<u64> = counts.collect();
    let (text, stats) = sent_by(support::builder().metric_context_limit(1000), |client| {
        for (number, n) in counts.iter().enumerate() {
            client.histogram("h").tag("n", &number.to_string()).record(1.0);
            client.histogram("h").tag("n", &number.to_string()).register().record_many(1.0, n - 1);
        }
    });
    let metrics = parse_metrics(&text);
    let mut received = vec![0; counts.len()];
    for metric in &metrics {
        received[metric.tag("n").unwrap().parse::<usize>().unwrap()] += metric.count();
    }
    assert_eq!(received, counts);
    assert_eq!(stats.sent.values, counts.iter().sum::<u64>());
}

#[test]
fn values_of_a_bucket_travel_as_the_first_of_them() {
    let line = sent(Dialect::DogStatsd, |client| {
        let size = client.distribution("size").register();
        size.record(100.25);
        size.record(100.4375);
        size.record(100.0);
        size.record(-100.0);
    });
    let mut lines: Vec<&str> = line.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["size:-100|d|#task_id:0042", "size:100.25|d|@0.3333333333333333|#task_id:0042"]);
}

#[test]
fn servers_that_ignore_rates_get_every_value_a_line() {
    let repeated = |client: &Client| client.timing("run").register().record_many(12.5, 3);
    let tagged = "run:12.5|ms|#task_id:0042\n".repeat(3);
    assert_sent(
        repeated,
        ["run:12.5|ms|@0.3333333333333333|#task_id:0042\n", &tagged, &"run:12.5|ms\n".repeat(3)],
    );
}

#[test]
fn more_than_1000_lines_of_a_metric_are_thinned_out_and_counted() {
    for (small, large, kept) in [(1, 999, (1, 999)), (1, 2999, (1, 999)), (1000, 3000, (250, 750))] {
        let (text, stats) = sent_by(support::builder().dialect(Dialect::Statsd), |client| {
            let run = client.timing("run").register();
            run.record_many(2.0, small);
            run.record_many(400.0, large);
        });
        let count = |line| text.lines().filter(|found| *found == line).count();
        assert_eq!((count("run:2|ms"), count("run:400|ms")), kept);
        let expected = small + large - (kept.0 + kept.1) as u64;
        assert_eq!(dropped(&stats, DropReason::Sampled), expected);
        assert_eq!(stats.sent.values, (kept.0 + kept.1) as u64);
        support::assert_conserved(&stats);
    }
}

#[test]
fn negative_timings_are_refused_where_servers_take_them_for_bad_lines() {
    let act = |client: &Client| {
        client.timing("run").register().record_many(-1.0, 4);
        client.distribution("size").record(-2.0);
        client.histogram("wait").record(0.0);
    };
    let dog = "run:-1|ms|@0.25|#task_id:0042\nsize:-2|d|#task_id:0042\nwait:0|h|#task_id:0042\n";
    assert_sent(act, [dog, "wait:0|ms|#task_id:0042\n", "wait:0|ms\n"]);
    let (_, stats) = sent_by(support::builder().dialect(Dialect::Statsd), act);
    assert_eq!(dropped(&stats, DropReason::Invalid), 5);
}

// Events and service checks.

fn full_event() -> Event {
    Event::new("pool exhausted", "10 of 10\nheld")
        .tag("pool", "primary")
        .timestamp(UNIX_EPOCH + Duration::from_millis(1_700_000_000_999))
        .hostname("web-1")
        .aggregation_key("pool-primary")
        .priority(Priority::Low)
        .source_type("rust")
        .alert_type(AlertType::Error)
}

#[test]
fn an_event_has_all_it_was_given() {
    assert_sent(
        |client| client.send_event(full_event()),
        [
            "_e{14,14}:pool exhausted|10 of 10\\nheld|d:1700000000|h:web-1|k:pool-primary|p:low|s:rust|t:error\
             |#pool:primary,task_id:0042\n",
            "",
            "",
        ],
    );
    for (priority, text) in [(Priority::Normal, "normal"), (Priority::Low, "low")] {
        let line =
            sent(Dialect::DogStatsd, |client| client.send_event(Event::new("t", "x").priority(priority)));
        assert_eq!(line, format!("_e{{1,1}}:t|x|p:{text}|#task_id:0042\n"));
    }
    for (alert_type, text) in [
        (AlertType::Info, "info"),
        (AlertType::Success, "success"),
        (AlertType::Warning, "warning"),
        (AlertType::Error, "error"),
    ] {
        let event = || Event::new("t", "x").alert_type(alert_type);
        let line = sent(Dialect::DogStatsd, |client| client.send_event(event()));
        assert_eq!(line, format!("_e{{1,1}}:t|x|t:{text}|#task_id:0042\n"));
    }
}

#[test]
fn a_service_check_has_all_it_was_given_and_the_message_last() {
    assert_sent(
        |client| {
            client.send_service_check(
                ServiceCheck::new("db.reachable", Status::Critical)
                    .message("no route\nto host")
                    .tag("db", "primary")
                    .timestamp(UNIX_EPOCH - Duration::from_secs(5))
                    .hostname("web-1"),
            );
        },
        ["_sc|db.reachable|2|d:0|h:web-1|#db:primary,task_id:0042|m:no route\\nto host\n", "", ""],
    );
    for (status, digit) in
        [(Status::Ok, 0), (Status::Warning, 1), (Status::Critical, 2), (Status::Unknown, 3)]
    {
        let line = sent(Dialect::DogStatsd, |client| client.service_check("db", status));
        assert_eq!(line, format!("_sc|db|{digit}|#task_id:0042\n"));
    }
}

#[test]
fn lengths_of_an_event_are_in_bytes_of_what_is_sent() {
    let line = sent(Dialect::DogStatsd, |client| client.event("größe|ok", "a\r\nb\rc\n"));
    assert_eq!(line, "_e{10,9}:größe|ok|a\\nb\\nc\\n|#task_id:0042\n");
}

#[test]
fn what_a_dialect_does_not_have_is_refused_and_counted() {
    for dialect in [Dialect::TaggedStatsd, Dialect::Statsd] {
        let (text, stats) = sent_by(support::builder().dialect(dialect), |client| {
            client.send_event(full_event());
            client.event("", "");
            client.service_check("db", Status::Ok);
        });
        assert_eq!(text, "");
        assert_eq!(dropped(&stats, DropReason::Unsupported), 3);
        assert_eq!(stats.accepted, stats.dropped(DropReason::Unsupported));
    }
}

#[test]
fn an_event_without_a_title_and_a_check_without_a_name_are_refused_and_counted() {
    let (text, stats) = sent_by(support::builder(), |client| {
        client.event("", "text");
        client.service_check("", Status::Ok);
    });
    assert_eq!((text.as_str(), dropped(&stats, DropReason::Invalid)), ("", 2));
}

// Hostile text.

/// 10,000 characters.
fn long(character: &str) -> String {
    character.repeat(10_000)
}

#[test]
fn names_are_cleaned_alike_in_every_dialect() {
    for (given, made) in [
        ("a\nb:1|c", "a_b_1_c"),
        ("a\r\nb", "a__b"),
        ("a|#k:v", "a__k_v"),
        ("a@0.5,b=c;d", "a_0.5_b_c_d"),
        ("größe", "gr__e"),
        ("日本", "m___"),
        ("_sc|db|0", "m__sc_db_0"),
        ("_e{1,1}:t|x", "m__e_1_1__t_x"),
        ("5xx", "m_5xx"),
        (".jobs", "m_.jobs"),
        (" ", "m__"),
        ("\0", "m__"),
        (&long("x"), &"x".repeat(200)),
        (&long("ß"), &format!("m_{}", "_".repeat(198))),
    ] {
        assert_sent(
            |client| client.counter(given).increment(1),
            [
                &format!("{made}:1|c|#task_id:0042\n"),
                &format!("{made}:1|c|#task_id:0042\n"),
                &format!("{made}:1|c\n"),
            ],
        );
    }
}

#[test]
fn a_long_name_is_cut_before_what_makes_another_name_of_it() {
    let (text, _) = sent_by(support::builder().dialect(Dialect::Statsd).prefix("shop"), |client| {
        client.gauge(&long("x")).peak().set(1.0);
    });
    assert_eq!(text, format!("shop.{}:1|g\nshop.{}.max:1|g\n", "x".repeat(195), "x".repeat(191)));
    let prefix = "p".repeat(150);
    let (text, _) = sent_by(support::builder().dialect(Dialect::Statsd).prefix(&prefix), |client| {
        client.gauge(&long("x")).peak().set(1.0);
    });
    assert_eq!(text, format!("{prefix}.{}:1|g\n{prefix}.{}.max:1|g\n", "x".repeat(49), "x".repeat(45)));
}

#[test]
fn a_metric_without_a_name_is_refused_and_counted() {
    for dialect in DIALECTS {
        let (text, stats) = sent_by(support::builder().dialect(dialect), |client| {
            client.gauge("").set(1.0);
            client.counter("").increment(5);
            client.set("").insert("a");
            client.timing("").register().record(1.0);
            assert!(client.timing("").try_register().is_err());
        });
        assert_eq!(text, "");
        assert_eq!(dropped(&stats, DropReason::Invalid), 3);
        assert_eq!(stats.refused_registrations, 2);
    }
}

#[test]
fn tags_are_cleaned_as_their_dialect_asks() {
    // 200 characters with the colon: Datadog takes no longer tag.
    let longest = format!("{}:{}", "k".repeat(100), "v".repeat(99));
    let shorter_key = format!("{}:{}", "k".repeat(99), "v".repeat(100));
    for ((key, value), dog, tagged) in [
        (("a\nb", "c\nd:1|c"), "a_b:c_d:1_c", "a_b:c_d_1_c"),
        (("a:b", "http://x:1/"), "a_b:http://x:1/", "a_b:http___x_1_"),
        (("a|b", "c|@0.5"), "a_b:c__0.5", "a_b:c__0.5"),
        (("#a", ",b=@c"), "_a:_b__c", "_a:_b__c"),
        (("größe", "日本"), "größe:日本", "gr__e:__"),
        (("path", "/a-b_c.d"), "path:/a-b_c.d", "path:_a-b_c.d"),
        (("_sc", "_e{1,1}"), "_sc:_e_1_1_", "_sc:_e_1_1_"),
        (("flag", ""), "flag", "flag"),
        (("k", "\u{2028}\u{85}\u{200b}"), "k:___", "k:___"),
        (("k", "Ⅷ½"), "k:Ⅷ½", "k:__"),
        ((&long("k"), &long("v")), &longest, &longest),
        ((&"k".repeat(99), &long("v")), &shorter_key, &shorter_key),
        (("k", &long("ü")), &format!("k:{}", "ü".repeat(100)), &format!("k:{}", "_".repeat(100))),
    ] {
        let expected = [
            &format!("jobs:1|c|#{dog},task_id:0042\n"),
            &format!("jobs:1|c|#{tagged},task_id:0042\n"),
            "jobs:1|c\n",
        ];
        assert_sent(|client| client.counter("jobs").tag(key, value).increment(1), expected);
        // The same of a global tag, and of an event's.
        let (text, _) =
            sent_by(support::builder().tag(key, value), |client| client.counter("jobs").increment(1));
        assert_eq!(text, expected[0]);
        let event = || Event::new("t", "").tag(key, value);
        let line = sent(Dialect::DogStatsd, |client| client.send_event(event()));
        assert_eq!(line, format!("_e{{1,0}}:t||#{dog},task_id:0042\n"));
    }
}

#[test]
fn a_tag_without_a_key_is_left_out_and_counted() {
    for dialect in [Dialect::DogStatsd, Dialect::TaggedStatsd] {
        let builder = support::builder().dialect(dialect).tag("", "global");
        let (text, stats) = sent_by(builder, |client| {
            client.counter("jobs").tag("", "v").tag("a", "1").increment(1);
        });
        assert_eq!(text, "jobs:1|c|#a:1,task_id:0042\n");
        assert_eq!(stats.refused_tags, 2);
    }
}

#[test]
fn a_ninth_single_tag_is_left_out_and_counted_and_a_slice_has_room_for_any_number() {
    let pairs: Vec<(String, String)> = (0..12).map(|n| (format!("k{n:02}"), n.to_string())).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let rendered = |pairs: &[(&str, &str)]| -> String {
        pairs.iter().map(|(key, value)| [key, ":", value, ","].concat()).collect()
    };
    let (text, stats) = sent_by(support::builder(), |client| {
        pairs
            .iter()
            .fold(client.counter("one"), |counter, (key, value)| counter.tag(key, value))
            .increment(1);
        client.counter("slice").tags(&pairs).increment(1);
        client.counter("both").tags(&pairs[..1]).tag("a", "1").tags(&pairs[1..]).increment(1);
    });
    assert_eq!(
        text,
        format!(
            "one:1|c|#{}task_id:0042\nslice:1|c|#{}task_id:0042\nboth:1|c|#a:1,{}task_id:0042\n",
            rendered(&pairs[..8]),
            rendered(&pairs),
            rendered(&pairs[1..])
        )
    );
    assert_eq!(stats.refused_tags, 4);
}

#[test]
fn tags_that_become_equal_stand_once() {
    let line = sent(Dialect::DogStatsd, |client| {
        client.counter("jobs").tag("a b", "1").tag("a_b", "1").tag("a|b", "1").increment(1);
    });
    assert_eq!(line, "jobs:1|c|#a_b:1,task_id:0042\n");
}

#[test]
fn members_stay_as_they_are_or_become_their_hash() {
    let hash = "46f8958f5669b84eb8926ebd4d17b2cd";
    for (given, dog, plain) in [
        ("a|b", "a68d6259fb8b5822836dbc7977cbafee", "a68d6259fb8b5822836dbc7977cbafee"),
        ("a\nb\r\t\0", "44c7d5f4e73c64bf6f1077d264fd1c1e", "44c7d5f4e73c64bf6f1077d264fd1c1e"),
        ("10.0.0.1:80", "10.0.0.1:80", "6edc9c68390d82af33288e1810500a5d"),
        ("1|s\nx:1|c", "e736ae615a04e31217a1f81970e14c1f", "e736ae615a04e31217a1f81970e14c1f"),
        ("#@,= {}", "#@,= {}", "#@,= {}"),
        ("größe", "größe", "größe"),
        ("_sc|", "68adf80779757277b806e93ac3985b00", "68adf80779757277b806e93ac3985b00"),
        ("\u{85}\u{2028}", "314594346b83d94f707f8ba0392c894e", "314594346b83d94f707f8ba0392c894e"),
        (&long("x"), hash, hash),
    ] {
        assert_sent(
            |client| client.set("users").insert(given),
            [
                &format!("users:{dog}|s|#task_id:0042\n"),
                &format!("users:{plain}|s|#task_id:0042\n"),
                &format!("users:{plain}|s\n"),
            ],
        );
    }
}

#[test]
fn members_that_differ_are_written_differently() {
    let members = ["a:b", "a|b", "a\nb", "a_b", "a\u{7f}b", "a b", "a::b", "a__b"];
    for dialect in DIALECTS {
        let text =
            sent(dialect, |client| members.iter().for_each(|member| client.set("users").insert(member)));
        let lines: std::collections::HashSet<&str> = text.lines().collect();
        assert_eq!(lines.len(), members.len(), "{dialect:?}: {text}");
    }
}

#[test]
fn the_empty_member_is_refused_and_counted_as_often_as_it_was_seen() {
    for dialect in DIALECTS {
        let (text, stats) = sent_by(support::builder().dialect(dialect), |client| {
            client.set("users").insert("");
            client.set("users").register().insert("");
        });
        assert_eq!((text.as_str(), dropped(&stats, DropReason::Invalid)), ("", 2));
    }
}

#[test]
fn a_member_is_sent_once_a_flush_and_booked_as_often_as_it_was_seen() {
    let (text, stats) = sent_by(support::builder().dialect(Dialect::Statsd), |client| {
        for member in ["b", "a", "b", "b"] {
            client.set("users").insert(member);
        }
    });
    assert_eq!(text, "users:a|s\nusers:b|s\n");
    assert_eq!((stats.sent.values, stats.sent.lines), (4, 2));
}

#[test]
fn titles_and_texts_are_one_line_of_anything() {
    let (title, text) = ("ß".repeat(1000), "\n".repeat(3000));
    for ((title, text), expected) in [
        (("a\nb", "c\r\nd\re"), "_e{4,7}:a\\nb|c\\nd\\ne".to_owned()),
        (("a|b", "|d:1|#k:v"), "_e{3,9}:a|b||d:1|#k:v".to_owned()),
        (("_e{1,1}:t|x", "_sc|db|0"), "_e{11,8}:_e{1,1}:t|x|_sc|db|0".to_owned()),
        (("#@,=:", "日本"), "_e{5,6}:#@,=:|日本".to_owned()),
        (("\\n", "\0\t"), "_e{2,2}:\\n|\0\t".to_owned()),
        ((&title, &text), format!("_e{{2000,6000}}:{title}|{}", "\\n".repeat(3000))),
    ] {
        let line = sent(Dialect::DogStatsd, |client| client.event(title, text));
        assert_eq!(line, format!("{expected}|#task_id:0042\n"));
    }
}

#[test]
fn the_other_fields_of_events_and_checks_stay_fields() {
    for (given, made) in [
        ("a|t:error", "a_t:error"),
        ("a\nb\r\u{85}", "a_b__"),
        ("#k:v,@{}=", "#k:v,@{}="),
        ("größe", "größe"),
    ] {
        let event = || Event::new("t", "").hostname(given).aggregation_key(given).source_type(given);
        let line = sent(Dialect::DogStatsd, |client| client.send_event(event()));
        assert_eq!(line, format!("_e{{1,0}}:t||h:{made}|k:{made}|s:{made}|#task_id:0042\n"));
        let check = || ServiceCheck::new("db", Status::Ok).hostname(given);
        let line = sent(Dialect::DogStatsd, |client| client.send_service_check(check()));
        assert_eq!(line, format!("_sc|db|0|h:{made}|#task_id:0042\n"));
    }
}

#[test]
fn messages_are_one_line_of_one_field() {
    let message = "ü".repeat(4000);
    for (given, made) in [
        ("a\nb\r\nc\rd", "a\\nb\\nc\\nd"),
        ("a|#k:v|h:x", "a_#k:v_h:x"),
        ("it is m:down, mm:", "it is m\\:down, mm\\:"),
        ("|m:|m:", "_m\\:_m\\:"),
        ("m\n:", "m\\n:"),
        ("_sc|db|0", "_sc_db_0"),
        ("", ""),
        (message.as_str(), message.as_str()),
    ] {
        let check = || ServiceCheck::new("db", Status::Ok).message(given);
        let line = sent(Dialect::DogStatsd, |client| client.send_service_check(check()));
        assert_eq!(line, format!("_sc|db|0|#task_id:0042|m:{made}\n"));
    }
}

#[test]
fn names_of_checks_are_cleaned() {
    for (given, made) in [("a|b\nc:d", "a_b_c_d"), ("a,b#c@d=e", "a_b_c_d_e"), ("größe.x-y", "gr__e.x-y")] {
        let line = sent(Dialect::DogStatsd, |client| client.service_check(given, Status::Ok));
        assert_eq!(line, format!("_sc|{made}|0|#task_id:0042\n"));
    }
}

#[test]
fn a_line_beyond_every_packet_is_dropped_and_counted() {
    // 200 bytes each, with their commas.
    let keys: Vec<String> = (0..400).map(|n| format!("{n:0100}")).collect();
    let value = "v".repeat(98);
    let tags: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), value.as_str())).collect();
    let (text, stats) = sent_by(support::builder(), |client| {
        client.counter("t").tags(&tags).increment(1);
        client.event("u", "");
    });
    assert_eq!(text, "_e{1,0}:u||#task_id:0042\n");
    let bytes = ("t:1|c|#task_id:0042\n".len() + 400 * 200) as u64;
    let dropped = stats.dropped(DropReason::TooLarge);
    assert_eq!((dropped.values, dropped.lines, dropped.packets, dropped.bytes), (1, 1, 0, bytes));
    assert_eq!(stats.dropped_total(), dropped);
    support::assert_conserved(&stats);
}

// Whatever is passed in.

/// Text that tries to get out of its place.
fn hostile(u: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    const PIECES: [&str; 31] = [
        "\n", "\r", "\r\n", "|", ":", "#", "@", ",", "=", "{", "}", "\\", "\0", "\u{85}", "\u{2028}", "|#",
        "|@0.5", "|c", "_sc", "_sc|db|0", "_e{", "_e{1,1}:", "m:", "task_id", "TASK id", "\nx:1|c", "é",
        "日", "a", "1", " ",
    ];
    if u.ratio(1, 8)? {
        return u.arbitrary();
    }
    if u.ratio(1, 16)? {
        return Ok(u.choose(&PIECES)?.repeat(500));
    }
    let pieces = u.int_in_range(0..=6)?;
    (0..pieces).map(|_| u.choose(&PIECES).copied()).collect()
}

type Pairs = Vec<(String, String)>;

fn hostile_tags(u: &mut Unstructured<'_>) -> arbitrary::Result<Pairs> {
    let tags = u.int_in_range(0..=10)?;
    (0..tags).map(|_| Ok((hostile(u)?, hostile(u)?))).collect()
}

/// The tags as they may be read back: no key but those that were passed, and the task id's once.
#[track_caller]
fn assert_tags(dialect: Dialect, found: &Pairs, own: &Pairs, globals: &Pairs) {
    if dialect == Dialect::Statsd {
        assert_eq!(found, &[]);
        return;
    }
    let clean = |raw: &str, colon: bool| -> String {
        let kept = |c: char| match dialect {
            Dialect::DogStatsd => c.is_alphanumeric() || "_-./".contains(c) || colon && c == ':',
            _ => c.is_ascii_alphanumeric() || "_-.".contains(c),
        };
        raw.chars().take(100).map(|c| if kept(c) { c } else { '_' }).collect()
    };
    let cleaned = |tags: &Pairs| -> BTreeSet<(String, String)> {
        let key_of = |key: &str| match dialect {
            Dialect::TaggedStatsd => support::label(&clean(key, false)),
            _ => clean(key, false),
        };
        let tags = tags.iter().map(|(key, value)| (key_of(key), clean(value, true)));
        let tags = tags.map(|(key, value)| {
            let room = 200 - 1 - key.chars().count();
            (key, value.chars().take(room).collect())
        });
        let tags = tags.map(|(key, value): (String, String)| {
            let is_other_id = key.eq_ignore_ascii_case("task_id");
            (if is_other_id { "task_id_".to_owned() } else { key }, value)
        });
        tags.filter(|(key, _)| !key.is_empty()).collect()
    };
    let mut expected = cleaned(own);
    let inherited =
        cleaned(globals).into_iter().filter(|(key, _)| expected.iter().all(|(own, _)| own != key));
    let mut expected_of_all: BTreeSet<_> = inherited.collect();
    expected_of_all.append(&mut expected);
    expected_of_all.insert(("task_id".to_owned(), "0042".to_owned()));
    assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), expected_of_all);
    assert_eq!(found.len(), expected_of_all.len(), "each once: {found:?}");
    assert_eq!(found.last().unwrap().0, "task_id");
}

fn parse_metrics(text: &str) -> Vec<ParsedMetric> {
    let metric = |parsed| match parsed {
        Parsed::Metric(metric) => metric,
        other => panic!("not a metric: {other:?}"),
    };
    parse(text.as_bytes()).unwrap().into_iter().map(metric).collect()
}

#[test]
fn no_name_tag_or_member_forges_a_line() {
    arbtest::arbtest(|u| {
        let (dialect, kind) = (*u.choose(&DIALECTS)?, u.int_in_range(0..=5)?);
        let (mut prefix, name, member) = (hostile(u)?, hostile(u)?, hostile(u)?);
        // A longer one is an error.
        let end = (0..=prefix.len().min(150)).rev().find(|end| prefix.is_char_boundary(*end));
        prefix.truncate(end.unwrap_or(0));
        let (own, globals) = (hostile_tags(u)?, hostile_tags(u)?);
        let globals: Pairs =
            globals.into_iter().filter(|(key, _)| !key.eq_ignore_ascii_case("task_id")).collect();
        let builder = support::builder().dialect(dialect).prefix(prefix);
        let builder = globals.iter().fold(builder, |builder, (key, value)| builder.tag(key, value));
        let tags: Vec<(&str, &str)> = own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let (text, stats) = sent_by(builder, |client| match kind {
            0 => client.gauge(&name).tags(&tags).set(-1.0),
            1 => client.counter(&name).tags(&tags).increment(1),
            2 => client.distribution(&name).tags(&tags).record(1.0),
            3 => client.histogram(&name).tags(&tags).record(1.0),
            4 => client.timing(&name).tags(&tags).record(1.0),
            _ => client.set(&name).tags(&tags).insert(&member),
        });
        let metrics = if text.is_empty() { Vec::new() } else { parse_metrics(&text) };
        let by_difference = kind == 0 && dialect != Dialect::DogStatsd;
        let refused = name.is_empty() || kind == 5 && member.is_empty();
        assert_eq!(metrics.len(), if refused { 0 } else { 1 + usize::from(by_difference) }, "{text:?}");
        for metric in &metrics {
            let codes = if dialect == Dialect::DogStatsd {
                ["g", "c", "d", "h", "ms", "s"]
            } else {
                ["g", "c", "ms", "ms", "ms", "s"]
            };
            assert_eq!(metric.code, codes[kind]);
            assert!(
                metric.name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)),
                "{}",
                metric.name
            );
            assert!(metric.name.starts_with(|c: char| c.is_ascii_alphabetic()) && metric.name.len() <= 200);
            assert!(metric.rate == 1.0);
            assert_tags(dialect, &metric.tags, &own, &globals);
        }
        match metrics.last().map(|metric| &metric.value) {
            Some(Value::Number(number)) => assert!(*number == if kind == 0 { -1.0 } else { 1.0 }),
            Some(Value::Member(found)) => assert!(*found == member || found.len() == 32, "{found}"),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
        assert_eq!(stats.accepted.values, 1);
        assert_eq!(stats.sent.values, u64::from(!refused));
        Ok(())
    })
    .budget_ms(2_000);
}

/// `raw` as it is read back from one line.
fn unescaped(raw: &str) -> String {
    raw.replace("\r\n", "\n").replace('\r', "\n").replace("\\n", "\n")
}

fn field(raw: Option<&String>) -> Option<String> {
    raw.map(|raw| raw.chars().map(|c| if c == '|' || c.is_control() { '_' } else { c }).collect())
}

/// Whether an event or a check of these is kept whole: it has up to 8 KiB, 48 bytes for each tag among them.
fn has_room<'a>(parts: impl Iterator<Item = &'a String>, tags: &Pairs) -> bool {
    let of_tags: usize = tags.iter().map(|(key, value)| key.len() + value.len() + 48).sum();
    parts.map(String::len).sum::<usize>() + of_tags <= 8192
}

#[test]
fn no_part_of_an_event_forges_a_line() {
    arbtest::arbtest(|u| {
        let (title, text, tags) = (hostile(u)?, hostile(u)?, hostile_tags(u)?);
        let mut maybe = || u.arbitrary::<bool>()?.then(|| hostile(u)).transpose();
        let (host, key, source) = (maybe()?, maybe()?, maybe()?);
        let parts = [Some(&title), Some(&text), host.as_ref(), key.as_ref(), source.as_ref()];
        if !has_room(parts.into_iter().flatten(), &tags) {
            return Ok(());
        }
        let mut event = Event::new(&title, &text);
        event = tags.iter().fold(event, |event, (key, value)| event.tag(key, value));
        event = host.iter().fold(event, Event::hostname);
        event = key.iter().fold(event, Event::aggregation_key);
        event = source.iter().fold(event, Event::source_type);
        let sent = sent(Dialect::DogStatsd, |client| client.send_event(event));
        if title.is_empty() {
            assert_eq!(sent, "");
            return Ok(());
        }
        let [Parsed::Event(found)] = &parse(sent.as_bytes()).unwrap()[..] else {
            panic!("one event: {sent}")
        };
        assert_tags(Dialect::DogStatsd, &found.tags, &tags, &Pairs::new());
        let mut expected = ParsedEvent::default();
        (expected.title, expected.text) = (unescaped(&title), unescaped(&text));
        expected.hostname = field(host.as_ref());
        expected.aggregation_key = field(key.as_ref());
        expected.source_type = field(source.as_ref());
        expected.tags.clone_from(&found.tags);
        assert_eq!(*found, expected);
        Ok(())
    })
    .budget_ms(2_000);
}

#[test]
fn no_part_of_a_service_check_forges_a_line() {
    arbtest::arbtest(|u| {
        let (name, tags) = (hostile(u)?, hostile_tags(u)?);
        let mut maybe = || u.arbitrary::<bool>()?.then(|| hostile(u)).transpose();
        let (host, message) = (maybe()?, maybe()?);
        if !has_room([Some(&name), host.as_ref(), message.as_ref()].into_iter().flatten(), &tags) {
            return Ok(());
        }
        let mut check = ServiceCheck::new(&name, Status::Warning);
        check = tags.iter().fold(check, |check, (key, value)| check.tag(key, value));
        check = host.iter().fold(check, ServiceCheck::hostname);
        check = message.iter().fold(check, ServiceCheck::message);
        let sent = sent(Dialect::DogStatsd, |client| client.send_service_check(check));
        if name.is_empty() {
            assert_eq!(sent, "");
            return Ok(());
        }
        let [Parsed::ServiceCheck(found)] = &parse(sent.as_bytes()).unwrap()[..] else {
            panic!("one: {sent}")
        };
        assert!(found.name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)), "{}", found.name);
        assert_eq!((found.status, found.timestamp), (1, None));
        assert_eq!(found.hostname, field(host.as_ref()));
        // A message that has `m\:` in it already reads as one with `m:`.
        let expected = message.map(|message| unescaped(&message.replace('|', "_").replace("m\\:", "m:")));
        assert_eq!(found.message, expected);
        assert_tags(Dialect::DogStatsd, &found.tags, &tags, &Pairs::new());
        Ok(())
    })
    .budget_ms(2_000);
}
