//! Any lines at all in the hands of a cadence client's sink: each is one metric of its own name, or an error and counted.

use super::input::LONGEST;
use super::rule;
use super::sent::{builder, sent};
use cadence::MetricSink;
use std::collections::BTreeSet;
use tasktag::integrations::cadence::{CadenceSink, Refused};
use tasktag::testing::{Parsed, Value, parse};

/// Ends a line.
const END: u8 = 0xFF;

pub(crate) fn check(bytes: &[u8]) {
    if bytes.len() > LONGEST {
        return;
    }
    let lines: Vec<_> = bytes.split(|byte| *byte == END).map(String::from_utf8_lossy).collect();
    let (mut names, mut errors) = (BTreeSet::new(), 0);
    let sent = sent(builder(), |client| {
        let sink = CadenceSink::new(client);
        for line in &lines {
            // A name may have colons in it.
            for (end, _) in line.match_indices(':') {
                // The second where there is no room for more contexts.
                names.extend(["", ".folded"].map(|suffix| rule::metric_name("", None, &line[..end], suffix)));
            }
            match sink.emit(line) {
                Ok(len) => assert_eq!(len, line.len()),
                Err(error) => {
                    let refused = error.get_ref().and_then(|error| error.downcast_ref::<Refused>());
                    assert!(client.stats().dropped(refused.expect("it says why").reason()).values > 0);
                    errors += 1;
                }
            }
        }
    });
    let sent = sent.expect("the settings are usable");
    assert!(sent.stats.dropped_total().values >= errors, "{:?}", sent.stats);
    for packet in &sent.packets {
        for parsed in parse(packet).expect("it is read") {
            let Parsed::Metric(metric) = parsed else { panic!("{parsed:?}") };
            let ids = metric.tags.iter().filter(|(key, _)| key.to_lowercase() == "task_id");
            assert_eq!(ids.count(), 1, "{metric:?}");
            assert!(names.contains(&metric.name), "{metric:?} of {names:?}");
            assert!(!matches!(metric.value, Value::Number(number) if !number.is_finite()), "{metric:?}");
        }
    }
}
