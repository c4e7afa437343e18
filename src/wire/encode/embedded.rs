//! The dialects that put tags into the name: Graphite, Influx, Librato, SignalFx.
//!
//! Graphite's tags: <https://graphite.readthedocs.io/en/latest/tags.html>. The others:
//! <https://github.com/prometheus/statsd_exporter#tagging-extensions>.

use super::clean;
use super::grammar::Grammar;
use super::statsd;
use super::weights::Weights;
use crate::vocabulary::kind::Kind;

#[derive(Debug)]
pub(super) struct Embedded(pub(super) Style);

/// How the tags are written into the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `name;key=value;key=value`
    Graphite,
    /// `name,key=value,key=value`
    Influx,
    /// `name#key=value,key=value`
    Librato,
    /// `name[key=value,key=value]`
    SignalFx,
}

impl Style {
    /// The text before the first tag, between two tags, and after the last one.
    fn marks(self) -> (&'static [u8], &'static [u8], &'static [u8]) {
        match self {
            Self::Graphite => (b";", b";", b""),
            Self::Influx => (b",", b",", b""),
            Self::Librato => (b"#", b",", b""),
            Self::SignalFx => (b"[", b",", b"]"),
        }
    }
}

impl Grammar for Embedded {
    fn spread_kinds(&self) -> &'static [Kind] {
        statsd::SPREAD_KINDS
    }

    fn tag_key(&self, raw: &str) -> String {
        if self.0 != Style::Graphite {
            return statsd::label(raw);
        }
        let mut key = clean::tag(raw, statsd::stays_in_tag);
        // Graphite stores the series' own name under this key.
        if self.renames(&key) {
            key.push('_');
        }
        key
    }

    fn renames(&self, key: &str) -> bool {
        if self.0 == Style::Graphite { key == "name" } else { statsd::renames_label(key) }
    }

    fn tag_value(&self, raw: &str) -> String {
        let value = clean::tag(raw, statsd::stays_in_tag);
        // Each of these servers skips or refuses a tag without a value.
        if value.is_empty() { "true".to_owned() } else { value }
    }

    fn weights(&self) -> Weights {
        match self.0 {
            // Etsy's server, which comes before Graphite, applies rates only to a timing's count.
            Style::Graphite => Weights::Repeats,
            // Telegraf and `statsd_exporter` repeat a value `trunc(1 / rate)` times.
            Style::Influx | Style::Librato | Style::SignalFx => Weights::Rates,
        }
    }

    fn signed_gauges_are_differences(&self) -> bool {
        true
    }

    fn takes_negative_values(&self) -> bool {
        self.0 != Style::Graphite
    }

    fn telemetry_prefix(&self) -> &'static str {
        statsd::TELEMETRY_PREFIX
    }

    fn tags_in_name(&self, tags: &[(&str, &str)], out: &mut Vec<u8>) {
        let (first, next, last) = self.0.marks();
        for (place, (key, value)) in tags.iter().enumerate() {
            out.extend_from_slice(if place == 0 { first } else { next });
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value.as_bytes());
        }
        if !tags.is_empty() {
            out.extend_from_slice(last);
        }
    }
}
