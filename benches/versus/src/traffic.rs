//! A million updates over a hundred series, the same for every contestant.

use std::ops::Range;

pub const UPDATES: u32 = 1_000_000;
pub const GAUGES: u32 = 50;
pub const COUNTERS: u32 = 30;
pub const TIMINGS: u32 = 20;
const SERIES: u32 = GAUGES + COUNTERS + TIMINGS;
/// Series that share a name.
const POOLS: u32 = 10;
/// Goes through all series in an order that mixes the kinds; it has no factor in common with their number.
const STRIDE: u32 = 37;
const LATENCIES: usize = 1024;

/// How a call site names its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    Handle,
    ByName,
}

impl Style {
    pub const ALL: [Self; 2] = [Self::Handle, Self::ByName];

    pub fn name(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::ByName => "by-name",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|style| style.name() == name)
    }
}

/// A name with its two tags.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub pool: String,
    pub role: String,
}

/// What is updated, and with what.
pub struct Traffic {
    pub gauges: Vec<Series>,
    pub counters: Vec<Series>,
    pub timings: Vec<Series>,
    latencies: Vec<f64>,
}

impl Traffic {
    pub fn new() -> Self {
        Self {
            gauges: series("traffic_gauge", GAUGES),
            counters: series("traffic_counter", COUNTERS),
            timings: series("traffic_timing", TIMINGS),
            latencies: (0..LATENCIES).map(latency).collect(),
        }
    }

    /// Makes the updates of a range: each hands the number of its series among those of its kind, and a value.
    #[inline]
    pub fn replay(
        &self,
        updates: Range<u32>,
        mut gauge: impl FnMut(usize, f64),
        mut counter: impl FnMut(usize),
        mut timing: impl FnMut(usize, f64),
    ) {
        for i in updates {
            let series = i.wrapping_mul(STRIDE) % SERIES;
            if series < GAUGES {
                gauge(series as usize, f64::from(i));
            } else if series < GAUGES + COUNTERS {
                counter((series - GAUGES) as usize);
            } else {
                let latency = self.latencies[i.wrapping_mul(2_654_435_761) as usize >> 22];
                timing((series - GAUGES - COUNTERS) as usize, latency);
            }
        }
    }
}

/// A handle for each series.
pub fn handles<H>(series: &[Series], register: impl FnMut(&Series) -> H) -> Vec<H> {
    series.iter().map(register).collect()
}

fn series(name: &str, n: u32) -> Vec<Series> {
    (0..n)
        .map(|i| Series {
            name: format!("{name}_{}", i / POOLS),
            pool: format!("pool-{}", i % POOLS),
            role: format!("role-{}", i % 2),
        })
        .collect()
}

/// Five octaves of milliseconds to the microsecond, 8 to 256, each octave as likely.
fn latency(i: usize) -> f64 {
    let octave = 5.0 * i as f64 / LATENCIES as f64;
    (8_000.0 * octave.exp2()).round() / 1_000.0
}
