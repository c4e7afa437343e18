//! What an agent got, in the units of the books.

use super::lines_of;
use std::collections::{BTreeMap, BTreeSet};
use tasktag::testing::{Parsed, Value, parse};
use tasktag::{Dialect, Tally};

/// What the names of the client's own telemetry start with: none of it is a value.
const TELEMETRY: [&str; 3] = ["datadog.dogstatsd.client.", "tasktag.client.", "tasktag.task_id."];

/// What stands in packets.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) values: u64,
    pub(crate) lines: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) counters: BTreeMap<String, u64>,
    /// How many values of each distribution, histogram and timing.
    pub(crate) recorded: BTreeMap<String, u64>,
    /// Members, titles and checks' messages, of which each was passed in once.
    pub(crate) once: BTreeSet<String>,
}

impl Received {
    pub(crate) fn new(dialect: Dialect, packets: &[Vec<u8>]) -> Self {
        let mut received = Self { packets: packets.len() as u64, ..Self::default() };
        for packet in packets {
            received.bytes += packet.len() as u64;
            received.lines += lines_of(std::slice::from_ref(packet)).len() as u64;
            for value in parse(packet).unwrap() {
                received.values += received.note(dialect, value);
            }
        }
        received
    }

    /// Says for how many values it stands.
    fn note(&mut self, dialect: Dialect, value: Parsed) -> u64 {
        let unique = match value {
            Parsed::Metric(metric) => match (metric.code.as_str(), &metric.value) {
                _ if TELEMETRY.iter().any(|start| metric.name.starts_with(start)) => return 0,
                // The client's own, of what there was no room for.
                ("c", _) if metric.name.ends_with(".folded") => return 0,
                ("c", Value::Number(n)) => {
                    *self.counters.entry(metric.name).or_default() += whole(*n);
                    return 1;
                }
                // The line before set the gauge to 0 and stands for the value.
                ("g", Value::Number(level)) if *level < 0.0 && dialect != Dialect::DogStatsd => return 0,
                ("g", _) => return 1,
                (_, Value::Number(_)) => {
                    let count = metric.count();
                    *self.recorded.entry(metric.name).or_default() += count;
                    return count;
                }
                (_, Value::Member(member)) => member.clone(),
                (_, other) => panic!("neither a number nor a member: {other:?}"),
            },
            Parsed::Event(event) => event.title,
            Parsed::ServiceCheck(check) => check.message.unwrap_or_default(),
            other => panic!("neither metric, event nor check: {other:?}"),
        };
        assert!(self.once.insert(unique.clone()), "{unique} came twice");
        1
    }

    #[track_caller]
    pub(crate) fn assert_is(&self, sent: Tally) {
        let received = (self.values, self.lines, self.packets, self.bytes);
        assert_eq!(received, (sent.values, sent.lines, sent.packets, sent.bytes), "received and sent");
    }
}

fn whole(n: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let whole = n as u64;
    whole
}
