//! However many values a flush has, and whatever their shape: a server that takes a line for a value shows their
//! quantiles and their mean.

mod support;

use std::f64::consts::TAU;
use support::PATIENCE;
use tasktag::testing::Capture;
use tasktag::{Dialect, DropReason, Weights};

/// The lines of a distribution in a flush, at most.
const LIMIT: usize = 1000;

/// Two values of a bucket are no further apart.
const BUCKET: f64 = 1.0 / 128.0;

/// The servers' own quantile: the least value that `percent` of all do not exceed.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Numbers between 0 and 1, evenly spread and in no order.
fn even(n: usize) -> impl Iterator<Item = f64> {
    // A prime that divides none of the numbers of values in this file.
    const STEP: usize = 7919;
    (0..n).map(move |i| ((i * STEP % n) as f64 + 0.5) / n as f64)
}

/// Most are usual, some take long, and there is no end to it: of exponent 0.7.
fn pareto(n: usize) -> Vec<f64> {
    even(n).map(|part| 10.0 * (1.0 / (1.0 - part)).powf(0.7)).collect()
}

fn lognormal(n: usize) -> Vec<f64> {
    // Box and Muller's transform.
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    (0..n).map(|_| 20.0 * ((-2.0 * random().ln()).sqrt() * (TAU * random()).cos()).exp()).collect()
}

/// What is in a cache, and what is not.
fn bimodal(n: usize) -> Vec<f64> {
    even(n).map(|part| if part < 0.8 { 2.0 + part } else { 200.0 + 100.0 * part }).collect()
}

fn constant(n: usize) -> Vec<f64> {
    vec![12.5; n]
}

/// The values on the lines of one flush, in which all of `values` were recorded.
fn sent(values: &[f64]) -> Vec<f64> {
    let capture = Capture::new();
    let builder = support::builder().dialect(Dialect::Statsd).weights(Weights::Repeats);
    let guard = builder.capture(&capture).build().unwrap();
    let took = guard.client().timing("took").register();
    for value in values {
        took.record(*value);
    }
    guard.client().flush(PATIENCE).unwrap();
    let stats = guard.client().stats();
    support::assert_conserved(&stats);
    let sampled = values.len().saturating_sub(LIMIT);
    assert_eq!(stats.dropped(DropReason::Sampled).values, sampled as u64);
    let number = |line: &str| line.strip_prefix("took:").unwrap().strip_suffix("|ms").unwrap().parse();
    sorted(capture.take_lines().iter().map(|line| number(line).unwrap()).collect())
}

#[track_caller]
fn assert_stays(shape: fn(usize) -> Vec<f64>) {
    for n in [600, 1000, 5000, 100_000] {
        let recorded = shape(n);
        let sent = sent(&recorded);
        let recorded = sorted(recorded);
        assert_eq!(sent.len(), n.min(LIMIT));
        for percent in [1, 5, 25, 50, 75, 90, 95, 99] {
            let (shown, exact) = (quantile(&sent, percent), quantile(&recorded, percent));
            assert!((shown / exact - 1.0).abs() <= BUCKET, "p{percent} of {n}: {shown}, not {exact}");
        }
        let (shown, exact) = (mean(&sent), mean(&recorded));
        assert!((shown / exact - 1.0).abs() < 0.02, "mean of {n}: {shown}, not {exact}");
    }
}

#[test]
fn a_long_tail_stays_where_it_is() {
    assert_stays(pareto);
}

#[test]
fn a_lognormal_load_stays_where_it_is() {
    assert_stays(lognormal);
}

#[test]
fn two_modes_stay_where_they_are() {
    assert_stays(bimodal);
}

#[test]
fn a_constant_load_stays_what_it_is() {
    assert_stays(constant);
    assert_eq!(sent(&constant(5000)), constant(LIMIT));
}

/// A value that few requests take, and which makes most of their time.
#[test]
fn a_rare_mode_counts_in_the_mean_as_much_as_it_did() {
    for rare in [3, 10, 100, 995] {
        let recorded: Vec<f64> = (0..100_000).map(|i| if i < rare { 30_000.0 } else { 10.0 }).collect();
        let (shown, exact) = (mean(&sent(&recorded)), mean(&recorded));
        assert!((shown / exact - 1.0).abs() < 0.02, "{rare}: {shown}, not {exact}");
    }
}

#[test]
fn the_least_and_the_greatest_value_are_sent_if_the_mean_bears_it() {
    let values: Vec<f64> = (1..=5000).map(f64::from).collect();
    let sent_values = sent(&values);
    assert!(sent_values[0] == 1.0 && sent_values[LIMIT - 1] >= 5000.0 * (1.0 - BUCKET));
    // One that would make the mean a hundred times as much is not.
    let with_outlier = [vec![1.0; 99_999], vec![100_000_000.0]].concat();
    let sent_values = sent(&with_outlier);
    assert_eq!(sent_values[0], 1.0);
    assert!((mean(&sent_values) / mean(&with_outlier) - 1.0).abs() < 0.02);
}
