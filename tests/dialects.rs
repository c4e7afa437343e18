//! Every kind, name, tag and weight in every dialect, exact to the byte; and what a dialect can't be told to do.

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::PATIENCE;
use tasktag::testing::{Capture, ManualClock, Parsed, parse};
use tasktag::{
    Agent, Client, ClientBuilder, ConfigError, Dialect, DropReason, Event, Kind, Protocol, ServiceCheck,
    Stats, Status, Weights,
};

const DIALECTS: [Dialect; 7] = [
    Dialect::DogStatsd,
    Dialect::TaggedStatsd,
    Dialect::Graphite,
    Dialect::Influx,
    Dialect::Librato,
    Dialect::SignalFx,
    Dialect::Statsd,
];
const PROTOCOLS: [Protocol; 7] = [
    Protocol::V1_0,
    Protocol::V1_1,
    Protocol::V1_2,
    Protocol::V1_3,
    Protocol::V1_4,
    Protocol::V1_5,
    Protocol::V1_6,
];
/// As many as fit into a datagram, so that a flush is one packet.
const LARGEST_PACKET: usize = 65_507;

fn in_dialect(dialect: Dialect) -> ClientBuilder {
    support::builder().dialect(dialect).max_packet_size(LARGEST_PACKET)
}

/// The packets that a client sends for what `act` does to it, and its books.
fn packets(builder: ClientBuilder, act: impl FnOnce(&Client)) -> (Vec<String>, Stats) {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build().unwrap();
    act(guard.client());
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    support::assert_conserved(&stats);
    let packets = capture.take_packets().into_iter();
    (packets.map(|packet| String::from_utf8(packet).unwrap()).collect(), stats)
}

fn sent(builder: ClientBuilder, act: impl FnOnce(&Client)) -> String {
    packets(builder, act).0.concat()
}

/// What `act` sends in each of the [`DIALECTS`].
#[track_caller]
fn assert_sent(act: impl Fn(&Client), expected: [&str; 7]) {
    for (dialect, expected) in DIALECTS.into_iter().zip(expected) {
        assert_eq!(sent(in_dialect(dialect), &act), expected, "{dialect:?}");
    }
}

/// Tells a setting's error: the setter, the value and the reason.
#[track_caller]
fn refusal(builder: ClientBuilder) -> (&'static str, String, String) {
    match builder.build().map(|_| ()) {
        Err(ConfigError::Setting { setting, value, reason }) => (setting, value, reason),
        other => panic!("{other:?} instead of a setting's error"),
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
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
            "level;queue=mail;task_id=0042:2.5|g\n\
             jobs;queue=mail;task_id=0042:3|c\n\
             size;queue=mail;task_id=0042:12.5|ms\n\
             wait;queue=mail;task_id=0042:0.25|ms\n\
             run;queue=mail;task_id=0042:1.5|ms\n\
             users;queue=mail;task_id=0042:user-7|s\n",
            "level,queue=mail,task_id=0042:2.5|g\n\
             jobs,queue=mail,task_id=0042:3|c\n\
             size,queue=mail,task_id=0042:12.5|ms\n\
             wait,queue=mail,task_id=0042:0.25|ms\n\
             run,queue=mail,task_id=0042:1.5|ms\n\
             users,queue=mail,task_id=0042:user-7|s\n",
            "level#queue=mail,task_id=0042:2.5|g\n\
             jobs#queue=mail,task_id=0042:3|c\n\
             size#queue=mail,task_id=0042:12.5|ms\n\
             wait#queue=mail,task_id=0042:0.25|ms\n\
             run#queue=mail,task_id=0042:1.5|ms\n\
             users#queue=mail,task_id=0042:user-7|s\n",
            "level[queue=mail,task_id=0042]:2.5|g\n\
             jobs[queue=mail,task_id=0042]:3|c\n\
             size[queue=mail,task_id=0042]:12.5|ms\n\
             wait[queue=mail,task_id=0042]:0.25|ms\n\
             run[queue=mail,task_id=0042]:1.5|ms\n\
             users[queue=mail,task_id=0042]:user-7|s\n",
            "level:2.5|g\njobs:3|c\nsize:12.5|ms\nwait:0.25|ms\nrun:1.5|ms\nusers:user-7|s\n",
        ],
    );
}

#[test]
fn an_occupancy_and_a_peak_are_gauges_with_names_of_their_own() {
    let expected = [
        "pool.in_use:1|g|#task_id:0042\npool.in_use.max:1|g|#task_id:0042\n\
         pool.utilization:0.25|g|#task_id:0042\nlevel:1|g|#task_id:0042\nlevel.max:3|g|#task_id:0042\n",
        "pool.in_use:1|g|#task_id:0042\npool.in_use.max:1|g|#task_id:0042\n\
         pool.utilization:0.25|g|#task_id:0042\nlevel:1|g|#task_id:0042\nlevel.max:3|g|#task_id:0042\n",
        "pool.in_use;task_id=0042:1|g\npool.in_use.max;task_id=0042:1|g\n\
         pool.utilization;task_id=0042:0.25|g\nlevel;task_id=0042:1|g\nlevel.max;task_id=0042:3|g\n",
        "pool.in_use,task_id=0042:1|g\npool.in_use.max,task_id=0042:1|g\n\
         pool.utilization,task_id=0042:0.25|g\nlevel,task_id=0042:1|g\nlevel.max,task_id=0042:3|g\n",
        "pool.in_use#task_id=0042:1|g\npool.in_use.max#task_id=0042:1|g\n\
         pool.utilization#task_id=0042:0.25|g\nlevel#task_id=0042:1|g\nlevel.max#task_id=0042:3|g\n",
        "pool.in_use[task_id=0042]:1|g\npool.in_use.max[task_id=0042]:1|g\n\
         pool.utilization[task_id=0042]:0.25|g\nlevel[task_id=0042]:1|g\nlevel.max[task_id=0042]:3|g\n",
        "pool.in_use:1|g\npool.in_use.max:1|g\npool.utilization:0.25|g\nlevel:1|g\nlevel.max:3|g\n",
    ];
    for (dialect, expected) in DIALECTS.into_iter().zip(expected) {
        let clock = ManualClock::new();
        let text = sent(in_dialect(dialect).clock(&clock), |client| {
            let pool = client.occupancy("pool", 4).register();
            std::mem::forget(pool.acquire_owned());
            let level = client.gauge("level").peak().register();
            level.set(3.0);
            level.set(1.0);
            clock.advance(Duration::from_secs(1));
        });
        assert_eq!(text, expected, "{dialect:?}");
    }
}

#[test]
fn a_negative_gauge_is_set_to_0_first_where_a_sign_means_a_difference() {
    assert_sent(
        |client| client.gauge("level").set(-5.5),
        [
            "level:-5.5|g|#task_id:0042\n",
            "level:0|g|#task_id:0042\nlevel:-5.5|g|#task_id:0042\n",
            "level;task_id=0042:0|g\nlevel;task_id=0042:-5.5|g\n",
            "level,task_id=0042:0|g\nlevel,task_id=0042:-5.5|g\n",
            "level#task_id=0042:0|g\nlevel#task_id=0042:-5.5|g\n",
            "level[task_id=0042]:0|g\nlevel[task_id=0042]:-5.5|g\n",
            "level:0|g\nlevel:-5.5|g\n",
        ],
    );
}

#[test]
fn the_two_lines_of_a_negative_gauge_are_never_in_two_packets() {
    for dialect in DIALECTS.into_iter().skip(1) {
        let (packets, stats) = packets(support::builder().dialect(dialect).max_packet_size(100), |client| {
            for level in ["a", "bb", "ccc", "dddd", "eeeee", "ffffff", "ggggggg"] {
                client.gauge(level).set(-1.0);
            }
        });
        assert!(packets.len() > 1, "{dialect:?}: {packets:?}");
        for packet in packets {
            let lines: Vec<&str> = packet.lines().collect();
            assert_eq!(lines.len() % 2, 0, "{dialect:?}: {packet:?}");
            for pair in lines.chunks(2) {
                let [zero, level] = [":0|g", ":-1|g"].map(|value| pair[0].replace(":0|g", value));
                assert_eq!(pair, [zero, level], "{dialect:?}");
            }
        }
        assert_eq!((stats.sent.values, stats.sent.lines), (7, 14));
    }
}

#[test]
fn negative_values_of_distributions_are_refused_where_servers_take_them_for_bad_lines() {
    let act = |client: &Client| client.timing("run").register().record_many(-2.0, 3);
    for (dialect, expected) in DIALECTS.into_iter().zip([
        "run:-2|ms|@0.3333333333333333|#task_id:0042\n",
        "",
        "",
        "run,task_id=0042:-2|ms|@0.3333333333333333\n",
        "run#task_id=0042:-2|ms|@0.3333333333333333\n",
        "run[task_id=0042]:-2|ms|@0.3333333333333333\n",
        "",
    ]) {
        let (packets, stats) = packets(in_dialect(dialect), act);
        assert_eq!(packets.concat(), expected, "{dialect:?}");
        let refused = if expected.is_empty() { 3 } else { 0 };
        assert_eq!(stats.dropped(DropReason::Invalid).values, refused, "{dialect:?}");
        // A gauge may be negative everywhere.
        let text = sent(in_dialect(dialect).weights(Weights::Summaries), act);
        assert_eq!(text.matches(":-2|g").count(), 6, "{dialect:?}: {text}");
    }
}

#[test]
fn members_stay_as_they_are_or_become_their_hash() {
    assert_sent(
        |client| {
            client.set("users").insert("10.0.0.1:80");
            client.set("users").insert("1;y=[z],#@");
        },
        [
            "users:10.0.0.1:80|s|#task_id:0042\nusers:1;y=[z],#@|s|#task_id:0042\n",
            "users:6edc9c68390d82af33288e1810500a5d|s|#task_id:0042\nusers:1;y=[z],#@|s|#task_id:0042\n",
            "users;task_id=0042:6edc9c68390d82af33288e1810500a5d|s\nusers;task_id=0042:1;y=[z],#@|s\n",
            "users,task_id=0042:6edc9c68390d82af33288e1810500a5d|s\nusers,task_id=0042:1;y=[z],#@|s\n",
            "users#task_id=0042:6edc9c68390d82af33288e1810500a5d|s\nusers#task_id=0042:1;y=[z],#@|s\n",
            "users[task_id=0042]:6edc9c68390d82af33288e1810500a5d|s\nusers[task_id=0042]:1;y=[z],#@|s\n",
            "users:6edc9c68390d82af33288e1810500a5d|s\nusers:1;y=[z],#@|s\n",
        ],
    );
}

#[test]
fn events_and_service_checks_are_dogstatsds_alone_and_counted_elsewhere() {
    for dialect in DIALECTS {
        let (packets, stats) = packets(in_dialect(dialect), |client| {
            client.send_event(Event::new("t", "x\ny").tag("k", "v").timestamp(at(7)));
            client.send_service_check(ServiceCheck::new("db", Status::Warning).message("m:"));
        });
        if dialect == Dialect::DogStatsd {
            let expected = "_e{1,4}:t|x\\ny|d:7|#k:v,task_id:0042\n_sc|db|1|#task_id:0042|m:m\\:\n";
            assert_eq!(packets.concat(), expected);
        } else {
            assert_eq!(packets, [""; 0], "{dialect:?}");
            assert_eq!(stats.dropped(DropReason::Unsupported).values, 2, "{dialect:?}");
        }
    }
}

// Names and tags.

#[test]
fn names_are_cleaned_alike_in_every_dialect() {
    for (given, made) in [
        ("a:b|c\nd", "shop.a_b_c_d"),
        ("a;b=c,d#e[f]g@h", "shop.a_b_c_d_e_f_g_h"),
        ("größe", "shop.gr__e"),
        ("a-b_c.d", "shop.a-b_c.d"),
    ] {
        let act = |client: &Client| client.counter(given).increment(1);
        for (dialect, rest) in DIALECTS.into_iter().zip([
            ":1|c|#task_id:0042\n",
            ":1|c|#task_id:0042\n",
            ";task_id=0042:1|c\n",
            ",task_id=0042:1|c\n",
            "#task_id=0042:1|c\n",
            "[task_id=0042]:1|c\n",
            ":1|c\n",
        ]) {
            assert_eq!(sent(in_dialect(dialect).prefix("shop"), act), format!("{made}{rest}"), "{dialect:?}");
        }
    }
}

#[test]
fn tags_are_cleaned_as_their_dialect_asks() {
    assert_sent(
        |client| {
            client.counter("jobs").tag("a:b;c=d,e[f]#|\n!^", "~g:h/i;j=k,l[m]#|\nä").increment(1);
        },
        [
            "jobs:1|c|#a_b_c_d_e_f______:_g:h/i_j_k_l_m____ä,task_id:0042\n",
            "jobs:1|c|#a_b_c_d_e_f______:_g_h_i_j_k_l_m_____,task_id:0042\n",
            "jobs;a_b_c_d_e_f______=_g_h_i_j_k_l_m_____;task_id=0042:1|c\n",
            "jobs,a_b_c_d_e_f______=_g_h_i_j_k_l_m_____,task_id=0042:1|c\n",
            "jobs#a_b_c_d_e_f______=_g_h_i_j_k_l_m_____,task_id=0042:1|c\n",
            "jobs[a_b_c_d_e_f______=_g_h_i_j_k_l_m_____,task_id=0042]:1|c\n",
            "jobs:1|c\n",
        ],
    );
}

#[test]
fn a_tag_without_a_value_is_bare_or_true_and_graphites_own_key_is_left_to_it() {
    assert_sent(
        |client| client.counter("jobs").tag("flag", "").tag("name", "x").increment(1),
        [
            "jobs:1|c|#flag,name:x,task_id:0042\n",
            "jobs:1|c|#flag,name:x,task_id:0042\n",
            "jobs;flag=true;name_=x;task_id=0042:1|c\n",
            "jobs,flag=true,name=x,task_id=0042:1|c\n",
            "jobs#flag=true,name=x,task_id=0042:1|c\n",
            "jobs[flag=true,name=x,task_id=0042]:1|c\n",
            "jobs:1|c\n",
        ],
    );
}

#[test]
fn keys_that_prometheus_data_model_keeps_for_itself_are_left_to_it() {
    for (given, made) in [
        ("le", "le_"),
        ("quantile", "quantile_"),
        ("__name__", "_name__"),
        ("__x", "_x"),
        ("_x", "_x"),
        ("--x", "-x"),
        ("..x", ".x"),
        ("-_.x", "-x"),
        (".x", ".x"),
        ("||x", "_x"),
        ("___", "_"),
        // These are nobody's.
        ("LE", "LE"),
        ("le_", "le_"),
        ("_le", "_le"),
        ("les", "les"),
        ("x__y", "x__y"),
        ("job", "job"),
        ("name", "name"),
    ] {
        for (dialect, head, tail) in [
            (Dialect::TaggedStatsd, format!("jobs:1|c|#{made}:v"), ",task_id:0042\n"),
            (Dialect::Influx, format!("jobs,{made}=v"), ",task_id=0042:1|c\n"),
            (Dialect::Librato, format!("jobs#{made}=v"), ",task_id=0042:1|c\n"),
            (Dialect::SignalFx, format!("jobs[{made}=v"), ",task_id=0042]:1|c\n"),
        ] {
            let own = sent(in_dialect(dialect), |client| client.counter("jobs").tag(given, "v").increment(1));
            assert_eq!(own, format!("{head}{tail}"), "{dialect:?} {given}");
            let global =
                sent(in_dialect(dialect).tag(given, "v"), |client| client.counter("jobs").increment(1));
            assert_eq!(global, own, "{dialect:?} {given}");
        }
    }
    // Elsewhere they are as they were given.
    for (dialect, expected) in [
        (Dialect::DogStatsd, "jobs:1|c|#__x:v,le:v,task_id:0042\n"),
        (Dialect::Graphite, "jobs;__x=v;le=v;task_id=0042:1|c\n"),
        (Dialect::DatadogServerless, "jobs:1|c|#__x:v,le:v,task_id:0042\n"),
    ] {
        let act = |client: &Client| client.counter("jobs").tag("__x", "v").tag("le", "v").increment(1);
        assert_eq!(sent(in_dialect(dialect), act), expected, "{dialect:?}");
    }
}

#[test]
fn an_own_tag_replaces_the_global_one_that_becomes_the_same_key() {
    let text = sent(in_dialect(Dialect::Influx).tag("le", "global"), |client| {
        client.counter("jobs").tag("le_", "own").increment(1);
    });
    assert_eq!(text, "jobs,le_=own,task_id=0042:1|c\n");
}

#[test]
fn a_tag_without_a_key_is_left_out_and_one_with_the_task_ids_is_sent_under_another() {
    for (dialect, expected) in DIALECTS.into_iter().zip([
        "jobs:1|c|#a:1,task_id_:7,task_id:0042\n",
        "jobs:1|c|#a:1,task_id_:7,task_id:0042\n",
        "jobs;a=1;task_id_=7;task_id=0042:1|c\n",
        "jobs,a=1,task_id_=7,task_id=0042:1|c\n",
        "jobs#a=1,task_id_=7,task_id=0042:1|c\n",
        "jobs[a=1,task_id_=7,task_id=0042]:1|c\n",
        "jobs:1|c\n",
    ]) {
        let (packets, stats) = packets(in_dialect(dialect).tag("", "x"), |client| {
            client.counter("jobs").tag("a", "1").tag("", "v").tag("Task;ID", "7").increment(1);
        });
        assert_eq!((packets.concat().as_str(), stats.refused_tags), (expected, 2), "{dialect:?}");
    }
}

#[test]
fn own_tags_go_before_global_ones_and_the_task_id_is_last() {
    for (dialect, expected) in DIALECTS.into_iter().zip([
        "jobs:1|c|#queue:mail,region:us,env:prod,task_id:0042\n",
        "jobs:1|c|#queue:mail,region:us,env:prod,task_id:0042\n",
        "jobs;queue=mail;region=us;env=prod;task_id=0042:1|c\n",
        "jobs,queue=mail,region=us,env=prod,task_id=0042:1|c\n",
        "jobs#queue=mail,region=us,env=prod,task_id=0042:1|c\n",
        "jobs[queue=mail,region=us,env=prod,task_id=0042]:1|c\n",
        "jobs:1|c\n",
    ]) {
        let text = sent(in_dialect(dialect).tag("env", "prod").tag("region", "eu"), |client| {
            client.counter("jobs").tag("region", "us").tag("queue", "mail").increment(1);
        });
        assert_eq!(text, expected, "{dialect:?}");
    }
}

#[test]
fn the_task_id_stands_in_names_where_there_are_no_tags_and_it_is_asked_for() {
    let act = |client: &Client| {
        client.counter("jobs").increment(1);
        client.gauge("5xx").peak().set(2.0);
    };
    let builder = || in_dialect(Dialect::Statsd).task_id_in_names(true);
    let expected = "shop.task_0042.jobs:1|c\nshop.task_0042.5xx:2|g\nshop.task_0042.5xx.max:2|g\n";
    assert_eq!(sent(builder().prefix("shop"), act), expected);
    assert_eq!(sent(builder(), act), expected.replace("shop.", ""));
    // Not by itself.
    assert_eq!(sent(in_dialect(Dialect::Statsd), |client| client.counter("jobs").increment(1)), "jobs:1|c\n");
}

#[test]
fn distributions_and_histograms_become_what_was_asked_for_and_timings_stay() {
    let act = |client: &Client| {
        client.distribution("size").record(1.0);
        client.histogram("wait").record(2.0);
        client.timing("run").record(3.0);
        client.gauge("level").set(4.0);
    };
    for (dialect, tags) in DIALECTS.into_iter().zip(["|#", "|#", ";", ",", "#", "[", ""]).skip(1) {
        for (kind, code) in [(Kind::Timing, "ms"), (Kind::Histogram, "h")] {
            let text = sent(in_dialect(dialect).distributions_as(kind), act);
            let (in_name, at_end) = match dialect {
                Dialect::Statsd => (String::new(), ""),
                Dialect::TaggedStatsd => (String::new(), "|#task_id:0042"),
                Dialect::SignalFx => (format!("{tags}task_id=0042]"), ""),
                _ => (format!("{tags}task_id=0042"), ""),
            };
            let line = |name: &str, rest: &str| format!("{name}{in_name}:{rest}{at_end}\n");
            let expected = [
                line("size", &format!("1|{code}")),
                line("wait", &format!("2|{code}")),
                line("run", "3|ms"),
                line("level", "4|g"),
            ];
            assert_eq!(text, expected.concat(), "{dialect:?} {kind:?}");
        }
    }
}

// Weights.

/// Two values of a timing, one of which was seen three times.
fn weighted(client: &Client) {
    let run = client.timing("run").register();
    run.record_many(12.5, 3);
    run.record(100.0);
}

#[test]
fn each_dialect_writes_weights_as_its_servers_count_them() {
    use Weights::{Rates, Repeats};
    for (dialect, by_default, (in_name, at_end)) in [
        (Dialect::DogStatsd, Rates, ("run", "|#task_id:0042")),
        (Dialect::TaggedStatsd, Repeats, ("run", "|#task_id:0042")),
        (Dialect::Graphite, Repeats, ("run;task_id=0042", "")),
        (Dialect::Influx, Rates, ("run,task_id=0042", "")),
        (Dialect::Librato, Rates, ("run#task_id=0042", "")),
        (Dialect::SignalFx, Rates, ("run[task_id=0042]", "")),
        (Dialect::Statsd, Repeats, ("run", "")),
    ] {
        let once = format!("{in_name}:100|ms{at_end}\n");
        let rates = format!("{in_name}:12.5|ms|@0.3333333333333333{at_end}\n{once}");
        let repeats = format!("{in_name}:12.5|ms{at_end}\n").repeat(3) + &once;
        for (weights, expected) in [
            (None, if by_default == Rates { &rates } else { &repeats }),
            (Some(Rates), &rates),
            (Some(Repeats), &repeats),
        ] {
            let builder = weights.into_iter().fold(in_dialect(dialect), ClientBuilder::weights);
            let text = sent(builder, weighted);
            assert_eq!(sorted(&text), sorted(expected), "{dialect:?} {weights:?}");
        }
    }
}

/// The lines in an order that does not hang on where a value stands in its table.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_summary_is_a_counter_and_six_gauges_in_every_dialect() {
    for (dialect, (in_name, at_end)) in DIALECTS.into_iter().zip([
        ("", "|#task_id:0042"),
        ("", "|#task_id:0042"),
        (";task_id=0042", ""),
        (",task_id=0042", ""),
        ("#task_id=0042", ""),
        ("[task_id=0042]", ""),
        ("", ""),
    ]) {
        let builder = in_dialect(dialect).prefix("shop").weights(Weights::Summaries);
        let (packets, stats) = packets(builder, |client| {
            weighted(client);
            client.set("users").insert("a");
        });
        let expected: String = [
            ("run.count", "4|c"),
            ("run.min", "12.5|g"),
            ("run.max", "100|g"),
            ("run.avg", "34.375|g"),
            ("run.p50", "12.5|g"),
            ("run.p95", "100|g"),
            ("run.p99", "100|g"),
            ("users", "a|s"),
        ]
        .map(|(name, value)| format!("shop.{name}{in_name}:{value}{at_end}\n"))
        .concat();
        assert_eq!(packets.concat(), expected, "{dialect:?}");
        assert_eq!((stats.sent.values, stats.sent.lines), (5, 8), "{dialect:?}");
    }
}

#[test]
fn a_value_that_was_seen_more_than_1000_times_is_thinned_out_by_repeats_alone() {
    let act = |client: &Client| client.timing("run").register().record_many(1.0, 1500);
    for dialect in DIALECTS {
        let dropped = |weights| {
            let (packets, stats) = packets(in_dialect(dialect).weights(weights), act);
            assert_eq!(stats.sent.values + stats.dropped(DropReason::Sampled).values, 1500);
            (packets.concat().lines().count(), stats.dropped(DropReason::Sampled).values)
        };
        assert_eq!(dropped(Weights::Repeats), (1000, 500), "{dialect:?}");
        assert_eq!(dropped(Weights::Rates), (1, 0), "{dialect:?}");
        assert_eq!(dropped(Weights::Summaries), (7, 0), "{dialect:?}");
    }
}

// Timestamps.

#[test]
fn a_time_of_its_own_is_sent_from_1_3_on_and_refused_and_counted_before() {
    for protocol in PROTOCOLS {
        let (packets, stats) = packets(in_dialect(Dialect::DogStatsd).protocol(protocol), timed);
        let untimed = "level:9|g|#task_id:0042\n";
        if protocol >= Protocol::V1_3 {
            let expected = "level:-21|g|#task_id:0042|T1658997712\nlevel:4|g|#task_id:0042|T1658997713\n\
                            level:9|g|#task_id:0042\njobs:7|c|#task_id:0042|T1658997712\n";
            assert_eq!(packets.concat(), expected, "{protocol:?}");
        } else {
            assert_eq!(packets.concat(), untimed, "{protocol:?}");
            assert_eq!(stats.dropped(DropReason::Unsupported).values, 5, "{protocol:?}");
        }
        assert_eq!(stats.accepted.values, 6);
    }
}

#[test]
fn a_time_of_its_own_is_refused_and_counted_where_there_is_none() {
    for (dialect, untimed) in DIALECTS.into_iter().skip(1).zip([
        "level:9|g|#task_id:0042\n",
        "level;task_id=0042:9|g\n",
        "level,task_id=0042:9|g\n",
        "level#task_id=0042:9|g\n",
        "level[task_id=0042]:9|g\n",
        "level:9|g\n",
    ]) {
        let (packets, stats) = packets(in_dialect(dialect), timed);
        assert_eq!(packets.concat(), untimed, "{dialect:?}");
        assert_eq!(stats.dropped(DropReason::Unsupported).values, 5, "{dialect:?}");
    }
}

/// Five values with a time of their own, of three seconds of two metrics, and one without.
fn timed(client: &Client) {
    let level = client.gauge("level").register();
    level.set_at(4.0, at(1_658_997_713));
    level.set_at(20.0, at(1_658_997_712));
    level.set_at(-21.0, at(1_658_997_712));
    level.set(9.0);
    let jobs = client.counter("jobs").register();
    jobs.increment_at(3, at(1_658_997_712));
    jobs.increment_at(4, at(1_658_997_712) + Duration::from_millis(999));
    // The level is reported as long as it is held.
    std::mem::forget(level);
}

#[test]
fn nothing_is_sent_and_nothing_counted_for_a_count_of_0_at_any_time() {
    let (packets, stats) = packets(in_dialect(Dialect::DogStatsd), |client| {
        let jobs = client.counter("jobs").register();
        jobs.increment_at(0, at(1_658_997_712));
        client.counter("jobs").increment_at(0, at(1_658_997_712));
        client.counter("jobs").increment_at(0, UNIX_EPOCH);
        jobs.increment(0);
        client.counter("jobs").increment(0);
    });
    assert_eq!(packets, [""; 0]);
    assert_eq!(stats.accepted.values, 0);
}

#[test]
fn a_time_before_1970_and_a_level_that_is_no_number_are_refused_and_counted() {
    let (packets, stats) = packets(in_dialect(Dialect::DogStatsd), |client| {
        client.gauge("level").set_at(1.0, UNIX_EPOCH - Duration::from_secs(5));
        client.gauge("level").set_at(1.0, UNIX_EPOCH);
        client.gauge("level").set_at(f64::NAN, at(1_658_997_712));
        client.counter("jobs").increment_at(1, UNIX_EPOCH);
    });
    assert_eq!(packets, [""; 0]);
    assert_eq!(stats.dropped(DropReason::Invalid).values, 4);
}

#[test]
fn a_line_with_a_time_has_no_rate_and_is_a_gauges_or_a_counters() {
    let text = sent(in_dialect(Dialect::DogStatsd), |client| {
        timed(client);
        weighted(client);
        client.set("users").insert("a");
    });
    // The parser refuses a time beside a rate, and on any other kind.
    let times = parse(text.as_bytes())
        .unwrap()
        .into_iter()
        .filter(|line| matches!(line, Parsed::Metric(metric) if metric.timestamp.is_some()));
    assert_eq!(times.count(), 3);
}

// Packed values.

#[test]
fn values_that_were_seen_equally_often_share_a_line() {
    let act = |client: &Client| {
        let size = client.distribution("size").register();
        for value in [1.0, 2.0, 4.0, 8.0] {
            size.record(value);
        }
        size.record_many(16.0, 3);
        size.record_many(-32.0, 3);
        size.record_many(64.0, 93);
    };
    let packed = "size:1:2:4:8|d|#task_id:0042\n\
                  size:-32:16|d|@0.3333333333333333|#task_id:0042\n\
                  size:64|d|@0.01075268817204301|#task_id:0042\n";
    let (packets, stats) = packets(in_dialect(Dialect::DogStatsd), act);
    assert_eq!(packets.concat(), packed);
    assert_eq!((stats.sent.values, stats.sent.lines), (103, 3));
    for protocol in PROTOCOLS {
        let text = sent(in_dialect(Dialect::DogStatsd).protocol(protocol), act);
        let lines = if protocol >= Protocol::V1_1 { 3 } else { 7 };
        assert_eq!(text.lines().count(), lines, "{protocol:?}: {text}");
    }
}

#[test]
fn no_line_holds_two_values_before_1_1_and_in_no_other_dialect() {
    let act = |client: &Client| {
        let run = client.timing("run").register();
        for value in [1.0, 2.0, 4.0, 8.0] {
            run.record_many(value, 2);
        }
    };
    let in_1_0 = || in_dialect(Dialect::DogStatsd).protocol(Protocol::V1_0);
    let others = DIALECTS.into_iter().skip(1).map(in_dialect);
    for builder in std::iter::once(in_1_0()).chain(others) {
        for weights in [None, Some(Weights::Rates), Some(Weights::Repeats), Some(Weights::Summaries)] {
            let builder = builder.clone();
            let text = sent(weights.into_iter().fold(builder, ClientBuilder::weights), act);
            for line in text.lines() {
                let values = line.trim_end_matches("|#task_id:0042");
                assert_eq!(values.matches(':').count(), 1, "{line}");
            }
        }
    }
}

#[test]
fn a_set_has_a_line_for_each_member_in_every_version() {
    for protocol in PROTOCOLS {
        let text = sent(in_dialect(Dialect::DogStatsd).protocol(protocol), |client| {
            for member in ["a", "b:c", "d"] {
                client.set("users").insert(member);
            }
        });
        let expected = "users:a|s|#task_id:0042\nusers:b:c|s|#task_id:0042\nusers:d|s|#task_id:0042\n";
        assert_eq!(text, expected, "{protocol:?}");
    }
}

/// Values of which no two share a bucket.
fn distinct_values() -> Vec<f64> {
    (0..8).flat_map(|octave| (128..256_u32).map(move |step| f64::from(step << octave) * 0.25)).collect()
}

#[test]
fn packed_values_are_split_between_packets_and_never_within_one() {
    let values = distinct_values();
    for limit in [64, 65, 71, 100, 333, 1432, 8192] {
        let (packets, stats) = packets(support::builder().max_packet_size(limit), |client| {
            // Something before it, so that the first line begins within a packet.
            client.counter("jobs").increment(1);
            let size = client.distribution("size").register();
            for value in &values {
                size.record(*value);
            }
        });
        let mut found = Vec::new();
        for packet in &packets {
            assert!(packet.len() <= limit && packet.ends_with('\n'), "{limit}: {packet:?}");
            let of_size = parse(packet.as_bytes()).unwrap().into_iter().filter_map(|parsed| match parsed {
                Parsed::Metric(metric) if metric.name == "size" && metric.count() == 1 => {
                    metric.value.number()
                }
                _ => None,
            });
            found.extend(of_size);
        }
        assert_eq!(found, values, "{limit}");
        for pair in packets.windows(2).filter(|pair| pair[0].contains("size")) {
            let next = pair[1].split([':', '|']).nth(1).unwrap();
            assert!(
                pair[0].len() + ":".len() + next.len() > limit,
                "{limit}: {next} had room in {:?}",
                pair[0]
            );
        }
        let lines = packets.concat().lines().count() as u64;
        let sent = stats.sent;
        assert_eq!((sent.values, sent.lines, sent.packets), (1025, lines, packets.len() as u64), "{limit}");
        assert!(lines <= 1 + packets.len() as u64, "{limit}: no packet has two lines of them");
        assert_eq!(stats.dropped_total().values, 0, "{limit}");
    }
}

#[test]
fn packed_values_fill_a_packet_to_its_last_byte() {
    let values = &distinct_values()[..40];
    let text: Vec<String> = values.iter().map(f64::to_string).collect();
    for first in 12..40 {
        let line = |values: &[String]| format!("size:{}|d|#task_id:0042\n", values.join(":"));
        let expected = [line(&text[..first]), line(&text[first..])];
        let (packets, _) = packets(support::builder().max_packet_size(expected[0].len()), |client| {
            let size = client.distribution("size").register();
            for value in values {
                size.record(*value);
            }
        });
        assert_eq!(packets[0], expected[0], "{first} values fill it");
        assert!(first < 20 || packets == expected, "{packets:?}");
    }
}

#[test]
fn a_value_that_fits_into_no_packet_is_dropped_and_counted_and_those_beside_it_are_sent() {
    let (packets, stats) = packets(support::builder().max_packet_size(64), |client| {
        let size = client.distribution("size").register();
        size.record(1.0);
        size.record(1e300);
        size.record(2.0);
    });
    assert_eq!(packets.concat(), "size:1:2|d|#task_id:0042\n");
    let dropped = stats.dropped(DropReason::TooLarge);
    assert_eq!((dropped.values, dropped.lines), (1, 1));
}

// What can't be set.

#[test]
fn a_version_of_dogstatsd_in_another_dialect_is_refused_by_name() {
    for dialect in DIALECTS.into_iter().skip(1) {
        let expected = ("protocol", "V1_0".to_owned());
        let (setting, value, reason) = refusal(in_dialect(dialect).protocol(Protocol::V1_0));
        assert_eq!((setting, value), expected);
        assert!(reason.contains(&format!("{dialect:?}")), "{reason}");
        // In whatever order, and for the other agents too.
        let builder = support::builder().protocol(Protocol::V1_0).dialect(dialect);
        assert_eq!(refusal(builder).0, "protocol");
        let agent = Agent::at("udp://127.0.0.1:1").dialect(dialect).protocol(Protocol::V1_6);
        assert_eq!(refusal(support::builder().also(agent)).1, "V1_6");
    }
}

#[test]
fn the_task_id_in_the_names_of_a_dialect_with_tags_is_refused_by_name() {
    for dialect in DIALECTS.into_iter().filter(|dialect| *dialect != Dialect::Statsd) {
        let (setting, value, reason) = refusal(in_dialect(dialect).task_id_in_names(true));
        assert_eq!((setting, value.as_str()), ("task_id_in_names", "true"));
        assert!(reason.contains(&format!("{dialect:?}")), "{reason}");
        let agent = Agent::at("udp://127.0.0.1:1").dialect(dialect).task_id_in_names(true);
        assert_eq!(refusal(support::builder().also(agent)).0, "task_id_in_names");
        assert!(in_dialect(dialect).task_id_in_names(false).build().is_ok());
    }
}

#[test]
fn a_prefix_that_would_cut_the_task_id_out_of_names_is_refused_by_name() {
    let statsd = || in_dialect(Dialect::Statsd).task_id_in_names(true);
    let (longest, too_long) = ("p".repeat(100), "p".repeat(101));
    let (setting, value, reason) = refusal(statsd().prefix(&too_long));
    assert_eq!((setting, value), ("prefix", too_long.clone()));
    assert!(reason.contains("100"), "{reason}");
    let agent = Agent::at("udp://127.0.0.1:1").dialect(Dialect::Statsd).task_id_in_names(true);
    assert_eq!(refusal(support::builder().prefix(&too_long).also(agent)).0, "prefix");
    assert!(in_dialect(Dialect::Statsd).prefix(&too_long).build().is_ok());
    let line = sent(statsd().prefix(&longest), |client| client.counter("jobs").increment(1));
    assert_eq!(line, format!("{longest}.task_0042.jobs:1|c\n"));
}

#[test]
fn a_prefix_that_would_make_one_name_of_all_is_refused_by_name() {
    let (longest, too_long) = ("p".repeat(150), "p".repeat(151));
    for dialect in DIALECTS {
        let (setting, value, reason) = refusal(in_dialect(dialect).prefix(&too_long));
        assert_eq!((setting, value), ("prefix", too_long.clone()));
        assert!(reason.contains("150"), "{reason}");
        assert!(in_dialect(dialect).prefix(&longest).build().is_ok());
    }
    let name = "n".repeat(60);
    let line =
        sent(in_dialect(Dialect::Statsd).prefix(&longest), |client| client.counter(&name).increment(1));
    assert_eq!(line, format!("{longest}.{}:1|c\n", &name[..49]));
}

#[test]
fn distributions_as_something_else_are_refused_by_name() {
    for dialect in DIALECTS.into_iter().skip(1) {
        for kind in [Kind::Gauge, Kind::Counter, Kind::Distribution, Kind::Set, Kind::Occupancy] {
            let (setting, value, reason) = refusal(in_dialect(dialect).distributions_as(kind));
            assert_eq!((setting, value), ("distributions_as", kind.to_string()));
            assert!(reason.contains("Kind::Timing or Kind::Histogram"), "{reason}");
        }
    }
    let agent = Agent::at("udp://127.0.0.1:1").dialect(Dialect::Influx).distributions_as(Kind::Set);
    assert_eq!(refusal(support::builder().also(agent)).0, "distributions_as");
}

#[test]
fn a_fifth_agent_is_refused_by_name() {
    let with = |others: usize| {
        let agent = || Agent::at("udp://127.0.0.1:1");
        (0..others).fold(support::builder().agent("udp://127.0.0.1:1"), |builder, _| builder.also(agent()))
    };
    assert!(with(3).build().is_ok());
    let (setting, value, reason) = refusal(with(4));
    assert_eq!((setting, value.as_str()), ("also", "4"));
    assert!(reason.contains("from 0 to 3"), "{reason}");
}

#[test]
fn a_bad_address_of_another_agent_is_refused_by_name() {
    for bad in ["", "agent:8125", "udp://", "http://agent", "unix://relative"] {
        let (setting, value, reason) = refusal(support::builder().also(Agent::at(bad)));
        assert_eq!((setting, value.as_str()), ("also", bad));
        assert!(!reason.is_empty());
    }
    let agent = Agent::at("udp://127.0.0.1:1").max_packet_size(63);
    let (setting, value, _) = refusal(support::builder().also(agent));
    assert_eq!((setting, value.as_str()), ("max_packet_size", "63"));
}
