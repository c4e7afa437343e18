//! Plain StatsD: etsy's dialect, and its common extensions.
//!
//! Kinds and the rule for signed gauges: <https://github.com/statsd/statsd/blob/master/docs/metric_types.md>.

use super::clean;
use super::dogstatsd;
use super::grammar::Grammar;
use super::weights::Weights;
use crate::vocabulary::kind::Kind;

/// Datadog's own names are used only in its own dialect.
pub(super) const TELEMETRY_PREFIX: &str = "tasktag.client.";

/// Etsy's server takes the unknown kinds `d` and `h` for counters. Many other servers support `h`.
pub(super) const SPREAD_KINDS: &[Kind] = &[Kind::Timing, Kind::Histogram];

#[derive(Debug)]
pub(super) struct Statsd {
    pub(super) tags: bool,
}

impl Grammar for Statsd {
    fn spread_kinds(&self) -> &'static [Kind] {
        SPREAD_KINDS
    }

    fn tag_key(&self, raw: &str) -> String {
        label(raw)
    }

    fn tag_value(&self, raw: &str) -> String {
        clean::tag(raw, stays_in_tag)
    }

    fn renames(&self, key: &str) -> bool {
        renames_label(key)
    }

    fn weights(&self) -> Weights {
        // Etsy's server weights a timing's count, but not its mean and quantiles. collectd divides the value itself.
        Weights::Repeats
    }

    fn signed_gauges_are_differences(&self) -> bool {
        true
    }

    fn takes_negative_values(&self) -> bool {
        // Etsy's server takes a negative `ms` for a bad line.
        false
    }

    fn telemetry_prefix(&self) -> &'static str {
        TELEMETRY_PREFIX
    }

    fn tags_at_end(&self, tags: &[(&str, &str)], out: &mut Vec<u8>) {
        if self.tags {
            dogstatsd::tags(tags, out);
        }
    }
}

/// Names that Prometheus' data model reserves: the labels of a histogram's buckets and of a summary's quantiles. Names
/// that begin with `__` are reserved too.
///
/// Source: <https://prometheus.io/docs/concepts/data_model/>.
const RESERVED_LABELS: [&str; 2] = ["le", "quantile"];

/// Changes a tag's key that may become the name of a Prometheus label, in which every separator is a `_`.
pub(super) fn label(raw: &str) -> String {
    let mut key = clean::tag(raw, stays_in_tag);
    let marks = leading_marks(&key);
    key.drain(1.min(marks)..marks);
    if RESERVED_LABELS.contains(&key.as_str()) {
        key.push('_');
    }
    key
}

/// Whether [`label`] changes a key although all of its characters may stay.
pub(super) fn renames_label(key: &str) -> bool {
    leading_marks(key) > 1 || RESERVED_LABELS.contains(&key)
}

fn leading_marks(key: &str) -> usize {
    key.len() - key.trim_start_matches(['_', '.', '-']).len()
}

pub(super) fn stays_in_tag(c: char) -> bool {
    // Etsy's server deletes all other characters from its keys.
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}
