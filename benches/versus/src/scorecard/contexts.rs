//! Memory of contexts. Ours and a peer's take turns.

use super::reference::{FAMILY_KB, GAUGE_BYTES, HOT_TIMING_BYTES, TIMING_1_KB, TIMING_30_KB, TIMING_1000_KB};
use super::score::Score;
use crate::memory;
use crate::peers::{DOGSTATSD, DOGSTATSD_SAMPLING, OURS};
use crate::samples::Samples;

const ROUNDS: usize = 3;
const KILO: f64 = 1e3;

/// The medians of contestants at a row, in bytes.
fn medians<const N: usize>(row: &str, contestants: [&'static str; N]) -> [Option<f64>; N] {
    let mut samples = Samples::new();
    for _ in 0..ROUNDS {
        for contestant in contestants {
            samples.push(contestant, memory::run(contestant, row).unwrap_or(f64::NAN));
        }
    }
    contestants.map(|contestant| samples.median(contestant))
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    ours.zip(theirs).map(|(ours, theirs)| ours / theirs)
}

fn kilo(bytes: Option<f64>) -> Option<f64> {
    bytes.map(|bytes| bytes / KILO)
}

pub fn timing_of_1_value() -> Vec<Score> {
    let [ours, theirs] = medians("1", [OURS, DOGSTATSD]);
    vec![
        Score::new("timing with 1 value", kilo(ours), "kB", TIMING_1_KB / 30.0).note("1/30 of 0.1.0"),
        Score::new("… relative to the exporter without sampling", ratio(ours, theirs), "×", 1.7),
    ]
}

pub fn timing_of_30_values() -> Vec<Score> {
    let [ours] = medians("30", [OURS]);
    let what = "timing with 30 values over three decades";
    vec![Score::new(what, kilo(ours), "kB", TIMING_30_KB / 15.0).note("1/15 of 0.1.0")]
}

pub fn timing_of_1000_values() -> Vec<Score> {
    [("narrow", "0.5"), ("wide", "1")].into_iter().flat_map(|(row, sigma)| spread(row, sigma)).collect()
}

/// The scores of log-normal values.
fn spread(row: &str, sigma: &str) -> [Score; 2] {
    let [ours, theirs] = medians(row, [OURS, DOGSTATSD_SAMPLING]);
    let what = format!("timing with 1,000 values, σ {sigma}");
    [
        Score::new(&what, kilo(ours), "kB", TIMING_1000_KB / 4.0).note("1/4 of 0.1.0"),
        Score::new("… relative to the exporter with sampling", ratio(ours, theirs), "×", 0.5),
    ]
}

pub fn hot_timing() -> Vec<Score> {
    let [ours] = medians("hot", [OURS]);
    let kib = ours.map(|bytes| bytes / 1024.0);
    let what = "hot timing, 4,096 buckets, eight threads";
    vec![Score::new(what, kib, "KiB", HOT_TIMING_BYTES / 1024.0).note("0.1.0")]
}

pub fn gauge() -> Vec<Score> {
    let [ours, theirs] = medians("gauge", [OURS, DOGSTATSD]);
    vec![
        Score::new("gauge", ours, "B", GAUGE_BYTES / 3.5).note("1/3.5 of 0.1.0"),
        Score::new("… relative to the exporter's", ratio(ours, theirs), "×", 1.0),
    ]
}

pub fn counter() -> Vec<Score> {
    let [ours, theirs] = medians("counter", [OURS, DOGSTATSD]);
    vec![
        Score::new("counter", ours, "B", GAUGE_BYTES / 3.5).note("as a gauge"),
        Score::new("… relative to the exporter's", ratio(ours, theirs), "×", 1.0),
    ]
}

pub fn family() -> Vec<Score> {
    let [ours] = medians("family", [OURS]);
    let what = "family of 240 timings, 8 of them used";
    vec![Score::new(what, kilo(ours), "kB", FAMILY_KB / 20.0).note("1/20 of 0.1.0")]
}
