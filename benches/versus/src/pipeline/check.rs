//! What came, held against what was done.

use crate::traffic::{COUNTERS, GAUGES, Series, TIMINGS, Traffic, UPDATES};
use std::collections::HashMap;
use std::fmt;

/// What is not as it was done: gauges that came with another level than their last, or not at all; events too many or,
/// below 0, too few.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    pub gauges: i64,
    pub counted: i64,
    pub timed: i64,
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", self.gauges, self.counted, self.timed)
    }
}

impl Received {
    /// Whichever is farther from right.
    pub fn worse(self, other: Self) -> Self {
        let worse = |a: i64, b: i64| if a.abs() >= b.abs() { a } else { b };
        Self {
            gauges: worse(self.gauges, other.gauges),
            counted: worse(self.counted, other.counted),
            timed: worse(self.timed, other.timed),
        }
    }

    pub fn is_exact(self) -> bool {
        self.gauges == 0 && self.counted == 0 && self.timed == 0
    }
}

/// The lines of a packet.
pub fn lines(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    packet.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// Adds up what came, and holds it against what was done.
pub fn check(packets: &[Vec<u8>]) -> Received {
    let mut gauges: HashMap<String, f64> = HashMap::new();
    let (mut counted, mut timed) = (0, 0);
    for line in packets.iter().flat_map(|packet| lines(packet)) {
        let line = String::from_utf8_lossy(line);
        let Some(line) = line.strip_prefix("traffic_") else { continue };
        let mut fields = line.split('|');
        let (name, values) = fields.next().and_then(|head| head.split_once(':')).unwrap_or_default();
        let rate = fields.clone().find_map(|field| field.strip_prefix('@')?.parse().ok()).unwrap_or(1.0);
        let tags = fields.find_map(|field| field.strip_prefix('#')).unwrap_or_default();
        if name.starts_with("gauge") {
            gauges.insert(key(name, tags), values.parse().unwrap_or(f64::NAN));
        } else if name.starts_with("counter") {
            counted += values.parse::<i64>().unwrap_or(0);
        } else if let Some(suffix) = name.strip_prefix("timing_") {
            timed += times(suffix, values, rate);
        }
    }
    let share = i64::from(UPDATES / 100);
    Received {
        gauges: i64::from(GAUGES) - right(&gauges),
        counted: counted - share * i64::from(COUNTERS),
        timed: timed - share * i64::from(TIMINGS),
    }
}

/// How many values a line of a timing stands for, to an agent that truncates what the rate gives.
fn times(name: &str, values: &str, rate: f64) -> i64 {
    match name.split_once('.') {
        None => values.split(':').count() as i64 * (1.0 / rate) as i64,
        // Local percentiles come with a count.
        Some((_, "count")) => values.parse().unwrap_or(0),
        Some(_) => 0,
    }
}

fn key(name: &str, tags: &str) -> String {
    let tag = |key| tags.split(',').find_map(|tag| tag.strip_prefix(key)).unwrap_or_default();
    format!("{name} {} {}", tag("pool:"), tag("role:"))
}

/// How many gauges came last with a value that was set in the last round of a thread.
fn right(gauges: &HashMap<String, f64>) -> i64 {
    let traffic = Traffic::new();
    let set_last = |value: f64| {
        [UPDATES / 2, UPDATES].iter().any(|&end| f64::from(end) - value <= 100.0 && value < f64::from(end))
    };
    let found = |series: &Series| {
        let name = series.name.trim_start_matches("traffic_");
        gauges.get(&format!("{name} {} {}", series.pool, series.role)).is_some_and(|&value| set_last(value))
    };
    traffic.gauges.iter().filter(|series| found(series)).count() as i64
}
