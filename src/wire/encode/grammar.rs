//! The rules in which dialects differ.

use super::weights::Weights;
use super::{Unencodable, clean};
use crate::vocabulary::event::{Event, ServiceCheck};
use crate::vocabulary::kind::Kind;
use std::fmt;
use std::panic::RefUnwindSafe;

/// A dialect's rules.
pub(crate) trait Grammar: fmt::Debug + Send + Sync + RefUnwindSafe {
    /// The kinds that distributions, histograms and timings can be sent as, the default first.
    fn spread_kinds(&self) -> &'static [Kind];
    fn tag_key(&self, raw: &str) -> String;
    fn tag_value(&self, raw: &str) -> String;

    /// Whether a character may stay in a tag's value, whatever is next to it. By default, these are the letters, digits
    /// and marks that every dialect keeps.
    fn keeps_in_values(&self, c: char) -> bool {
        clean::is_kept_everywhere(c)
    }

    /// Whether a tag's key is changed even if its characters may stay.
    fn renames(&self, _key: &str) -> bool {
        false
    }

    fn weights(&self) -> Weights;
    fn signed_gauges_are_differences(&self) -> bool;
    fn takes_negative_values(&self) -> bool;
    fn telemetry_prefix(&self) -> &'static str;

    /// Writes the tags that belong into the name, before the number.
    fn tags_in_name(&self, _tags: &[(&str, &str)], _out: &mut Vec<u8>) {}

    /// Writes the tags that follow the number: `|#queue:within_1_minute,task_id:0042`.
    fn tags_at_end(&self, _tags: &[(&str, &str)], _out: &mut Vec<u8>) {}

    /// Whether the dialect supports packed values and an origin.
    fn is_dogstatsd(&self) -> bool {
        false
    }

    fn has_timestamps(&self) -> bool {
        false
    }

    fn has_sets(&self) -> bool {
        true
    }

    fn reads_rates(&self) -> bool {
        true
    }

    fn member(&self, raw: &str) -> String {
        // The server reads the text after another colon as another value.
        clean::member(raw, |c| c != '|' && c != ':' && !c.is_control())
    }

    /// Writes a line of up to `room` bytes, and returns whether the text was cut. A line that can't be cut to `room` is
    /// longer. `fields` are rendered tags and origin.
    fn event(
        &self,
        _event: &Event,
        _fields: &[u8],
        _room: usize,
        _out: &mut Vec<u8>,
    ) -> Result<bool, Unencodable> {
        Err(Unencodable::Unsupported)
    }

    /// Like [`event`](Self::event), for a service check.
    fn service_check(
        &self,
        _check: &ServiceCheck,
        _fields: &[u8],
        _room: usize,
        _out: &mut Vec<u8>,
    ) -> Result<bool, Unencodable> {
        Err(Unencodable::Unsupported)
    }
}
