//! What distributions, histograms and timings are sent as is the program's choice, of what the dialect has.

mod support;

use support::PATIENCE;
use tasktag::testing::Capture;
use tasktag::{Agent, Client, ClientBuilder, ConfigError, Dialect, DropReason, Kind, Stats, Weights};

const DIALECTS: [Dialect; 8] = [
    Dialect::DogStatsd,
    Dialect::TaggedStatsd,
    Dialect::Graphite,
    Dialect::Influx,
    Dialect::Librato,
    Dialect::SignalFx,
    Dialect::Statsd,
    Dialect::DatadogServerless,
];
const SPREAD: [Kind; 3] = [Kind::Distribution, Kind::Histogram, Kind::Timing];

fn known(dialect: Dialect) -> &'static [Kind] {
    match dialect {
        Dialect::DogStatsd => &SPREAD,
        Dialect::DatadogServerless => &[Kind::Distribution],
        _ => &[Kind::Timing, Kind::Histogram],
    }
}

fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::Distribution => "d",
        Kind::Histogram => "h",
        _ => "ms",
    }
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

fn one_of_each(client: &Client) {
    client.distribution("size").record(1.0);
    client.histogram("wait").record(2.0);
    client.timing("run").record(3.0);
}

/// The codes of [`one_of_each`].
fn codes(builder: ClientBuilder) -> [String; 3] {
    let (lines, _) = sent(builder, one_of_each);
    let codes: Vec<String> = ["size", "wait", "run"]
        .into_iter()
        .map(|name| {
            let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
            line.split('|').nth(1).unwrap().to_owned()
        })
        .collect();
    codes.try_into().unwrap()
}

#[test]
fn each_dialect_has_defaults() {
    for dialect in DIALECTS {
        let expected = match dialect {
            Dialect::DogStatsd => ["d", "h", "ms"],
            Dialect::DatadogServerless => ["d"; 3],
            _ => ["ms"; 3],
        };
        assert_eq!(codes(support::builder().dialect(dialect)), expected, "{dialect:?}");
    }
}

#[test]
fn each_of_the_three_may_be_any_that_the_dialect_has_and_the_others_stay() {
    for dialect in DIALECTS {
        let in_dialect = || support::builder().dialect(dialect);
        let [size, wait, run] = codes(in_dialect());
        for &kind in known(dialect) {
            let set = code(kind).to_owned();
            // Where a dialect has no histogram by default, histograms are what distributions are.
            let wait_too = if dialect == Dialect::DogStatsd { wait.clone() } else { set.clone() };
            let as_distributions = codes(in_dialect().distributions_as(kind));
            assert_eq!(as_distributions, [set.clone(), wait_too, run.clone()], "{dialect:?} {kind:?}");
            let as_histograms = codes(in_dialect().histograms_as(kind));
            assert_eq!(as_histograms, [size.clone(), set.clone(), run.clone()], "{dialect:?} {kind:?}");
            let as_timings = codes(in_dialect().timings_as(kind));
            assert_eq!(as_timings, [size.clone(), wait.clone(), set], "{dialect:?} {kind:?}");
        }
    }
}

#[test]
fn all_three_settings_stand_together() {
    let builder = support::builder()
        .distributions_as(Kind::Timing)
        .histograms_as(Kind::Distribution)
        .timings_as(Kind::Histogram);
    assert_eq!(codes(builder), ["ms", "d", "h"]);
    let builder = support::builder()
        .dialect(Dialect::Influx)
        .distributions_as(Kind::Histogram)
        .histograms_as(Kind::Timing);
    assert_eq!(codes(builder), ["h", "ms", "ms"]);
}

#[test]
fn a_kind_that_the_dialect_has_no_code_for_is_an_error_that_names_the_setting_and_the_kind() {
    type Setter = fn(ClientBuilder, Kind) -> ClientBuilder;
    type AgentSetter = fn(Agent, Kind) -> Agent;
    let setters: [(&str, Setter, AgentSetter); 3] = [
        ("distributions_as", ClientBuilder::distributions_as, Agent::distributions_as),
        ("histograms_as", ClientBuilder::histograms_as, Agent::histograms_as),
        ("timings_as", ClientBuilder::timings_as, Agent::timings_as),
    ];
    for dialect in DIALECTS {
        for kind in SPREAD.into_iter().chain([Kind::Gauge, Kind::Counter, Kind::Set, Kind::Occupancy]) {
            for (name, set, set_of_agent) in setters {
                let main = set(support::builder(), kind).dialect(dialect);
                let other = set_of_agent(Agent::at("udp://127.0.0.1:1"), kind).dialect(dialect);
                for builder in [main, support::builder().also(other)] {
                    let built = builder.build().map(drop);
                    if known(dialect).contains(&kind) {
                        built.unwrap();
                        continue;
                    }
                    let Err(ConfigError::Setting { setting, value, reason }) = built else {
                        panic!("{dialect:?} {name} {kind:?}: {built:?}");
                    };
                    assert_eq!((setting, value), (name, kind.to_string()));
                    let kinds: Vec<_> = known(dialect).iter().map(|kind| format!("Kind::{kind:?}")).collect();
                    let expected = format!("in the dialect {dialect:?} it must be {}", kinds.join(" or "));
                    assert_eq!(reason, expected);
                }
            }
        }
    }
}

#[test]
fn packed_values_and_rates_are_those_of_the_kind_that_was_recorded() {
    let (lines, _) = sent(support::builder().timings_as(Kind::Distribution), |client| {
        let run = client.timing("run").register();
        run.record(1.0);
        run.record(2.0);
        run.record_many(-4.0, 3);
    });
    assert_eq!(lines, ["run:1:2|d|#task_id:0042", "run:-4|d|@0.3333333333333333|#task_id:0042"]);
}

#[test]
fn values_below_0_are_sent_or_counted_as_invalid_as_is_set() {
    let act = |client: &Client| {
        client.distribution("size").record(-1.0);
        client.histogram("wait").record(-2.0);
        client.timing("run").record(-3.0);
        client.timing("walk").record(0.0);
        client.gauge("level").set(-4.0);
    };
    for dialect in DIALECTS {
        let by_default = !matches!(dialect, Dialect::TaggedStatsd | Dialect::Graphite | Dialect::Statsd);
        for (setting, are_sent) in [(None, by_default), (Some(true), true), (Some(false), false)] {
            let builder = support::builder().dialect(dialect);
            let builder = setting.into_iter().fold(builder, ClientBuilder::negative_values);
            let (lines, stats) = sent(builder, act);
            let refused = if are_sent { 0 } else { 3 };
            let case = format!("{dialect:?} {setting:?}: {lines:?}");
            assert_eq!(stats.dropped(DropReason::Invalid).values, refused, "{case}");
            assert_eq!(stats.dropped_total().values, refused, "{case}");
            for value in [":-1|", ":-2|", ":-3|"] {
                assert_eq!(lines.iter().any(|line| line.contains(value)), are_sent, "{case}");
            }
            for value in [":0|", ":-4|g"] {
                assert!(lines.iter().any(|line| line.contains(value)), "{case}");
            }
        }
    }
}

#[test]
fn each_agent_has_kinds_and_signs_of_its_own() {
    let (capture, received) = (Capture::new(), support::Agent::udp());
    let other = Agent::at(received.address())
        .dialect(Dialect::Influx)
        .timings_as(Kind::Histogram)
        .negative_values(false);
    let guard = support::builder().capture(&capture).also(other).build().unwrap();
    guard.client().timing("run").record(-1.0);
    guard.client().timing("walk").record(2.0);
    guard.client().flush(PATIENCE).unwrap();
    assert_eq!(capture.take_lines(), ["run:-1|ms|#task_id:0042", "walk:2|ms|#task_id:0042"]);
    assert_eq!(received.packets_until(|lines| !lines.is_empty()), [b"walk,task_id=0042:2|h\n"]);
    assert_eq!(guard.client().stats_of(1).unwrap().dropped(DropReason::Invalid).values, 1);
    assert_eq!(guard.client().stats().dropped_total().values, 0);
}

#[test]
fn summaries_have_values_below_0_whatever_is_set() {
    for dialect in DIALECTS {
        let builder = support::builder().dialect(dialect).weights(Weights::Summaries).negative_values(false);
        let (lines, stats) = sent(builder, |client| client.timing("run").record(-2.0));
        assert_eq!(lines.iter().filter(|line| line.contains(":-2|g")).count(), 6, "{dialect:?}: {lines:?}");
        assert_eq!(stats.dropped_total().values, 0);
    }
}
