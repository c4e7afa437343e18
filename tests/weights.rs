//! How often a value was seen is what servers count: each server's arithmetic, and which mode it wants.

mod support;

use std::collections::BTreeMap;
use support::PATIENCE;
use tasktag::testing::Capture;
use tasktag::{Client, ClientBuilder, Dialect, DropReason, Protocol, Weights};

/// What servers do with the text behind an `@`. Each says where that stands in the server's source.
mod server {
    /// A float made an integer as Go does on amd64: cut, and `i64::MIN` for what does not fit.
    fn go_int(x: f64) -> i64 {
        #[allow(clippy::cast_possible_truncation, reason = "that is what the server does")]
        let int = if x.abs() < 9_223_372_036_854_775_808.0 { x as i64 } else { i64::MIN };
        int
    }

    fn read(rate: &str) -> f64 {
        rate.parse().expect("every server reads it")
    }

    /// The Datadog Agent's histograms and timings: `addSample` in `pkg/metrics/histogram.go`.
    pub(crate) fn agent_histogram(rate: &str) -> i128 {
        let rate = read(rate);
        go_int(1.0 / if rate == 0.0 { 1.0 } else { rate }).into()
    }

    /// The Datadog Agent's distributions: `Insert` in `pkg/util/quantile/agent.go`.
    pub(crate) fn agent_distribution(rate: &str) -> i128 {
        let rate = read(rate);
        go_int(1.0 / if rate <= 0.0 || rate > 1.0 { 1.0 } else { rate }).into()
    }

    /// What the Agent multiplies a value by in sums, in the same two places.
    pub(crate) fn agent_sum(rate: &str) -> f64 {
        1.0 / read(rate)
    }

    /// Agent Data Plane's distributions: `lib/saluki-io/src/deser/codec/dogstatsd/metric.rs`, which raises the rate to
    /// `dogstatsd_minimum_sample_rate`, and `saluki-core`'s metric values, which cut.
    pub(crate) fn data_plane(rate: &str) -> i128 {
        let rate = read(rate);
        assert!((0.0..=1.0).contains(&rate), "such a line is refused");
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "that is what the server does"
        )]
        let count = (1.0 / rate.max(3.845e-9)) as u64;
        count.into()
    }

    /// `statsd_exporter`, which repeats the observation: `LineToEvents` in `pkg/line/line.go`.
    pub(crate) fn exporter(rate: &str) -> i128 {
        let rate = read(rate);
        go_int(1.0 / if rate == 0.0 { 1.0 } else { rate }).into()
    }

    /// Telegraf, which adds the value as often: `aggregate` in `plugins/inputs/statsd/statsd.go`.
    pub(crate) fn telegraf(rate: &str) -> i128 {
        go_int(1.0 / read(rate)).into()
    }

    /// Vector: `src/sources/statsd/parser.rs`.
    pub(crate) fn vector(rate: &str) -> i128 {
        let rate = read(rate);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "that is what the server does"
        )]
        let weight = (1.0 / if rate == 0.0 { 1.0 } else { rate }) as u32;
        weight.into()
    }

    /// The values that etsy's server computes means and quantiles of: `stats.js` pushes each once. It reads a rate up
    /// to the first that is neither digit nor point.
    pub(crate) fn etsy(rate: &str) -> i128 {
        assert!(
            rate.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'),
            "read as another rate: {rate}"
        );
        1
    }

    /// netdata, which repeats the value: `src/collectors/statsd.plugin/statsd.c`.
    pub(crate) fn netdata(rate: &str) -> i128 {
        #[allow(clippy::cast_possible_truncation, reason = "that is what the server does")]
        let times = (1.0 / read(rate).clamp(0.001, 1.0).max(0.01)).round_ties_even() as i64;
        times.into()
    }

    /// The value that collectd notes once: `src/statsd.c`.
    pub(crate) fn collectd(value: f64, rate: &str) -> f64 {
        value / read(rate)
    }

    /// The weight of a value in the CloudWatch agent: `plugins/inputs/statsd/statsd.go`.
    pub(crate) fn cloudwatch(rate: &str) -> f64 {
        1.0 / read(rate)
    }
}

/// A value on a line, and the text behind the `@`: `1` where there is none.
type Seen = (f64, String);

/// The values on the lines that a client sends for what `act` does to it.
fn seen(builder: ClientBuilder, act: impl FnOnce(&Client)) -> Vec<Seen> {
    let capture = Capture::new();
    let guard = builder.capture(&capture).build().unwrap();
    act(guard.client());
    guard.client().flush(PATIENCE).unwrap();
    capture.take_lines().iter().flat_map(|line| values_of(line)).collect()
}

fn values_of(line: &str) -> Vec<Seen> {
    let (_, rest) = line.split_once(':').unwrap();
    let mut fields = rest.split('|');
    let values = fields.next().unwrap().split(':').map(|value| value.parse::<f64>().unwrap());
    let rate = fields.find_map(|field| field.strip_prefix('@')).unwrap_or("1");
    values.map(|value| (value, rate.to_owned())).collect()
}

/// Values of which no two share a bucket, 4096 of them.
fn value(place: usize) -> f64 {
    const STEP: u64 = 1 << 45;
    f64::from_bits(1.0_f64.to_bits() + place as u64 * STEP)
}

/// A client's values of one flush, of which the one at each place was seen so often.
fn counted_by(builder: ClientBuilder, counts: &[u64], server: fn(&str) -> i128) -> Vec<i128> {
    let seen = seen(builder, |client| {
        let run = client.timing("run").register();
        counts.iter().enumerate().for_each(|(place, n)| run.record_many(value(place), *n));
    });
    let mut counted: BTreeMap<u64, i128> = BTreeMap::new();
    for (value, rate) in seen {
        *counted.entry(value.to_bits()).or_default() += server(&rate);
    }
    (0..counts.len()).map(|place| counted[&value(place).to_bits()]).collect()
}

#[track_caller]
fn assert_exact(builder: impl Fn() -> ClientBuilder, counts: &[u64], server: fn(&str) -> i128) {
    for counts in counts.chunks(3000) {
        let wanted: Vec<i128> = counts.iter().map(|n| i128::from(*n)).collect();
        assert_eq!(counted_by(builder(), counts, server), wanted);
    }
}

fn in_dialect(dialect: Dialect) -> ClientBuilder {
    support::builder().dialect(dialect).max_packet_size(65_507)
}

fn dogstatsd() -> ClientBuilder {
    in_dialect(Dialect::DogStatsd)
}

/// Without packed values every count has a line and a rate of its own.
fn dogstatsd_1_0() -> ClientBuilder {
    dogstatsd().protocol(Protocol::V1_0)
}

fn influx() -> ClientBuilder {
    in_dialect(Dialect::Influx)
}

/// Counts of every size below 2^`bits`, those that are hard to say among them.
fn counts_below(bits: u32) -> Vec<u64> {
    let powers = (0..bits).map(|bit| 1_u64 << bit);
    let near = powers.flat_map(|power| [power, power + 1, power + power / 3, power + power / 2 + 1]);
    let hard = [3, 6, 93, 99, 105, 117, 123, 186, 198, 210, 999, 1_000_003];
    near.chain((1..=bits).map(|bits| (1 << bits) - 1)).chain(hard).filter(|n| *n < 1 << bits).collect()
}

const CUTTING: [fn(&str) -> i128; 4] =
    [server::agent_histogram, server::agent_distribution, server::exporter, server::telegraf];

#[test]
fn every_count_up_to_a_million_is_counted_by_servers_that_cut() {
    // All of these cut `1 / rate`: what one counts is what the others do.
    let all: Vec<u64> = (1..=1_000_000).collect();
    assert_exact(dogstatsd_1_0, &all, |rate| {
        let count = server::agent_distribution(rate);
        assert!(CUTTING.iter().all(|server| server(rate) == count));
        assert_eq!((server::data_plane(rate), server::vector(rate)), (count, count));
        count
    });
}

#[test]
fn every_count_there_is_is_counted_by_the_agent_telegraf_and_statsd_exporter() {
    let mut counts = counts_below(63);
    counts.extend([1 << 63, u64::MAX - 1, u64::MAX]);
    for server in CUTTING {
        assert_exact(dogstatsd, &counts, server);
        assert_exact(dogstatsd_1_0, &counts, server);
        for dialect in [Dialect::Influx, Dialect::Librato, Dialect::SignalFx] {
            assert_exact(|| in_dialect(dialect), &counts, server);
        }
    }
}

#[test]
fn packed_values_are_counted_too_where_counts_are_split_into_powers_of_two() {
    // So many that differ, each with so much around it, that splitting them takes fewer bytes: see `encode/group.rs`.
    let tagged = |builder: ClientBuilder| builder.tag("long", "x".repeat(100));
    let counts: Vec<u64> = (0..3000).map(|place| 1000 + place * place % 99_991).collect();
    let lines = |builder: ClientBuilder| {
        let rates = seen(tagged(builder), |client| {
            let run = client.timing("run").register();
            counts.iter().enumerate().for_each(|(place, n)| run.record_many(value(place), *n));
        });
        rates.into_iter().map(|(_, rate)| rate).collect::<std::collections::BTreeSet<_>>()
    };
    assert!(lines(dogstatsd()).len() < 20);
    assert!(lines(dogstatsd_1_0()).len() > 2000);
    CUTTING.into_iter().chain([server::data_plane as fn(&str) -> i128]).for_each(|server| {
        assert_exact(|| tagged(dogstatsd()), &counts, server);
    });
}

#[test]
fn sums_are_as_exact_as_a_float() {
    let counts = counts_below(63);
    for builder in [dogstatsd, dogstatsd_1_0, influx] {
        for counts in counts.chunks(3000) {
            let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
            let seen = seen(builder(), |client| {
                let run = client.timing("run").register();
                counts.iter().enumerate().for_each(|(place, n)| run.record_many(value(place), *n));
            });
            for (value, rate) in seen {
                *sums.entry(value.to_bits()).or_default() += value * server::agent_sum(&rate);
            }
            for (place, n) in counts.iter().enumerate() {
                let (sum, wanted) = (sums[&value(place).to_bits()], value(place) * *n as f64);
                assert!((sum - wanted).abs() <= wanted * 4.0 * f64::EPSILON, "{n}: {sum} {wanted}");
            }
        }
    }
}

#[test]
fn servers_that_ignore_or_misread_rates_are_sent_none() {
    // Etsy's server and what is before Graphite, StatsD 0.9, the CloudWatch agent, netdata and collectd.
    let counts = [1, 2, 3, 93, 99, 101, 150, 251];
    for dialect in [Dialect::Statsd, Dialect::TaggedStatsd, Dialect::Graphite] {
        for server in [server::etsy, server::netdata, server::exporter, server::telegraf, server::vector] {
            assert_exact(|| in_dialect(dialect), &counts, server);
        }
        let values =
            seen(in_dialect(dialect), |client| client.timing("run").register().record_many(12.5, 93));
        assert_eq!(values.len(), 93);
        for (value, rate) in values {
            assert_eq!((server::collectd(value, &rate), server::cloudwatch(&rate)), (12.5, 1.0));
        }
    }
}

#[test]
fn beyond_1000_values_repeats_are_a_sample_in_proportion_and_summaries_are_exact() {
    let capture = Capture::new();
    for (weights, lines, lost) in [(Weights::Repeats, 1000, 9000), (Weights::Summaries, 7, 0)] {
        let guard = in_dialect(Dialect::Statsd).weights(weights).capture(&capture).build().unwrap();
        let run = guard.client().timing("run").register();
        run.record_many(1.0, 7_500);
        run.record_many(2.0, 2_500);
        guard.client().flush(PATIENCE).unwrap();
        let sent = capture.take_lines();
        assert_eq!(sent.len(), lines);
        assert_eq!(guard.client().stats().dropped(DropReason::Sampled).values, lost);
        let ones = sent.iter().filter(|line| *line == "run:1|ms").count();
        assert!(weights == Weights::Summaries || ones == 750, "{ones}");
        assert!(weights == Weights::Repeats || sent[0] == "run.count:10000|c", "{sent:?}");
    }
}

// What `Weights::Rates` says of servers that don't count exactly.

/// What the documentation of weights says.
const DOCS: &str = include_str!("../src/wire/encode/weights.rs");

#[test]
fn agent_data_plane_counts_up_to_its_least_rate() {
    const MOST: u64 = 260_078_023;
    assert_exact(dogstatsd_1_0, &[MOST - 1, MOST], server::data_plane);
    assert_eq!(counted_by(dogstatsd_1_0(), &[MOST + 1, 1 << 40], server::data_plane), [i128::from(MOST); 2]);
    assert!(DOCS.contains("260,078,023"));
}

#[test]
fn vector_counts_up_to_its_widest_weight() {
    const MOST: u64 = u32::MAX as u64;
    assert_exact(dogstatsd_1_0, &counts_below(32), server::vector);
    assert_eq!(counted_by(dogstatsd_1_0(), &[MOST, MOST + 1], server::vector), [i128::from(MOST); 2]);
    assert!(DOCS.contains("4,294,967,295"));
}

#[test]
fn netdata_repeats_no_value_more_than_100_times() {
    let rates = || in_dialect(Dialect::Statsd).weights(Weights::Rates);
    assert_exact(rates, &(1..=100).collect::<Vec<_>>(), server::netdata);
    assert_eq!(counted_by(rates(), &[101, 5000], server::netdata), [100; 2]);
    assert!(DOCS.contains("netdata repeats a value at most 100 times"));
}

#[test]
fn etsys_server_takes_every_value_for_one_whatever_its_rate() {
    let rates = || in_dialect(Dialect::Statsd).weights(Weights::Rates);
    assert_eq!(counted_by(rates(), &[1, 2, 1_000_000], server::etsy), [1; 3]);
    assert!(DOCS.contains("Etsy's server applies a rate only to a timing's"));
}

#[test]
fn collectd_divides_the_value_itself() {
    let rates = in_dialect(Dialect::Statsd).weights(Weights::Rates);
    let values = seen(rates, |client| client.timing("run").register().record_many(12.5, 4));
    let [(value, rate)] = &values[..] else { panic!("{values:?}") };
    assert_eq!(server::collectd(*value, rate), 50.0);
    assert!(DOCS.contains("collectd divides the value itself"));
}

#[test]
fn the_cloudwatch_agents_weight_is_off_by_a_floats_last_digit_at_most() {
    let rates = in_dialect(Dialect::TaggedStatsd).weights(Weights::Rates);
    let counts = counts_below(52);
    let values = seen(rates, |client| {
        let run = client.timing("run").register();
        counts.iter().enumerate().for_each(|(place, n)| run.record_many(value(place), *n));
    });
    assert_eq!(values.len(), counts.len());
    for (seen, rate) in values {
        let place = (0..counts.len()).find(|place| value(*place) == seen).unwrap();
        let n = counts[place] as f64;
        assert!((server::cloudwatch(&rate) - n).abs() <= 2.0 * n * f64::EPSILON, "{n}: {rate}");
    }
}
